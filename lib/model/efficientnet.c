#include "model/efficientnet.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Table 1 of the paper: the seven stages of b0. */
static const struct { int repeats, kernel, stride, expand, out; } stage[EFFNET_STAGES] = {
	{ 1, 3, 1, 1, 16 },
	{ 2, 3, 2, 6, 24 },
	{ 2, 5, 2, 6, 40 },
	{ 3, 3, 2, 6, 80 },
	{ 3, 5, 1, 6, 112 },
	{ 4, 5, 2, 6, 192 },
	{ 1, 3, 1, 6, 320 },
};
/* A feature is taken after these stages, and after the stem. */
static const int feature_after[] = { 1, 2, 4, 6 };

/* The nearest multiple of 8, at least 8 and never below 90 % (round_filters). */
static int
round_channels(double c)
{
	int n = (int)(c + 4) / 8 * 8;

	if (n < 8)
		n = 8;
	return n < 0.9 * c ? n + 8 : n;
}

int
effnet_config_named(struct effnet_config *c, const char *name)
{
	static const struct { double width, depth; int size; } known[] = {
		{ 1.0, 1.0, 224 }, { 1.0, 1.1, 240 }, { 1.1, 1.2, 260 }, { 1.2, 1.4, 300 },
		{ 1.4, 1.8, 380 }, { 1.6, 2.2, 456 }, { 1.8, 2.6, 528 }, { 2.0, 3.1, 600 },
	};
	int v;

	if (strncmp(name, "efficientnet-b", 14) || name[14] < '0' || name[14] > '7' || name[15])
		return err("%s: no such EfficientNet", name);
	v = name[14] - '0';
	*c = (struct effnet_config){ .stem = round_channels(32 * known[v].width),
		.head = round_channels(1280 * known[v].width), .image_size = known[v].size,
		.drop_connect = 0.2 };
	for (int i = 0; i < EFFNET_STAGES; i++) {
		c->repeats[i] = (int)ceil(stage[i].repeats * known[v].depth);
		c->out[i] = round_channels(stage[i].out * known[v].width);
	}
	return 0;
}

void
effnet_channels(const struct effnet_config *cfg, int *c)
{
	c[0] = cfg->stem;
	for (int i = 0; i < 4; i++)
		c[i + 1] = cfg->out[feature_after[i]];
}

/* "same" padding of an input of *size, which becomes the output's; odd padding goes right and
 * below. */
static struct conv
same_padding(int *size, int k, int stride)
{
	int out = (*size + stride - 1) / stride, pad = (out - 1) * stride + k - *size;

	if (pad < 0)
		pad = 0;
	*size = out;
	return (struct conv){ .stride = stride, .left = pad / 2, .right = pad - pad / 2,
		.top = pad / 2, .bottom = pad - pad / 2 };
}

/* torch's momentum is 1 minus TensorFlow's 0.99. */
static const double bn_momentum = 0.01, bn_eps = 1e-3;

/* MBConv: expand 1x1, depthwise k x k, squeeze and excite, project 1x1. first: of its stage. */
static void
block_init(struct effnet_block *b, struct params *ps, const char *name, int st, int in, int out,
    bool first, int *size)
{
	int k = stage[st].kernel, stride = first ? stage[st].stride : 1,
	    mid = in * stage[st].expand;
	int squeezed = in / 4 > 1 ? in / 4 : 1;
	struct conv geo;

	b->has_expand = stage[st].expand != 1;
	/* The original compares a stage's own stride, a list, with 1: its first block has no
	 * shortcut. */
	b->skip = !first && in == out;
	if (b->has_expand) {
		conv_layer_init(&b->expand, ps, in, mid, 1, (struct conv){ 0 }, false,
		    "%s._expand_conv", name);
		bn_layer_init(&b->bn0, ps, mid, bn_momentum, bn_eps, "%s._bn0", name);
	}
	geo = same_padding(size, k, stride);
	geo.groups = mid;
	conv_layer_init(&b->depthwise, ps, mid, mid, k, geo, false, "%s._depthwise_conv", name);
	bn_layer_init(&b->bn1, ps, mid, bn_momentum, bn_eps, "%s._bn1", name);
	linear_layer_init_1x1(&b->se_reduce, ps, mid, squeezed, true, "%s._se_reduce", name);
	linear_layer_init_1x1(&b->se_expand, ps, squeezed, mid, true, "%s._se_expand", name);
	conv_layer_init(&b->project, ps, mid, out, 1, (struct conv){ 0 }, false, "%s._project_conv",
	    name);
	bn_layer_init(&b->bn2, ps, out, bn_momentum, bn_eps, "%s._bn2", name);
}

