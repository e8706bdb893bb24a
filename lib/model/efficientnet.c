#include "model/efficientnet.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/fold.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 160 };

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

/* ---- names -------------------------------------------------------------------------------- */

enum part { PART_EXPAND, PART_BN0, PART_DEPTHWISE, PART_BN1, PART_REDUCE, PART_WIDEN, PART_PROJECT,
	PART_BN2, PARTS };

/* Of a block that does not expand, and of one that does. */
static const char *const part_name[EFFNET_LAYOUTS][2][PARTS] = {
	[EFFNET_ORIGINAL] = {
		{ NULL, NULL, "_depthwise_conv", "_bn1", "_se_reduce", "_se_expand",
		    "_project_conv", "_bn2" },
		{ "_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_se_reduce", "_se_expand",
		    "_project_conv", "_bn2" },
	},
	[EFFNET_TORCHVISION] = {
		{ NULL, NULL, "block.0.0", "block.0.1", "block.1.fc1", "block.1.fc2", "block.2.0",
		    "block.2.1" },
		{ "block.0.0", "block.0.1", "block.1.0", "block.1.1", "block.2.fc1", "block.2.fc2",
		    "block.3.0", "block.3.1" },
	},
	[EFFNET_TIMM] = {
		{ NULL, NULL, "conv_dw", "bn1", "se.conv_reduce", "se.conv_expand", "conv_pw",
		    "bn2" },
		{ "conv_pw", "bn1", "conv_dw", "bn2", "se.conv_reduce", "se.conv_expand",
		    "conv_pwl", "bn3" },
	},
};
static const struct { const char *stem, *bn0, *head, *bn1, *classifier; }
outer_name[EFFNET_LAYOUTS] = {
	[EFFNET_ORIGINAL] = { "_conv_stem", "_bn0", "_conv_head", "_bn1", "_fc" },
	[EFFNET_TORCHVISION] = { "features.0.0", "features.0.1", "features.8.0", "features.8.1",
	    "classifier.1" },
	[EFFNET_TIMM] = { "conv_stem", "bn1", "conv_head", "bn2", "classifier" },
};

/* Block i of stage s, which is the n-th of all. */
static void
block_name(char *name, size_t size, enum effnet_layout layout, const char *prefix, int s, int i,
    int n)
{
	if (layout == EFFNET_ORIGINAL)
		snprintf(name, size, "%s_blocks.%d", prefix, n);
	else if (layout == EFFNET_TORCHVISION)
		snprintf(name, size, "%sfeatures.%d.%d", prefix, s + 1, i);
	else
		snprintf(name, size, "%sblocks.%d.%d", prefix, s, i);
}

const char *
effnet_head_name(const struct effnet_config *c)
{
	return outer_name[c->layout].classifier;
}

/* ---- from a file -------------------------------------------------------------------------- */

/* Outputs of a convolution, 0 if it is not there. */
static int
outputs(const struct safetensors *st, const char *block, const char *part)
{
	char name[NAME];
	const struct st_tensor *t;

	snprintf(name, sizeof(name), "%s%s%s.weight", block, *block ? "." : "", part);
	t = st_find(st, name);
	return t && t->ndim == 4 && t->dim[0] > 0 && t->dim[0] <= 1 << 16 ? (int)t->dim[0] : 0;
}

static int
projected(const struct safetensors *st, enum effnet_layout layout, int s, int i, int n)
{
	char block[64];

	block_name(block, sizeof(block), layout, "", s, i, n);
	return outputs(st, block, part_name[layout][stage[s].expand != 1][PART_PROJECT]);
}

/* Blocks of each stage. efficientnet-pytorch numbers them through: they are those of the net that
 * has as many in all. */
static void
count_blocks(struct effnet_config *c, const struct safetensors *st)
{
	int all = 0;

	for (int s = 0; s < EFFNET_STAGES && c->layout != EFFNET_ORIGINAL; s++)
		while (c->repeats[s] < 1000 && projected(st, c->layout, s, c->repeats[s], 0))
			c->repeats[s]++;
	if (c->layout != EFFNET_ORIGINAL)
		return;
	while (all < 1000 && projected(st, c->layout, 0, 0, all))
		all++;
	for (int v = 0; v < 8; v++) {
		char name[] = "efficientnet-b0";
		struct effnet_config k;
		int n = 0;

		name[14] = (char)('0' + v);
		effnet_config_named(&k, name);
		for (int s = 0; s < EFFNET_STAGES; s++)
			n += k.repeats[s];
		if (n == all)
			memcpy(c->repeats, k.repeats, sizeof(c->repeats));
	}
}

static int
known_as(const struct effnet_config *c)
{
	for (int v = 0; v < 8; v++) {
		char name[] = "efficientnet-b0";
		struct effnet_config k;

		name[14] = (char)('0' + v);
		effnet_config_named(&k, name);
		if (k.stem == c->stem && !memcmp(k.out, c->out, sizeof(k.out)) &&
		    !memcmp(k.repeats, c->repeats, sizeof(k.repeats)))
			return v;
	}
	return -1;
}

