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
	if (begins(name, "resnet") || begins(name, "resnext") || begins(name, "wide_resnet"))
		return CLASSIFIER_RESNET;
	if (begins(name, "densenet"))
		return CLASSIFIER_DENSENET;
	return begins(name, "efficientnet") || begins(name, "tf-efficientnet") ? CLASSIFIER_EFFNET
	    : CLASSIFIER_NONE;
}

/* ---- which one ---------------------------------------------------------------------------- */

/* All that says what a net is. */
struct config {
	enum classifier_kind kind;
	struct resnet_config resnet;
	struct densenet_config densenet;
	struct effnet_config effnet;
	int dim, side;
	const char *head;
};

static void
set_rest(struct config *c)
{
	int channels[5];

	c->side = 224;
	if (c->kind == CLASSIFIER_RESNET) {
		resnet_channels(&c->resnet, channels);
		c->dim = channels[4];
		c->head = "fc";
	} else if (c->kind == CLASSIFIER_DENSENET) {
		c->dim = densenet_dim(&c->densenet);
		c->head = "classifier";
	} else {
		c->dim = c->effnet.head;
		c->side = c->effnet.image_size;
		c->head = effnet_head_name(&c->effnet);
	}
}

static int
config_named(struct config *c, const char *name)
{
	int ret;

	*c = (struct config){ .kind = classifier_kind_of(name) };
	if (c->kind == CLASSIFIER_RESNET)
		ret = resnet_config_named(&c->resnet, name);
	else if (c->kind == CLASSIFIER_DENSENET)
		ret = densenet_config_named(&c->densenet, name);
	else
		ret = c->kind == CLASSIFIER_EFFNET ? effnet_config_named(&c->effnet, name)
		                                   : err("%s: no classifier", name);
	return ret;
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

/* Is it the net of that name, if it is not only a family's? */
static int
check_name(const struct config *c, const char *name, const char *path)
{
	const char *plain = begins(name, "tf-") ? name + 3 : name;
	struct config want;
	bool same;

	if (!strcmp(plain, "resnet") || !strcmp(plain, "densenet") ||
	    !strcmp(plain, "efficientnet"))
		return 0;
	if (config_named(&want, plain))
		return -1;
	if (c->kind == CLASSIFIER_RESNET)
		same = !memcmp(want.resnet.blocks, c->resnet.blocks, sizeof(c->resnet.blocks)) &&
		    want.resnet.expansion == c->resnet.expansion &&
		    want.resnet.groups == c->resnet.groups;
	else if (c->kind == CLASSIFIER_DENSENET)
		same = !memcmp(&want.densenet, &c->densenet, sizeof(c->densenet));
	else
		same = !memcmp(want.effnet.repeats, c->effnet.repeats,
		           sizeof(c->effnet.repeats)) &&
		    !memcmp(want.effnet.out, c->effnet.out, sizeof(c->effnet.out));
	return same ? 0 : err("%s: holds another net than %s", path, name);
}

static int
config_from(struct config *c, const char *name, struct weights *w, const char *config)
{
	bool tf = begins(name, "tf-") || says_tf(config);
	int known, ret;

	*c = (struct config){ .kind = classifier_kind_of(name) };
	if (c->kind == CLASSIFIER_RESNET) {
		ret = resnet_config_from(&c->resnet, &w->st, "");
	} else if (c->kind == CLASSIFIER_DENSENET) {
		densenet_rename(w);
		ret = densenet_config_from(&c->densenet, &w->st);
	} else {
		ret = effnet_config_from(&c->effnet, &w->st, tf, &known);
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
	if (k->kind == CLASSIFIER_RESNET)
		resnet_init(&c->resnet, ps, "", &k->resnet, 3);
	else if (k->kind == CLASSIFIER_DENSENET)
		densenet_announce(ps, &k->densenet);
	else
		effnet_init(&c->effnet, ps, "", &k->effnet, 3);
	init_head(c, ps, k, classes);
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

static int
load_densenet(struct classifier *c, const struct config *k, const struct safetensors *st)
{
	struct weights folded;
	int ret;

	densenet_init(&c->densenet, &c->ps, &k->densenet);
	init_head(c, &c->ps, k, c->classes);
	params_ready(&c->ps);
	weights_init(&folded, st->path);
	densenet_fold(&k->densenet, st, &folded);
	ret = params_load(&c->ps, &folded.st, "", 0);
	weights_close(&folded);
	return ret;
}

int
classifier_load(struct classifier *c, const char *name, struct weights *w, const char *config)
{
	const struct st_tensor *head;
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
	if (k.kind == CLASSIFIER_DENSENET) {
		ret = load_densenet(c, &k, &w->st);
	} else {
		announce(c, &c->ps, &k, c->classes);
		params_ready(&c->ps);
		ret = params_load(&c->ps, &w->st, "", 0);
	}
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

	if (c->kind == CLASSIFIER_DENSENET)
		return densenet_features(&c->densenet, x);
	scope_open();
	if (c->kind == CLASSIFIER_RESNET) {
		resnet_features(&c->resnet, x, false, 5, f);
		return scope_keep(op_global_avg_pool(f[4]));
	}
	effnet_features(&c->effnet, x, false, 0, 5, f);
	return scope_keep(effnet_pooled(&c->effnet, f[4]));
}

struct tensor *
classifier_logits(const struct classifier *c, struct tensor *features)
{
	return linear_layer_forward(&c->head, features, ACT_NONE);
}
