#include "model/densenet.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 96 };
static const double bn_momentum = 0.1, bn_eps = 1e-5; /* PyTorch's */

/* ---- which one ---------------------------------------------------------------------------- */

int
densenet_config_named(struct densenet_config *c, const char *name)
{
	static const struct { const char *name; struct densenet_config c; } known[] = {
		{ "densenet121", { 64, 32, 4, { 6, 12, 24, 16 } } },
		{ "densenet161", { 96, 48, 4, { 6, 12, 36, 24 } } },
		{ "densenet169", { 64, 32, 4, { 6, 12, 32, 32 } } },
		{ "densenet201", { 64, 32, 4, { 6, 12, 48, 32 } } },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(name, known[i].name)) {
			*c = known[i].c;
			return 0;
		}
	return err("%s: no such DenseNet: densenet121, densenet161, densenet169, densenet201",
	    name);
}

/* Outputs of convolution k of layer l of block b, 0 if it is not there. */
static int
width_of(const struct safetensors *st, int b, int l, int k)
{
	char name[NAME];
	const struct st_tensor *t;

	snprintf(name, sizeof(name), "features.denseblock%d.denselayer%d.conv%d.weight", b, l, k);
	t = st_find(st, name);
	return t && t->ndim == 4 && t->dim[0] > 0 && t->dim[0] <= 1 << 16 ? (int)t->dim[0] : 0;
}

int
densenet_config_from(struct densenet_config *c, const struct safetensors *st)
{
	const struct st_tensor *stem = st_find(st, "features.conv0.weight");
	int growth = width_of(st, 1, 1, 2), inner = width_of(st, 1, 1, 1);

	*c = (struct densenet_config){ .growth = growth };
	if (!stem || stem->ndim != 4 || stem->dim[0] < 1 || stem->dim[0] > 1 << 16)
		return err("%s: no DenseNet: features.conv0.weight is not there", st->path);
	if (!growth || !inner || inner % growth)
		return err("%s: no DenseNet: features.denseblock1.denselayer1 has no two "
		    "convolutions of one growth", st->path);
	c->stem = (int)stem->dim[0];
	c->neck = inner / growth;
	for (int b = 0; b < DENSENET_BLOCKS; b++) {
		while (c->layers[b] < 1000 && width_of(st, b + 1, c->layers[b] + 1, 1))
			c->layers[b]++;
		if (!c->layers[b])
			return err("%s: no DenseNet: features.denseblock%d has no layers", st->path,
			    b + 1);
	}
	return 0;
}

/* Channels that go into block b; those after the last one's layers for DENSENET_BLOCKS. */
static int
channels(const struct densenet_config *c, int b)
{
	int n = c->stem;

	for (int i = 0; i < b; i++) {
		n += c->layers[i] * c->growth;
		if (i < DENSENET_BLOCKS - 1)
			n /= 2; /* a transition halves them */
	}
	return n;
}

int
densenet_dim(const struct densenet_config *c)
{
	return channels(c, DENSENET_BLOCKS);
}

/* ---- the file ----------------------------------------------------------------------------- */

void
densenet_rename(struct weights *w)
{
	for (int i = 0; i < w->st.n; i++) {
		const char *name = w->st.t[i].name, *at = strstr(name, ".denselayer");
		char *to;
		size_t n;

		/* denselayer1.norm.1.weight */
		at = at ? strchr(at + 1, '.') : NULL;
		if (!at || (strncmp(at, ".norm.", 6) && strncmp(at, ".conv.", 6)))
			continue;
		n = (size_t)(at - name) + 5;
		to = arena_strndup(&w->mem, name, strlen(name));
		memmove(to + n, to + n + 1, strlen(to + n));
		w->st.t[i].name = to;
	}
}

static void
layer_name_of(char name[NAME], int block, int layer)
{
	snprintf(name, NAME, "features.denseblock%d.denselayer%d", block + 1, layer + 1);
}

void
densenet_announce(struct params *ps, const struct densenet_config *c)
{
	struct conv_layer conv;
	struct bn_layer bn;
	char name[NAME];
	int in;

	conv_layer_init(&conv, ps, 3, c->stem, 7, (struct conv){ 0 }, false, "features.conv0");
	bn_layer_init(&bn, ps, c->stem, bn_momentum, bn_eps, "features.norm0");
	for (int b = 0; b < DENSENET_BLOCKS; b++) {
		in = channels(c, b);
		for (int l = 0; l < c->layers[b]; l++, in += c->growth) {
			int inner = c->neck * c->growth;

			layer_name_of(name, b, l);
			bn_layer_init(&bn, ps, in, bn_momentum, bn_eps, "%s.norm1", name);
			conv_layer_init(&conv, ps, in, inner, 1, (struct conv){ 0 }, false,
			    "%s.conv1", name);
			bn_layer_init(&bn, ps, inner, bn_momentum, bn_eps, "%s.norm2", name);
			conv_layer_init(&conv, ps, inner, c->growth, 3, (struct conv){ 0 }, false,
			    "%s.conv2", name);
		}
		if (b == DENSENET_BLOCKS - 1)
			break;
		bn_layer_init(&bn, ps, in, bn_momentum, bn_eps, "features.transition%d.norm",
		    b + 1);
		conv_layer_init(&conv, ps, in, in / 2, 1, (struct conv){ 0 }, false,
		    "features.transition%d.conv", b + 1);
	}
	bn_layer_init(&bn, ps, in, bn_momentum, bn_eps, "features.norm5");
}

