#include "model/embedder.h"

#include "base/err.h"
#include "base/mem.h"
#include "model/embed_prep.h"
#include "model/inception.h"
#include "model/weights.h"
#include "nn/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum layer { LAYER_POOL, LAYER_LOGITS, LAYER_UNBIASED };

struct embedder {
	char *network, *hash;
	char prep_id[40];
	int dim, classes, side;
	enum embed_prep prep;
	enum layer layer;
	struct inception inception;
};

/* ---- opening --------------------------------------------------------------------------------- */

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
			return err("inception has no layer '%s': 64, 192, 768, 2048, logits, logits-unbiased", layer);
		e->classes = e->dim == INCEPTION_DIM ? INCEPTION_CLASSES : 0;
	}
	return inception_load(&e->inception, st);
}

static int
open_network(struct embedder *e, const struct safetensors *st)
{
	size_t n = strcspn(e->network, ":");
	const char *layer = e->network[n] ? e->network + n + 1 : NULL;

	if (n == strlen("inception") && strncmp(e->network, "inception", n) == 0)
		return open_inception(e, layer, st);
	return err("%s: no such network (%s)", e->network, EMBED_NETWORKS);
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
		side = embed_prep_side(e->prep);
	if (inception && side < 75)
		return err("%s takes pictures of 75 pixels a side or more, not %d", e->network, side);
	e->side = side;
	snprintf(e->prep_id, sizeof(e->prep_id), side == embed_prep_side(e->prep) ? "%s" : "%s:%d",
	    embed_prep_name(e->prep), side);
	return 0;
}

static bool
is_folder(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

int
embedder_open(struct embedder **ep, const char *network, const char *weights, const char *preprocess,
    int side)
{
	struct embedder *e = xcalloc(1, sizeof(*e));
	char *path = is_folder(weights) ? xasprintf("%s/model.safetensors", weights) : xstrdup(weights);
	struct weights w;
	int ret = weights_open_file(&w, path);

	e->network = xstrdup(network);
	if (!ret) {
		ret = open_network(e, &w.st) || choose_prep(e, preprocess, side) ? -1 : 0;
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

/* ---- running --------------------------------------------------------------------------------- */

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

/* x [N,side,side,3] -> features [N,dim]; *logits [N,classes] if it is not NULL */
static struct tensor *
forward(const struct embedder *e, struct tensor *x, struct tensor **logits)
{
	struct tensor *f;

	f = inception_features(&e->inception, x, e->layer == LAYER_POOL ? e->dim : INCEPTION_DIM);
	if (logits)
		*logits = inception_logits(&e->inception, f, false);
	return e->layer == LAYER_POOL ? f : inception_logits(&e->inception, f, e->layer == LAYER_LOGITS);
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
	f = forward(e, tensor_from(F32, 4, (int64_t[]){ n, e->side, e->side, 3 }, in), logits ? &l : NULL);
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