int
effnet_config_from(struct effnet_config *c, const struct safetensors *st, bool tf, int *known)
{
	int n = 0;

	*c = (struct effnet_config){ .image_size = 224, .drop_connect = 0.2 };
	while (c->layout < EFFNET_LAYOUTS && !outputs(st, "", outer_name[c->layout].head))
		c->layout++;
	if (c->layout == EFFNET_LAYOUTS)
		return err("%s: no EfficientNet: neither features.8.0, conv_head nor _conv_head is "
		    "there", st->path);
	c->stem = outputs(st, "", outer_name[c->layout].stem);
	c->head = outputs(st, "", outer_name[c->layout].head);
	count_blocks(c, st);
	for (int s = 0; s < EFFNET_STAGES; s++) {
		c->out[s] = c->repeats[s] ? projected(st, c->layout, s, 0, n) : 0;
		n += c->repeats[s];
		if (!c->stem || !c->out[s])
			return err("%s: no EfficientNet: its stage %d has no blocks", st->path,
			    s + 1);
	}
	*known = known_as(c);
	if (*known >= 0) {
		char name[] = "efficientnet-b0";
		struct effnet_config k;

		name[14] = (char)('0' + *known);
		effnet_config_named(&k, name);
		c->image_size = k.image_size;
	}
	c->even_padding = c->layout == EFFNET_TORCHVISION || (c->layout == EFFNET_TIMM && !tf);
	/* torchvision's b5 to b7 have TensorFlow's eps, as all that came from there */
	if (c->even_padding && !(c->layout == EFFNET_TORCHVISION && *known >= 5))
		c->bn_eps = 1e-5;
	return 0;
}

/* ---- the net ------------------------------------------------------------------------------ */

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
static const double bn_momentum = 0.01;

static double
eps_of(const struct effnet_config *c)
{
	return c->bn_eps > 0 ? c->bn_eps : 1e-3;
}

/* Convolution `part` of a block and the norm after it, whose name comes next in the table. */
static void
part_init(struct conv_layer *c, struct bn_layer *bn, struct params *ps, const char *block,
    const struct effnet_config *cfg, bool expands, enum part part, int in, int out, int k,
    struct conv geo)
{
	const char *const *of = part_name[cfg->layout][expands];
	char conv[NAME], norm[NAME];

	snprintf(conv, sizeof(conv), "%s.%s", block, of[part]);
	snprintf(norm, sizeof(norm), "%s.%s", block, of[part + 1]);
	conv_bn_init(c, bn, ps, in, out, k, geo, cfg->folded, bn_momentum, eps_of(cfg), conv, norm);
}

/* MBConv: expand 1x1, depthwise k x k, squeeze and excite, project 1x1. first: of its stage. The
 * depthwise padding is set later. */
static void
block_init(struct effnet_block *b, struct params *ps, const char *name,
    const struct effnet_config *cfg, int st, int in, bool first)
{
	int stride = first ? stage[st].stride : 1, mid = in * stage[st].expand, out = cfg->out[st];
	int squeezed = in / 4 > 1 ? in / 4 : 1;
	bool expands = stage[st].expand != 1;
	const char *const *part = part_name[cfg->layout][expands];

	b->has_expand = expands;
	/* The original compares a stage's own stride, a list, with 1: its first block has no
	 * shortcut. */
	b->skip = stride == 1 && in == out && (!first || cfg->layout != EFFNET_ORIGINAL);
	if (expands)
		part_init(&b->expand, &b->bn0, ps, name, cfg, expands, PART_EXPAND, in, mid, 1,
		    (struct conv){ 0 });
	part_init(&b->depthwise, &b->bn1, ps, name, cfg, expands, PART_DEPTHWISE, mid, mid,
	    stage[st].kernel, (struct conv){ .stride = stride, .groups = mid });
	linear_layer_init_1x1(&b->se_reduce, ps, mid, squeezed, true, "%s.%s", name,
	    part[PART_REDUCE]);
	linear_layer_init_1x1(&b->se_expand, ps, squeezed, mid, true, "%s.%s", name,
	    part[PART_WIDEN]);
	part_init(&b->project, &b->bn2, ps, name, cfg, expands, PART_PROJECT, mid, out, 1,
	    (struct conv){ 0 });
}

void
effnet_init(struct effnet *e, struct params *ps, const char *prefix,
    const struct effnet_config *cfg, int in_channels)
{
	int in = cfg->stem, n = 0;
	char name[NAME], norm[NAME];

	*e = (struct effnet){ .cfg = *cfg };
	for (int s = 0; s < EFFNET_STAGES; s++)
		e->nblock += cfg->repeats[s];
	e->block = xcalloc((size_t)e->nblock, sizeof(*e->block));
	snprintf(name, sizeof(name), "%s%s", prefix, outer_name[cfg->layout].stem);
	snprintf(norm, sizeof(norm), "%s%s", prefix, outer_name[cfg->layout].bn0);
	conv_bn_init(&e->stem, &e->bn0, ps, in_channels, cfg->stem, 3, (struct conv){ .stride = 2 },
	    cfg->folded, bn_momentum, eps_of(cfg), name, norm);
	for (int s = 0; s < EFFNET_STAGES; s++)
		for (int i = 0; i < cfg->repeats[s]; i++) {
			block_name(name, sizeof(name), cfg->layout, prefix, s, i, n);
			block_init(&e->block[n++], ps, name, cfg, s, in, i == 0);
			in = cfg->out[s];
		}
	snprintf(name, sizeof(name), "%s%s", prefix, outer_name[cfg->layout].head);
	snprintf(norm, sizeof(norm), "%s%s", prefix, outer_name[cfg->layout].bn1);
	conv_bn_init(&e->head, &e->bn1, ps, in, cfg->head, 1, (struct conv){ 0 }, cfg->folded,
	    bn_momentum, eps_of(cfg), name, norm);
	effnet_pad_for(e, cfg->image_size);
}

