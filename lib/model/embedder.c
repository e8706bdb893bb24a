#include "model/embedder.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "model/classifier.h"
#include "model/embed_prep.h"
#include "model/inception.h"
#include "model/vit.h"
#include "model/weights.h"
#include "nn/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum family { INCEPTION, DINO, DINOV2, CLIP, CLASSIFIER, FAMILIES };
/* The first of each row is what is taken unless told otherwise. */
enum layer { LAYER_OWN, LAYER_LOGITS, LAYER_UNBIASED, LAYER_PATCHES, LAYER_CLASS };

struct embedder {
	char *network, *hash;
	char prep_id[40];
	int dim, classes, side;
	enum family family;
	enum embed_prep prep;
	enum layer layer;
	struct inception inception;
	struct vit vit;
	struct classifier classifier;
};

/* ---- opening ------------------------------------------------------------------------------ */

static int
open_inception(struct embedder *e, const char *layer, const struct safetensors *st)
{
	e->prep = PREP_PYTORCH_FID;
	e->dim = INCEPTION_DIM;
	e->classes = INCEPTION_CLASSES;
	if (layer && strcmp(layer, "logits") == 0) {
		e->layer = LAYER_LOGITS;
		e->dim = INCEPTION_CLASSES;
	} else if (layer && strcmp(layer, "logits-unbiased") == 0) {
		e->layer = LAYER_UNBIASED;
		e->dim = INCEPTION_CLASSES;
	} else if (layer) {
		e->dim = atoi(layer);
		if (!inception_has(e->dim) || strlen(layer) > 4)
			return err(
			    "inception has no layer '%s': 64, 192, 768, 2048, logits, "
			    "logits-unbiased",
			    layer);
		e->classes = e->dim == INCEPTION_DIM ? INCEPTION_CLASSES : 0;
	}
	return inception_load(&e->inception, st);
}

/* config.json beside the weights, or NULL; caller frees. */
static char *
config_beside(const char *weights)
{
	char *dir = path_dir(weights), *path = path_join(dir, "config.json"), *text = NULL;
	size_t len;

	if (file_exists(path) && file_read(path, 1 << 20, &text, &len))
		text = NULL;
	free(dir);
	free(path);
	return text;
}

static const char *
family_of(const struct vit_config *c)
{
	return c->layout == VIT_CLIP ? "clip"
	    : c->layout == VIT_DINOV2 || c->layout == VIT_DINOV2_HF ? "dinov2" : "dino";
}

/* Is the file's net the one asked for: the family alone, or one of it by name? */
static int
check_vit(const struct vit_config *c, const char *name, const struct safetensors *st)
{
	const char *family = family_of(c);
	struct vit_config want = *c;

	if (strcmp(name, family) != 0 && strchr(name, '-') && vit_config_named(&want, name))
		return -1;
	if (strncmp(name, family, strcspn(name, "-")) != 0 || strlen(family) != strcspn(name, "-"))
		return err("%s: holds a net of %s, not %s", st->path, family, name);
	if (want.width != c->width || want.depth != c->depth || want.patch != c->patch ||
	    want.registers != c->registers)
		return err("%s: holds %s of width %d, %d blocks, patch %d, %d registers: not %s",
		    st->path, family, c->width, c->depth, c->patch, c->registers, name);
	return 0;
}

static int
open_vit(struct embedder *e, const char *name, const char *layer, const struct safetensors *st)
{
	char *json = config_beside(st->path);
	struct vit_config c;
	int ret = vit_config_from(&c, st, json) || check_vit(&c, name, st) ? -1 : 0;

	free(json);
	if (ret)
		return -1;
	e->prep = e->family == CLIP ? PREP_CLIP : PREP_DINO;
	e->dim = c.width;
	if (e->family == CLIP) {
		e->layer = layer && strcmp(layer, "cls") == 0 ? LAYER_CLASS : LAYER_OWN;
		if (layer && e->layer != LAYER_CLASS && strcmp(layer, "projection") != 0)
			return err("%s has no layer '%s': projection, cls", name, layer);
		if (e->layer == LAYER_OWN && !c.projection)
			return err("%s: no visual_projection (take %s:cls)", st->path, name);
		e->dim = e->layer == LAYER_OWN ? c.projection : c.width;
	} else if (layer) {
		e->layer = strcmp(layer, "patch-mean") == 0 ? LAYER_PATCHES : LAYER_OWN;
		if (e->layer == LAYER_OWN && strcmp(layer, "cls") != 0)
			return err("%s has no layer '%s': cls, patch-mean", name, layer);
	}
	return vit_load(&e->vit, &c, st);
}

