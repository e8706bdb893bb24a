#include "model/classifier.h"

#include "base/err.h"
#include "data/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

enum classifier_kind
classifier_kind_of(const char *name)
{
	static const struct { const char *prefix; enum classifier_kind kind; } known[] = {
		{ "resnet", CLASSIFIER_RESNET }, { "resnext", CLASSIFIER_RESNET },
		{ "wide_resnet", CLASSIFIER_RESNET }, { "densenet", CLASSIFIER_DENSENET },
		{ "efficientnet", CLASSIFIER_EFFNET }, { "tf-efficientnet", CLASSIFIER_EFFNET },
		{ "mobilenet", CLASSIFIER_MOBILENET }, { "vgg", CLASSIFIER_VGG },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (begins(name, known[i].prefix))
			return known[i].kind;
	return CLASSIFIER_NONE;
}

/* ---- which one ---------------------------------------------------------------------------- */

/* All that says what a net is. */
struct config {
	enum classifier_kind kind;
	struct resnet_config resnet;
	struct densenet_config densenet;
	struct effnet_config effnet;
	struct mobilenet_config mobilenet;
	struct vgg_config vgg;
	int dim, side;
	const char *head;
};

static void
set_rest(struct config *c)
{
	int channels[5];

	c->side = 224;
	switch (c->kind) {
	case CLASSIFIER_RESNET:
		resnet_channels(&c->resnet, channels);
		c->dim = channels[4];
		c->head = "fc";
		break;
	case CLASSIFIER_DENSENET:
		c->dim = densenet_dim(&c->densenet);
		c->head = "classifier";
		break;
	case CLASSIFIER_EFFNET:
		c->dim = c->effnet.head;
		c->side = c->effnet.image_size;
		c->head = effnet_head_name(&c->effnet);
		break;
	case CLASSIFIER_MOBILENET:
		c->dim = c->mobilenet.head;
		c->head = "classifier.1";
		break;
	default:
		c->dim = c->vgg.hidden;
		c->head = "classifier.6";
	}
}

static int
config_named(struct config *c, const char *name)
{
	*c = (struct config){ .kind = classifier_kind_of(name) };
	switch (c->kind) {
	case CLASSIFIER_RESNET:
		return resnet_config_named(&c->resnet, name);
	case CLASSIFIER_DENSENET:
		return densenet_config_named(&c->densenet, name);
	case CLASSIFIER_EFFNET:
		return effnet_config_named(&c->effnet, name);
	case CLASSIFIER_MOBILENET:
		mobilenet_config_usual(&c->mobilenet);
		return strcmp(name, "mobilenet_v2") ? err("%s: no such MobileNet: mobilenet_v2",
		    name) : 0;
	case CLASSIFIER_VGG:
		return vgg_config_named(&c->vgg, name);
	default:
		return err("%s: no classifier", name);
	}
}

/* The text of config.json that timm writes names a net from TensorFlow. */
static bool
says_tf(const char *config)
{
	struct arena mem = { 0 };
	struct json j;
	const char *s;
	bool tf;

	if (!config || json_parse(&j, config, strlen(config)))
		return false;
	s = json_str(&j, json_get(&j, 0, "architecture"), &mem);
	tf = s && begins(s, "tf_");
	arena_release(&mem);
	json_release(&j);
	return tf;
}

/* Are they as deep and of one build? Some may be wider. */
static bool
alike(const struct config *a, const struct config *b)
{
	switch (a->kind) {
	case CLASSIFIER_RESNET:
		return !memcmp(a->resnet.blocks, b->resnet.blocks, sizeof(a->resnet.blocks)) &&
		    a->resnet.expansion == b->resnet.expansion &&
		    a->resnet.groups == b->resnet.groups;
	case CLASSIFIER_DENSENET:
		return !memcmp(&a->densenet, &b->densenet, sizeof(a->densenet));
	case CLASSIFIER_EFFNET:
		return !memcmp(a->effnet.repeats, b->effnet.repeats, sizeof(a->effnet.repeats)) &&
		    !memcmp(a->effnet.out, b->effnet.out, sizeof(a->effnet.out));
	case CLASSIFIER_MOBILENET:
		return !memcmp(&a->mobilenet, &b->mobilenet, sizeof(a->mobilenet));
	default:
		return a->vgg.n == b->vgg.n && a->vgg.norm == b->vgg.norm &&
		    !memcmp(a->vgg.block, b->vgg.block, sizeof(a->vgg.block));
	}
}

/* Is it the net of that name, if it is not only a family's? */
static int
check_name(const struct config *c, const char *name, const char *path)
{
	static const char *const family[] = { "resnet", "densenet", "efficientnet", "mobilenet",
		"vgg" };
	const char *plain = begins(name, "tf-") ? name + 3 : name;
	struct config want;

	for (size_t i = 0; i < sizeof(family) / sizeof(family[0]); i++)
		if (!strcmp(plain, family[i]))
			return 0;
	if (config_named(&want, plain))
		return -1;
	return alike(&want, c) ? 0 : err("%s: holds another net than %s", path, name);
}

static int
config_from(struct config *c, const char *name, struct weights *w, const char *config)
{
	bool tf = begins(name, "tf-") || says_tf(config);
	int known, ret;

	*c = (struct config){ .kind = classifier_kind_of(name) };
	switch (c->kind) {
	case CLASSIFIER_RESNET:
		ret = resnet_config_from(&c->resnet, &w->st, "");
		break;
	case CLASSIFIER_DENSENET:
		densenet_rename(w);
		ret = densenet_config_from(&c->densenet, &w->st);
		break;
	case CLASSIFIER_EFFNET:
		ret = effnet_config_from(&c->effnet, &w->st, tf, &known);
		break;
	case CLASSIFIER_MOBILENET:
		ret = mobilenet_config_from(&c->mobilenet, &w->st);
		break;
	default:
		ret = vgg_config_from(&c->vgg, &w->st);
	}
	if (ret || check_name(c, name, w->st.path))
		return -1;
	set_rest(c);
	return 0;
}

/* ---- tensors ------------------------------------------------------------------------------ */

static void
init_head(struct classifier *c, struct params *ps, const struct config *k, int classes)
{
	c->kind = k->kind;
	c->dim = k->dim;
	c->side = k->side;
	c->classes = classes;
	if (classes)
		linear_layer_init(&c->head, ps, k->dim, classes, true, "%s", k->head);
}

/* As the file has them. */
static void
announce(struct classifier *c, struct params *ps, const struct config *k, int classes)
{
	switch (k->kind) {
	case CLASSIFIER_RESNET:
		resnet_init(&c->resnet, ps, "", &k->resnet, 3);
		break;
	case CLASSIFIER_DENSENET:
		densenet_announce(ps, &k->densenet);
		break;
	case CLASSIFIER_EFFNET:
		effnet_init(&c->effnet, ps, "", &k->effnet, 3);
		break;
	case CLASSIFIER_MOBILENET:
		mobilenet_announce(ps, &k->mobilenet);
		break;
	default:
		vgg_announce(ps, &k->vgg);
	}
	init_head(c, ps, k, classes);
}

/* As the net has them, with the norms folded; and their values, made of the file's. */
static void
fold(struct classifier *c, struct config *k, const struct safetensors *st, struct weights *w)
{
	switch (k->kind) {
	case CLASSIFIER_RESNET:
		k->resnet.folded = true;
		resnet_init(&c->resnet, &c->ps, "", &k->resnet, 3);
		resnet_fold(st, w);
		break;
	case CLASSIFIER_DENSENET:
		densenet_init(&c->densenet, &c->ps, &k->densenet);
		densenet_fold(&k->densenet, st, w);
		break;
	case CLASSIFIER_EFFNET:
		k->effnet.folded = true;
		effnet_init(&c->effnet, &c->ps, "", &k->effnet, 3);
		effnet_fold(&k->effnet, st, w);
		break;
	case CLASSIFIER_MOBILENET:
		mobilenet_init(&c->mobilenet, &c->ps, &k->mobilenet);
		mobilenet_fold(st, w);
		break;
	default:
		vgg_init(&c->vgg, &c->ps, &k->vgg);
		vgg_fold(&k->vgg, st, w);
	}
	init_head(c, &c->ps, k, c->classes);
	/* all else as it is; of two of one name the first is found */
	for (int i = 0; i < st->n; i++)
		weights_add(w, st->t[i].name, &st->t[i]);
}

int
classifier_announce(struct classifier *c, struct params *ps, const char *name, int classes)
{
	struct config k;

	*c = (struct classifier){ 0 };
	if (config_named(&k, name))
		return -1;
	/* of the layouts that there are, torchvision's is the one that is published */
	k.effnet.layout = EFFNET_TORCHVISION;
	k.effnet.even_padding = true;
	set_rest(&k);
	announce(c, ps, &k, classes);
	return 0;
}

/* Does the file fit, before anything is made of it? In one line. */
static int
check(const struct config *k, int classes, const struct safetensors *st)
{
	struct classifier c = { 0 };
	bool was = params_outline(true);
	struct params ps;
	int ret;

	params_init(&ps, F32, false);
	announce(&c, &ps, k, classes);
	params_ready(&ps);
	params_outline(was);
	ret = params_check(&ps, st, "", 0);
	params_release(&ps);
	classifier_release(&c);
	return ret;
}

int
classifier_load(struct classifier *c, const char *name, struct weights *w, const char *config)
{
	const struct st_tensor *head;
	struct weights folded;
	struct config k;
	char *weight;
	int ret;

	*c = (struct classifier){ 0 };
	if (config_from(&k, name, w, config))
		return -1;
	weight = xasprintf("%s.weight", k.head);
	head = st_find(&w->st, weight);
	free(weight);
	if (head && head->ndim == 2 && head->dim[0] >= 1 && head->dim[0] <= 1 << 20)
		c->classes = (int)head->dim[0];
	if (check(&k, c->classes, &w->st))
		return -1;
	params_init(&c->ps, F32, false);
	weights_init(&folded, w->st.path);
	fold(c, &k, &w->st, &folded);
	params_ready(&c->ps);
	ret = params_load(&c->ps, &folded.st, "", PARAMS_EXTRA);
	weights_close(&folded);
	if (ret)
		classifier_release(c);
	return ret;
}

void
classifier_release(struct classifier *c)
{
	params_release(&c->ps);
	resnet_release(&c->resnet);
	densenet_release(&c->densenet);
	effnet_release(&c->effnet);
	*c = (struct classifier){ 0 };
}

void
classifier_input(struct classifier *c, int side)
{
	/* efficientnet-pytorch keeps the padding of its own size */
	if (c->kind == CLASSIFIER_EFFNET && c->effnet.cfg.layout != EFFNET_ORIGINAL)
		effnet_pad_for(&c->effnet, side);
}

/* ---- forward ------------------------------------------------------------------------------ */

struct tensor *
classifier_features(const struct classifier *c, struct tensor *x)
{
	struct tensor *f[5];

	scope_open();
	switch (c->kind) {
	case CLASSIFIER_RESNET:
		resnet_features(&c->resnet, x, false, 5, f);
		return scope_keep(op_global_avg_pool(f[4]));
	case CLASSIFIER_DENSENET:
		return scope_keep(densenet_features(&c->densenet, x));
	case CLASSIFIER_EFFNET:
		effnet_features(&c->effnet, x, false, 0, 5, f);
		return scope_keep(effnet_pooled(&c->effnet, f[4]));
	case CLASSIFIER_MOBILENET:
		return scope_keep(mobilenet_features(&c->mobilenet, x));
	default:
		return scope_keep(vgg_features(&c->vgg, x));
	}
}

struct tensor *
classifier_logits(const struct classifier *c, struct tensor *features)
{
	return linear_layer_forward(&c->head, features, ACT_NONE);
}