void
effnet_fold(const struct effnet_config *cfg, const struct safetensors *st, struct weights *w)
{
	char block[NAME / 2], conv[NAME], norm[NAME];
	int n = 0;

	for (int s = 0; s < EFFNET_STAGES; s++)
		for (int i = 0; i < cfg->repeats[s]; i++) {
			static const enum part convs[] = { PART_EXPAND, PART_DEPTHWISE,
				PART_PROJECT };
			bool expands = stage[s].expand != 1;
			const char *const *of = part_name[cfg->layout][expands];

			block_name(block, sizeof(block), cfg->layout, "", s, i, n++);
			for (int k = expands ? 0 : 1; k < 3; k++) {
				snprintf(conv, sizeof(conv), "%s.%s", block, of[convs[k]]);
				snprintf(norm, sizeof(norm), "%s.%s", block, of[convs[k] + 1]);
				fold_norm(w, st, conv, norm, eps_of(cfg));
			}
		}
	fold_norm(w, st, outer_name[cfg->layout].stem, outer_name[cfg->layout].bn0, eps_of(cfg));
	fold_norm(w, st, outer_name[cfg->layout].head, outer_name[cfg->layout].bn1, eps_of(cfg));
}

/* Padding of a k x k convolution, whose stride and groups stay. */
static void
pad(struct conv *geo, bool even, int *size, int k)
{
	struct conv p = even ? CONV_SAME(k) : same_padding(size, k, geo->stride);

	p.stride = geo->stride;
	p.groups = geo->groups;
	*geo = p;
}

void
effnet_pad_for(struct effnet *e, int side)
{
	int size = side, n = 0;

	pad(&e->stem.geo, e->cfg.even_padding, &size, 3);
	for (int s = 0; s < EFFNET_STAGES; s++)
		for (int i = 0; i < e->cfg.repeats[s]; i++)
			pad(&e->block[n++].depthwise.geo, e->cfg.even_padding, &size,
			    stage[s].kernel);
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

	scope_open();
	if (b->has_expand)
		y = conv_bn_forward(&b->expand, &b->bn0, y, train, ACT_SILU);
	y = conv_bn_forward(&b->depthwise, &b->bn1, y, train, ACT_SILU);
	s = linear_layer_forward(&b->se_reduce, op_global_avg_pool(y), ACT_SILU);
	s = linear_layer_forward(&b->se_expand, s, ACT_SIGMOID);
	y = op_mul(y, op_view(s, y->dim[0], 1, 1, y->dim[3]));
	y = conv_bn_forward(&b->project, &b->bn2, y, train, ACT_NONE);
	if (!b->skip)
		return scope_keep(y);
	return scope_keep(op_add(keep ? op_mul(y, keep) : y, x));
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

/* The block of a stage that its feature is taken from: the last, but of b0
 * segmentation_models.pytorch has the first one of the fifth stage (it counts nine blocks, where
 * that stage ends at eleven). */
static int
feature_block(const struct effnet_config *cfg, int s)
{
	bool b0 = cfg->layout == EFFNET_ORIGINAL;

	for (int i = 0; i < EFFNET_STAGES; i++)
		b0 = b0 && cfg->repeats[i] == stage[i].repeats;
	return b0 && s == 4 ? 0 : cfg->repeats[s] - 1;
}

void
effnet_features(const struct effnet *e, struct tensor *x, bool train, uint64_t seed, int depth,
    struct tensor **f)
{
	int n = 0, at = 1;

	f[0] = x = conv_bn_forward(&e->stem, &e->bn0, x, train, ACT_SILU);
	for (int s = 0; s < EFFNET_STAGES && at < depth; s++) {
		for (int i = 0; i < e->cfg.repeats[s]; i++, n++) {
			double p = e->cfg.drop_connect * n / e->nblock;
			struct tensor *keep = NULL;

			if (train && p > 0 && e->block[n].skip)
				keep = drop_connect(x->dim[0], p, seed, n);
			x = block_forward(&e->block[n], x, train, keep);
			if (s == feature_after[at - 1] && i == feature_block(&e->cfg, s))
				f[at] = x;
		}
		at += s == feature_after[at - 1];
	}
}

struct tensor *
effnet_pooled(const struct effnet *e, struct tensor *f4)
{
	return op_global_avg_pool(conv_bn_forward(&e->head, &e->bn1, f4, false, ACT_SILU));
}