/* What a classifier's last layer sees, or what it says. */
static int
open_classifier(struct embedder *e, const char *name, const char *layer, struct weights *w)
{
	char *json;
	int ret;

	if (layer && strcmp(layer, "logits") != 0)
		return err("%s has no layer '%s': logits", name, layer);
	json = config_beside(w->st.path);
	ret = classifier_load(&e->classifier, name, w, json);
	free(json);
	if (ret)
		return -1;
	e->prep = e->classifier.kind == CLASSIFIER_EFFNET ? PREP_DINO : PREP_IMAGENET;
	e->dim = e->classifier.dim;
	e->classes = e->classifier.classes;
	if (!layer)
		return 0;
	if (!e->classes)
		return err("%s: holds no classifier behind the features", w->st.path);
	e->layer = LAYER_LOGITS;
	e->dim = e->classes;
	return 0;
}

static int
open_network(struct embedder *e, struct weights *w)
{
	static const char *const families[] = { "inception", "dino", "dinov2", "clip" };
	char *name = xstrndup(e->network, strcspn(e->network, ":"));
	const char *layer = strchr(e->network, ':');
	size_t n = strcspn(name, "-");
	int ret;

	layer = layer ? layer + 1 : NULL;
	if (classifier_kind_of(name))
		e->family = CLASSIFIER;
	while (e->family < CLASSIFIER &&
	    (strlen(families[e->family]) != n || strncmp(name, families[e->family], n) != 0))
		e->family++;
	if (e->family == CLASSIFIER && classifier_kind_of(name))
		ret = open_classifier(e, name, layer, w);
	else if (e->family == CLASSIFIER || (e->family == INCEPTION && name[n]))
		ret = err("%s: no such network (%s)", e->network, EMBED_NETWORKS);
	else if (e->family == INCEPTION)
		ret = open_inception(e, layer, &w->st);
	else
		ret = open_vit(e, name, layer, &w->st);
	free(name);
	return ret;
}

/* The preprocessing asked for, or the network's own. */
static int
choose_prep(struct embedder *e, const char *name, int side)
{
	bool inception = e->prep <= PREP_TORCH_FIDELITY;
	int p = name ? embed_prep_named(name) : (int)e->prep;

	if (p < 0)
		return -1;
	e->prep = (enum embed_prep)p;
	if (inception != (e->prep <= PREP_TORCH_FIDELITY))
		return err("%s does not take pictures by '%s'", e->network, name);
	if (!side)
		side = e->family == CLASSIFIER && !name ? e->classifier.side
		                                        : embed_prep_side(e->prep);
	if (inception && side < 75)
		return err("%s takes pictures of 75 pixels a side or more, not %d", e->network,
		    side);
	if (e->vit.block && side % e->vit.cfg.patch)
		return err("%s takes pictures whose side is a multiple of %d, not %d", e->network,
		    e->vit.cfg.patch, side);
	if (e->family == CLASSIFIER && side < 32)
		return err("%s takes pictures of 32 pixels a side or more, not %d", e->network,
		    side);
	if (e->family == CLASSIFIER)
		classifier_input(&e->classifier, side);
	e->side = side;
	snprintf(e->prep_id, sizeof(e->prep_id), side == embed_prep_side(e->prep) ? "%s" : "%s:%d",
	    embed_prep_name(e->prep), side);
	return 0;
}