void
effnet_init(struct effnet *e, struct params *ps, const char *prefix,
    const struct effnet_config *cfg, int in_channels)
{
	int size = cfg->image_size, in = cfg->stem, n = 0;
	char name[128];

	*e = (struct effnet){ .cfg = *cfg };
	for (int s = 0; s < EFFNET_STAGES; s++)
		e->nblock += cfg->repeats[s];
	e->block = xcalloc((size_t)e->nblock, sizeof(*e->block));
	conv_layer_init(&e->stem, ps, in_channels, cfg->stem, 3, same_padding(&size, 3, 2), false,
	    "%s_conv_stem", prefix);
	bn_layer_init(&e->bn0, ps, cfg->stem, bn_momentum, bn_eps, "%s_bn0", prefix);
	for (int s = 0; s < EFFNET_STAGES; s++)
		for (int i = 0; i < cfg->repeats[s]; i++) {
			snprintf(name, sizeof(name), "%s_blocks.%d", prefix, n);
			block_init(&e->block[n++], ps, name, s, in, cfg->out[s], i == 0, &size);
			in = cfg->out[s];
		}
	conv_layer_init(&e->head, ps, in, cfg->head, 1, (struct conv){ 0 }, false, "%s_conv_head",
	    prefix);
	bn_layer_init(&e->bn1, ps, cfg->head, bn_momentum, bn_eps, "%s_bn1", prefix);
}

void
effnet_release(struct effnet *e)
{
	free(e->block);
	*e = (struct effnet){ 0 };
}

/* keep: [N,1,1,1] holding 0 or 1/(1-p), or NULL. */
static struct tensor *
block_forward(const struct effnet_block *b, struct tensor *x, bool train, struct tensor *keep)
{
	struct tensor *y = x, *s;

	if (b->has_expand)
		y = bn_layer_forward(&b->bn0, conv_layer_forward(&b->expand, y), train, ACT_SILU);
	y = bn_layer_forward(&b->bn1, conv_layer_forward(&b->depthwise, y), train, ACT_SILU);
	s = linear_layer_forward(&b->se_reduce, op_global_avg_pool(y), ACT_SILU);
	s = linear_layer_forward(&b->se_expand, s, ACT_SIGMOID);
	y = op_mul(y, op_view(s, y->dim[0], 1, 1, y->dim[3]));
	y = bn_layer_forward(&b->bn2, conv_layer_forward(&b->project, y), train, ACT_NONE);
	if (!b->skip)
		return y;
	return op_add(keep ? op_mul(y, keep) : y, x);
}

/* Which samples of the block's branch are kept at this step. */
static struct tensor *
drop_connect(int64_t n, double p, uint64_t seed, int block)
{
	struct rng r;
	float *v = xmalloc((size_t)n * sizeof(*v));
	struct tensor *t;

	rng_init(&r, seed, rng_stream("drop-connect", NULL) + (uint64_t)block);
	for (int64_t i = 0; i < n; i++)
		v[i] = rng_double(&r) < p ? 0 : (float)(1 / (1 - p));
	t = tensor_from(F32, 4, (int64_t[]){ n, 1, 1, 1 }, v);
	free(v);
	return t;
}

void
effnet_features(const struct effnet *e, struct tensor *x, bool train, uint64_t seed, int depth,
    struct tensor **f)
{
	int n = 0, at = 1;

	x = conv_layer_forward(&e->stem, x);
	f[0] = x = bn_layer_forward(&e->bn0, x, train, ACT_SILU);
	for (int s = 0; s < EFFNET_STAGES && at < depth; s++) {
		for (int i = 0; i < e->cfg.repeats[s]; i++, n++) {
			double p = e->cfg.drop_connect * n / e->nblock;
			struct tensor *keep = NULL;

			if (train && p > 0 && e->block[n].skip)
				keep = drop_connect(x->dim[0], p, seed, n);
			x = block_forward(&e->block[n], x, train, keep);
		}
		if (s == feature_after[at - 1])
			f[at++] = x;
	}
}
