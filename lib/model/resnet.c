#include "model/resnet.h"

#include "base/err.h"
#include "base/mem.h"
#include "model/fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 128 };
static const double bn_momentum = 0.1, bn_eps = 1e-5; /* PyTorch's */

int
resnet_config_named(struct resnet_config *c, const char *name)
{
	/* width: of layer1's blocks, twice as much in each after it */
	static const struct { const char *name; int blocks[4], width, expansion, groups; }
	known[] = {
		{ "resnet18", { 2, 2, 2, 2 }, 64, 1, 1 },
		{ "resnet34", { 3, 4, 6, 3 }, 64, 1, 1 },
		{ "resnet50", { 3, 4, 6, 3 }, 64, 4, 1 },
		{ "resnet101", { 3, 4, 23, 3 }, 64, 4, 1 },
		{ "resnet152", { 3, 8, 36, 3 }, 64, 4, 1 },
		{ "resnext50_32x4d", { 3, 4, 6, 3 }, 128, 2, 32 },
		{ "resnext101_32x8d", { 3, 4, 23, 3 }, 256, 1, 32 },
		{ "resnext101_64x4d", { 3, 4, 23, 3 }, 256, 1, 64 },
		{ "wide_resnet50_2", { 3, 4, 6, 3 }, 128, 2, 1 },
		{ "wide_resnet101_2", { 3, 4, 23, 3 }, 128, 2, 1 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(name, known[i].name)) {
			*c = (struct resnet_config){ .stem = 64, .expansion = known[i].expansion,
				.groups = known[i].groups };
			for (int l = 0; l < 4; l++)
				c->width[l] = known[i].width << l;
			memcpy(c->blocks, known[i].blocks, sizeof(c->blocks));
			return 0;
		}
	return err("%s: no such ResNet", name);
}

/* Dimension `at` of PREFIX layerL.B.convK.weight (L 0: PREFIX conv1.weight); 0 without it. */
static int
side(const struct safetensors *st, const char *prefix, int l, int b, int k, int at)
{
	char *name = l ? xasprintf("%slayer%d.%d.conv%d.weight", prefix, l, b, k)
	               : xasprintf("%sconv1.weight", prefix);
	const struct st_tensor *t = st_find(st, name);

	free(name);
	return t && t->ndim == 4 && t->dim[at] > 0 && t->dim[at] <= 1 << 16 ? (int)t->dim[at] : 0;
}

int
resnet_config_from(struct resnet_config *c, const struct safetensors *st, const char *prefix)
{
	int width = side(st, prefix, 1, 0, 1, 0), out = side(st, prefix, 1, 0, 3, 0);
	int each = side(st, prefix, 1, 0, 2, 1); /* inputs of a group */

	*c = (struct resnet_config){ .stem = side(st, prefix, 0, 0, 0, 0), .expansion = 1,
		.groups = 1 };
	for (int l = 0; l < 4; l++) {
		c->width[l] = side(st, prefix, l + 1, 0, 1, 0);
		while (c->blocks[l] < 1000 && side(st, prefix, l + 1, c->blocks[l], 1, 0))
			c->blocks[l]++;
		if (!c->stem || !c->blocks[l])
			return err("%s: no ResNet: %sconv1 or %slayer%d are missing", st->path,
			    prefix, prefix, l + 1);
	}
	if (!out)
		return 0;
	if (!each || width % each || out % width || out / width > 64)
		return err("%s: no ResNet: its blocks have %d, %d and %d channels", st->path, width,
		    each, out);
	c->expansion = out / width;
	c->groups = width / each;
	return 0;
}

void
resnet_channels(const struct resnet_config *cfg, int *c)
{
	c[0] = cfg->stem;
	for (int i = 0; i < 4; i++)
		c[i + 1] = cfg->width[i] * cfg->expansion;
}

/* One residual block; the stride is at its first 3x3 convolution. */
static void
block_init(struct resnet_block *b, struct params *ps, const char *name, int in, int width,
    const struct resnet_config *cfg, int stride)
{
	bool basic = cfg->expansion == 1 && cfg->groups <= 1;
	int out = width * cfg->expansion, c[4] = { in, width, basic ? out : width, out };
	char conv[NAME + 16], bn[NAME + 16];

	b->nconv = basic ? 2 : 3;
	for (int i = 0; i < b->nconv; i++) {
		bool wide = basic || i == 1; /* a 3x3 one */
		struct conv geo = wide ? CONV_SAME(3) : (struct conv){ 0 };

		geo.stride = i == b->nconv - 2 ? stride : 1;
		geo.groups = wide ? cfg->groups : 0;
		snprintf(conv, sizeof(conv), "%s.conv%d", name, i + 1);
		snprintf(bn, sizeof(bn), "%s.bn%d", name, i + 1);
		conv_bn_init(&b->conv[i], &b->bn[i], ps, c[i], c[i + 1], wide ? 3 : 1, geo,
		    cfg->folded, bn_momentum, bn_eps, conv, bn);
	}
	b->has_down = stride != 1 || in != out;
	if (b->has_down) {
		snprintf(conv, sizeof(conv), "%s.downsample.0", name);
		snprintf(bn, sizeof(bn), "%s.downsample.1", name);
		conv_bn_init(&b->down, &b->down_bn, ps, in, out, 1,
		    (struct conv){ .stride = stride }, cfg->folded, bn_momentum, bn_eps, conv, bn);
	}
}

void
resnet_init(struct resnet *r, struct params *ps, const char *prefix,
    const struct resnet_config *cfg, int in_channels)
{
	char name[NAME], bn[NAME];
	int in = cfg->stem, n = 0;
	struct conv stem = { .stride = 2, .left = 3, .right = 3, .top = 3, .bottom = 3 };

	*r = (struct resnet){ .cfg = *cfg };
	for (int i = 0; i < 4; i++)
		r->nblock += cfg->blocks[i];
	r->block = xcalloc((size_t)r->nblock, sizeof(*r->block));
	snprintf(name, sizeof(name), "%sconv1", prefix);
	snprintf(bn, sizeof(bn), "%sbn1", prefix);
	conv_bn_init(&r->conv1, &r->bn1, ps, in_channels, cfg->stem, 7, stem, cfg->folded,
	    bn_momentum, bn_eps, name, bn);
	for (int l = 0; l < 4; l++)
		for (int i = 0; i < cfg->blocks[l]; i++) {
			snprintf(name, sizeof(name), "%slayer%d.%d", prefix, l + 1, i);
			block_init(&r->block[n++], ps, name, in, cfg->width[l], cfg,
			    i == 0 && l > 0 ? 2 : 1);
			in = cfg->width[l] * cfg->expansion;
		}
}

void
resnet_fold(const struct safetensors *st, struct weights *w)
{
	for (int i = 0; i < st->n; i++) {
		const char *name = st->t[i].name, *end = strrchr(name, '.');
		char *conv, *norm, *at;

		if (st->t[i].ndim != 4)
			continue;
		/* conv1 goes with bn1, downsample.0 with downsample.1 */
		conv = xstrndup(name, (size_t)(end - name));
		at = strrchr(conv, '.');
		at = at ? at + 1 : conv;
		norm = *at == '0' ? xasprintf("%.*s1", (int)(at - conv), conv)
		                  : xasprintf("%.*sbn%s", (int)(at - conv), conv, at + 4);
		fold_norm(w, st, conv, norm, bn_eps);
		free(conv);
		free(norm);
	}
}

void
resnet_release(struct resnet *r)
{
	free(r->block);
	*r = (struct resnet){ 0 };
}

/* x [N,H,W,C] -> relu(F(x) + shortcut(x)) */
static struct tensor *
block_forward(const struct resnet_block *b, struct tensor *x, bool train)
{
	struct tensor *y = x, *short_cut = x;

	scope_open();
	for (int i = 0; i < b->nconv; i++)
		y = conv_bn_forward(&b->conv[i], &b->bn[i], y, train,
		    i == b->nconv - 1 ? ACT_NONE : ACT_RELU);
	if (b->has_down)
		short_cut = conv_bn_forward(&b->down, &b->down_bn, x, train, ACT_NONE);
	return scope_keep(op_relu(op_add(y, short_cut)));
}

void
resnet_features(const struct resnet *r, struct tensor *x, bool train, int depth, struct tensor **f)
{
	const struct resnet_block *b = r->block;

	f[0] = x = conv_bn_forward(&r->conv1, &r->bn1, x, train, ACT_RELU);
	for (int l = 0; l + 1 < depth; l++) {
		if (l == 0)
			x = op_max_pool2d(x, 3, 2, 1);
		for (int i = 0; i < r->cfg.blocks[l]; i++)
			x = block_forward(b++, x, train);
		f[l + 1] = x;
	}
}