int
embedder_open(struct embedder **ep, const char *network, const char *weights,
    const char *preprocess, int side)
{
	struct embedder *e = xcalloc(1, sizeof(*e));
	char *path = is_folder(weights, false) ? xasprintf("%s/model.safetensors", weights)
	    : xstrdup(weights);
	struct weights w;
	int ret = weights_open_file(&w, path);

	e->network = xstrdup(network);
	if (!ret) {
		ret = open_network(e, &w) || choose_prep(e, preprocess, side) ? -1 : 0;
		weights_close(&w);
	}
	if (!ret) {
		e->hash = file_hash(path);
		ret = e->hash ? 0 : -1;
	}
	free(path);
	if (ret) {
		embedder_close(e);
		return -1;
	}
	*ep = e;
	return 0;
}

void
embedder_close(struct embedder *e)
{
	if (!e)
		return;
	inception_release(&e->inception);
	vit_release(&e->vit);
	classifier_release(&e->classifier);
	free(e->network);
	free(e->hash);
	free(e);
}

const char *
embedder_network(const struct embedder *e)
{
	return e->network;
}

int
embedder_dim(const struct embedder *e)
{
	return e->dim;
}

int
embedder_classes(const struct embedder *e)
{
	return e->classes;
}

const char *
embedder_preprocess_id(const struct embedder *e)
{
	return e->prep_id;
}

const char *
embedder_weights_hash(const struct embedder *e)
{
	return e->hash;
}

/* ---- running ------------------------------------------------------------------------------ */

size_t
embedder_input(const struct embedder *e)
{
	return (size_t)e->side * (size_t)e->side * 3;
}

int
embedder_prepare(const struct embedder *e, const struct image *im, float *in)
{
	return embed_prepare(e->prep, e->side, im, in);
}

static struct tensor *
forward_inception(const struct embedder *e, struct tensor *x, struct tensor **logits)
{
	bool pool = e->layer == LAYER_OWN;
	struct tensor *f = inception_features(&e->inception, x, pool ? e->dim : INCEPTION_DIM);

	if (logits)
		*logits = inception_logits(&e->inception, f, false);
	return pool ? f : inception_logits(&e->inception, f, e->layer == LAYER_LOGITS);
}

static struct tensor *
forward_vit(struct embedder *e, struct tensor *x)
{
	struct tensor *t;

	if (e->layer == LAYER_PATCHES)
		return vit_patch_mean(&e->vit, x);
	t = vit_class(&e->vit, x);
	return e->family == CLIP && e->layer == LAYER_OWN ? vit_project(&e->vit, t) : t;
}

static struct tensor *
forward_classifier(const struct embedder *e, struct tensor *x, struct tensor **logits)
{
	struct tensor *f = classifier_features(&e->classifier, x), *l;

	if (!logits && e->layer != LAYER_LOGITS)
		return f;
	l = classifier_logits(&e->classifier, f);
	if (logits)
		*logits = l;
	return e->layer == LAYER_LOGITS ? l : f;
}

/* x [N,side,side,3] -> features [N,dim]; *logits [N,classes] if it is not NULL */
static struct tensor *
forward(struct embedder *e, struct tensor *x, struct tensor **logits)
{
	if (e->family == INCEPTION)
		return forward_inception(e, x, logits);
	return e->family == CLASSIFIER ? forward_classifier(e, x, logits) : forward_vit(e, x);
}

void
embedder_run_prepared(struct embedder *e, const float *in, int n, float *features, float *logits)
{
	int64_t was = op_samples(n);
	bool grads = grads_set(false);
	struct tensor *f, *l;

	if (logits && !e->classes)
		die("embedder: %s has no logits", e->network);
	scope_open();
	f = forward(e, tensor_from(F32, 4, (int64_t[]){ n, e->side, e->side, 3 }, in),
	    logits ? &l : NULL);
	tensor_get(f, features);
	if (logits)
		tensor_get(l, logits);
	scope_close();
	grads_set(grads);
	op_samples(was);
}

int
embedder_run(struct embedder *e, const struct image *im, int n, float *features, float *logits)
{
	size_t size = embedder_input(e);
	float *in = xmalloc((size_t)n * size * sizeof(*in));
	int ret = 0;

	for (int i = 0; i < n && !ret; i++)
		ret = embedder_prepare(e, &im[i], in + (size_t)i * size);
	if (!ret)
		embedder_run_prepared(e, in, n, features, logits);
	free(in);
	return ret;
}
