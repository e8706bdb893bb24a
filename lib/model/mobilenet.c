#include "model/mobilenet.h"

#include "base/err.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 48, WIDEN = 6 };
static const double bn_momentum = 0.1, bn_eps = 1e-5; /* PyTorch's */

/* Table 2 of the paper, a row a block. */
static const struct { int out, stride; } usual[MOBILENET_BLOCKS] = {
	{ 16, 1 },
	{ 24, 2 }, { 24, 1 },
	{ 32, 2 }, { 32, 1 }, { 32, 1 },
	{ 64, 2 }, { 64, 1 }, { 64, 1 }, { 64, 1 },
	{ 96, 1 }, { 96, 1 }, { 96, 1 },
	{ 160, 2 }, { 160, 1 }, { 160, 1 },
	{ 320, 1 },
};

void
mobilenet_config_usual(struct mobilenet_config *c)
{
	*c = (struct mobilenet_config){ .stem = 32, .head = 1280 };
	for (int i = 0; i < MOBILENET_BLOCKS; i++)
		c->out[i] = usual[i].out;
}

/* Outputs of a convolution, 0 if it is not there. */
static int
width_of(const struct safetensors *st, const char *name)
{
	char weight[NAME + 8];
	const struct st_tensor *t;

	snprintf(weight, sizeof(weight), "%s.weight", name);
	t = st_find(st, weight);
	return t && t->ndim == 4 && t->dim[0] > 0 && t->dim[0] <= 1 << 16 ? (int)t->dim[0] : 0;
}

/* ---- names -------------------------------------------------------------------------------- */

/* The convolutions in their order: the stem, what each block has, the head. */
enum part { EXPAND, DEPTHWISE, PROJECT, STEM, HEAD };

/* A convolution's name and that of the norm after it. */
static void
names(char conv[NAME], char norm[NAME], enum part part, int block)
{
	int k = block ? (int)part : (int)part - DEPTHWISE; /* the first one does not expand */

	if (part == STEM || part == HEAD) {
		snprintf(conv, NAME, "features.%d.0", part == STEM ? 0 : MOBILENET_BLOCKS + 1);
		snprintf(norm, NAME, "features.%d.1", part == STEM ? 0 : MOBILENET_BLOCKS + 1);
		return;
	}
	if (part == PROJECT) {
		snprintf(conv, NAME, "features.%d.conv.%d", block + 1, k);
		snprintf(norm, NAME, "features.%d.conv.%d", block + 1, k + 1);
		return;
	}
	snprintf(conv, NAME, "features.%d.conv.%d.0", block + 1, k);
	snprintf(norm, NAME, "features.%d.conv.%d.1", block + 1, k);
}

int
mobilenet_config_from(struct mobilenet_config *c, const struct safetensors *st)
{
	char conv[NAME], norm[NAME];

	names(conv, norm, STEM, 0);
	c->stem = width_of(st, conv);
	names(conv, norm, HEAD, 0);
	c->head = width_of(st, conv);
	if (!c->stem || !c->head)
		return err("%s: no MobileNetV2: features.0.0 or features.18.0 are missing",
		    st->path);
	for (int i = 0; i < MOBILENET_BLOCKS; i++) {
		names(conv, norm, PROJECT, i);
		c->out[i] = width_of(st, conv);
		if (!c->out[i])
			return err("%s: no MobileNetV2: %s is missing", st->path, conv);
	}
	return 0;
}

/* ---- tensors ------------------------------------------------------------------------------ */

/* One convolution: of the file with its norm if f is NULL, of the net otherwise. */
static void
add(struct folded *f, struct params *ps, enum part part, int block, int in, int out, int k)
{
	char conv[NAME], norm[NAME];
	struct conv_layer c;
	struct bn_layer bn;

	names(conv, norm, part, block);
	if (f) {
		folded_init(f, ps, in, out, k, conv);
		return;
	}
	conv_layer_init(&c, ps, in, out, k, (struct conv){ 0 }, false, "%s", conv);
	bn_layer_init(&bn, ps, out, bn_momentum, bn_eps, "%s", norm);
}

static void
add_all(struct mobilenet *m, struct params *ps, const struct mobilenet_config *c)
{
	int in = c->stem;

	add(m ? &m->stem : NULL, ps, STEM, 0, 3, c->stem, 3);
	for (int i = 0; i < MOBILENET_BLOCKS; i++) {
		int mid = i ? WIDEN * in : in;

		if (i)
			add(m ? &m->block[i].expand : NULL, ps, EXPAND, i, in, mid, 1);
		add(m ? &m->block[i].depthwise : NULL, ps, DEPTHWISE, i, 1, mid, 3);
		add(m ? &m->block[i].project : NULL, ps, PROJECT, i, mid, c->out[i], 1);
		in = c->out[i];
	}
	add(m ? &m->head : NULL, ps, HEAD, 0, in, c->head, 1);
}

void
mobilenet_announce(struct params *ps, const struct mobilenet_config *c)
{
	add_all(NULL, ps, c);
}

void
mobilenet_init(struct mobilenet *m, struct params *ps, const struct mobilenet_config *c)
{
	*m = (struct mobilenet){ .cfg = *c };
	add_all(m, ps, c);
}

void
mobilenet_fold(const struct safetensors *st, struct weights *w)
{
	char conv[NAME], norm[NAME];

	for (int i = 0; i < MOBILENET_BLOCKS; i++)
		for (int part = i ? EXPAND : DEPTHWISE; part <= PROJECT; part++) {
			names(conv, norm, (enum part)part, i);
			fold_norm(w, st, conv, norm, bn_eps);
		}
	for (int part = STEM; part <= HEAD; part++) {
		names(conv, norm, (enum part)part, 0);
		fold_norm(w, st, conv, norm, bn_eps);
	}
}

/* ---- forward ------------------------------------------------------------------------------ */

static struct tensor *
relu6(struct tensor *x)
{
	return op_clamp(x, 0, 6);
}

static struct tensor *
block_forward(const struct mobilenet *m, int i, struct tensor *x)
{
	struct conv same = CONV_SAME(3);
	struct tensor *y = x;
	bool stays;

	scope_open();
	if (i)
		y = relu6(op_conv2d(y, m->block[i].expand.w, m->block[i].expand.b,
		    (struct conv){ 0 }));
	same.stride = usual[i].stride;
	same.groups = (int)y->dim[3];
	y = relu6(op_conv2d(y, m->block[i].depthwise.w, m->block[i].depthwise.b, same));
	y = op_conv2d(y, m->block[i].project.w, m->block[i].project.b, (struct conv){ 0 });
	stays = usual[i].stride == 1 && x->dim[3] == y->dim[3];
	return scope_keep(stays ? op_add(x, y) : y);
}

struct tensor *
mobilenet_features(const struct mobilenet *m, struct tensor *x)
{
	struct conv stem = CONV_SAME(3);

	scope_open();
	stem.stride = 2;
	x = relu6(op_conv2d(x, m->stem.w, m->stem.b, stem));
	for (int i = 0; i < MOBILENET_BLOCKS; i++)
		x = block_forward(m, i, x);
	x = relu6(op_conv2d(x, m->head.w, m->head.b, (struct conv){ 0 }));
	return scope_keep(op_global_avg_pool(x));
}