/* ---- the net ------------------------------------------------------------------------------ */

void
densenet_init(struct densenet *d, struct params *ps, const struct densenet_config *c)
{
	struct densenet_layer *y;
	char name[NAME], conv[NAME + 8];
	int in, n = 0;

	*d = (struct densenet){ .cfg = *c };
	for (int b = 0; b < DENSENET_BLOCKS; b++)
		n += c->layers[b];
	y = d->layer = xcalloc((size_t)n, sizeof(*d->layer));
	folded_init(&d->conv0, ps, 3, c->stem, 7, "features.conv0");
	for (int b = 0; b < DENSENET_BLOCKS; b++) {
		in = channels(c, b);
		for (int l = 0; l < c->layers[b]; l++, in += c->growth, y++) {
			layer_name_of(name, b, l);
			snprintf(conv, sizeof(conv), "%s.conv1", name);
			bn_layer_init(&y->norm1, ps, in, bn_momentum, bn_eps, "%s.norm1", name);
			folded_init(&y->conv1, ps, in, c->neck * c->growth, 1, conv);
			conv_layer_init(&y->conv2, ps, c->neck * c->growth, c->growth, 3,
			    CONV_SAME(3), false, "%s.conv2", name);
		}
		if (b == DENSENET_BLOCKS - 1)
			break;
		bn_layer_init(&d->transition[b].norm, ps, in, bn_momentum, bn_eps,
		    "features.transition%d.norm", b + 1);
		conv_layer_init(&d->transition[b].conv, ps, in, in / 2, 1, (struct conv){ 0 },
		    false, "features.transition%d.conv", b + 1);
	}
	bn_layer_init(&d->norm5, ps, in, bn_momentum, bn_eps, "features.norm5");
}

void
densenet_fold(const struct densenet_config *c, const struct safetensors *st, struct weights *w)
{
	char name[NAME], conv[NAME + 8], norm[NAME + 8];

	fold_norm(w, st, "features.conv0", "features.norm0", bn_eps);
	for (int b = 0; b < DENSENET_BLOCKS; b++)
		for (int l = 0; l < c->layers[b]; l++) {
			layer_name_of(name, b, l);
			snprintf(conv, sizeof(conv), "%s.conv1", name);
			snprintf(norm, sizeof(norm), "%s.norm2", name);
			fold_norm(w, st, conv, norm, bn_eps);
		}
}

void
densenet_release(struct densenet *d)
{
	free(d->layer);
	*d = (struct densenet){ 0 };
}

/* ---- forward ------------------------------------------------------------------------------ */

/* x [N,H,W,C] -> [N,H,W,C + growth]: what the layer makes of x stands behind it. */
static struct tensor *
layer_forward(const struct densenet_layer *l, struct tensor *x)
{
	struct tensor *y, *both;

	scope_open();
	y = bn_layer_forward(&l->norm1, x, false, ACT_RELU);
	y = op_conv2d_act(y, l->conv1.w, l->conv1.b, (struct conv){ 0 }, ACT_RELU);
	both = op_concat((struct tensor *[]){ x, conv_layer_forward(&l->conv2, y) }, 2, 3);
	return scope_keep(both);
}

/* [N,H,W,C] -> [N,H/2,W/2,C/2]. The mean of four pixels before the 1x1 convolution is the mean
 * after it, for a quarter of the work. */
static struct tensor *
transition_forward(const struct densenet *d, int b, struct tensor *x)
{
	scope_open();
	x = bn_layer_forward(&d->transition[b].norm, x, false, ACT_RELU);
	x = op_avg_pool2d(x, 2, 2, 0, false);
	return scope_keep(conv_layer_forward(&d->transition[b].conv, x));
}

/* [N,H,W,C] -> [N,H/2,W/2,C/2] of a block's layers one after the other, those before the last with
 * the transition after them. */
static struct tensor *
block_forward(const struct densenet *d, int b, struct tensor *x)
{
	const struct densenet_layer *l = d->layer;
	struct tensor *last = NULL;

	for (int i = 0; i < b; i++)
		l += d->cfg.layers[i];
	/* each holds all before it: only the last is kept */
	for (int i = 0; i < d->cfg.layers[b]; i++) {
		x = tensor_hold(layer_forward(&l[i], x));
		tensor_drop(last);
		last = x;
	}
	x = b < DENSENET_BLOCKS - 1 ? transition_forward(d, b, x)
	                            : bn_layer_forward(&d->norm5, x, false, ACT_RELU);
	tensor_drop(last);
	return x;
}

struct tensor *
densenet_features(const struct densenet *d, struct tensor *x)
{
	struct conv stem = { .stride = 2, .left = 3, .right = 3, .top = 3, .bottom = 3 };

	scope_open();
	x = op_max_pool2d(op_conv2d_act(x, d->conv0.w, d->conv0.b, stem, ACT_RELU), 3, 2, 1);
	for (int b = 0; b < DENSENET_BLOCKS; b++)
		x = block_forward(d, b, x);
	return scope_keep(op_global_avg_pool(x));
}
