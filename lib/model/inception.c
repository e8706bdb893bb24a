#include "model/inception.h"

#include "model/fold.h"

#include <stdio.h>

/* The convolutions in the order in which the blocks below take them. */
static const struct unit {
	const char *name;
	int in, out, kh, kw, stride;
	bool pad; /* so that the size stays */
} units[INCEPTION_UNITS] = {
	{ "Conv2d_1a_3x3", 3, 32, 3, 3, 2, false },
	{ "Conv2d_2a_3x3", 32, 32, 3, 3, 1, false },
	{ "Conv2d_2b_3x3", 32, 64, 3, 3, 1, true },
	{ "Conv2d_3b_1x1", 64, 80, 1, 1, 1, true },
	{ "Conv2d_4a_3x3", 80, 192, 3, 3, 1, false },
	{ "Mixed_5b.branch1x1", 192, 64, 1, 1, 1, true },
	{ "Mixed_5b.branch5x5_1", 192, 48, 1, 1, 1, true },
	{ "Mixed_5b.branch5x5_2", 48, 64, 5, 5, 1, true },
	{ "Mixed_5b.branch3x3dbl_1", 192, 64, 1, 1, 1, true },
	{ "Mixed_5b.branch3x3dbl_2", 64, 96, 3, 3, 1, true },
	{ "Mixed_5b.branch3x3dbl_3", 96, 96, 3, 3, 1, true },
	{ "Mixed_5b.branch_pool", 192, 32, 1, 1, 1, true },
	{ "Mixed_5c.branch1x1", 256, 64, 1, 1, 1, true },
	{ "Mixed_5c.branch5x5_1", 256, 48, 1, 1, 1, true },
	{ "Mixed_5c.branch5x5_2", 48, 64, 5, 5, 1, true },
	{ "Mixed_5c.branch3x3dbl_1", 256, 64, 1, 1, 1, true },
	{ "Mixed_5c.branch3x3dbl_2", 64, 96, 3, 3, 1, true },
	{ "Mixed_5c.branch3x3dbl_3", 96, 96, 3, 3, 1, true },
	{ "Mixed_5c.branch_pool", 256, 64, 1, 1, 1, true },
	{ "Mixed_5d.branch1x1", 288, 64, 1, 1, 1, true },
	{ "Mixed_5d.branch5x5_1", 288, 48, 1, 1, 1, true },
	{ "Mixed_5d.branch5x5_2", 48, 64, 5, 5, 1, true },
	{ "Mixed_5d.branch3x3dbl_1", 288, 64, 1, 1, 1, true },
	{ "Mixed_5d.branch3x3dbl_2", 64, 96, 3, 3, 1, true },
	{ "Mixed_5d.branch3x3dbl_3", 96, 96, 3, 3, 1, true },
	{ "Mixed_5d.branch_pool", 288, 64, 1, 1, 1, true },
	{ "Mixed_6a.branch3x3", 288, 384, 3, 3, 2, false },
	{ "Mixed_6a.branch3x3dbl_1", 288, 64, 1, 1, 1, true },
	{ "Mixed_6a.branch3x3dbl_2", 64, 96, 3, 3, 1, true },
	{ "Mixed_6a.branch3x3dbl_3", 96, 96, 3, 3, 2, false },
	{ "Mixed_6b.branch1x1", 768, 192, 1, 1, 1, true },
	{ "Mixed_6b.branch7x7_1", 768, 128, 1, 1, 1, true },
	{ "Mixed_6b.branch7x7_2", 128, 128, 1, 7, 1, true },
	{ "Mixed_6b.branch7x7_3", 128, 192, 7, 1, 1, true },
	{ "Mixed_6b.branch7x7dbl_1", 768, 128, 1, 1, 1, true },
	{ "Mixed_6b.branch7x7dbl_2", 128, 128, 7, 1, 1, true },
	{ "Mixed_6b.branch7x7dbl_3", 128, 128, 1, 7, 1, true },
	{ "Mixed_6b.branch7x7dbl_4", 128, 128, 7, 1, 1, true },
	{ "Mixed_6b.branch7x7dbl_5", 128, 192, 1, 7, 1, true },
	{ "Mixed_6b.branch_pool", 768, 192, 1, 1, 1, true },
	{ "Mixed_6c.branch1x1", 768, 192, 1, 1, 1, true },
	{ "Mixed_6c.branch7x7_1", 768, 160, 1, 1, 1, true },
	{ "Mixed_6c.branch7x7_2", 160, 160, 1, 7, 1, true },
	{ "Mixed_6c.branch7x7_3", 160, 192, 7, 1, 1, true },
	{ "Mixed_6c.branch7x7dbl_1", 768, 160, 1, 1, 1, true },
	{ "Mixed_6c.branch7x7dbl_2", 160, 160, 7, 1, 1, true },
	{ "Mixed_6c.branch7x7dbl_3", 160, 160, 1, 7, 1, true },
	{ "Mixed_6c.branch7x7dbl_4", 160, 160, 7, 1, 1, true },
	{ "Mixed_6c.branch7x7dbl_5", 160, 192, 1, 7, 1, true },
	{ "Mixed_6c.branch_pool", 768, 192, 1, 1, 1, true },
	{ "Mixed_6d.branch1x1", 768, 192, 1, 1, 1, true },
	{ "Mixed_6d.branch7x7_1", 768, 160, 1, 1, 1, true },
	{ "Mixed_6d.branch7x7_2", 160, 160, 1, 7, 1, true },
	{ "Mixed_6d.branch7x7_3", 160, 192, 7, 1, 1, true },
	{ "Mixed_6d.branch7x7dbl_1", 768, 160, 1, 1, 1, true },
	{ "Mixed_6d.branch7x7dbl_2", 160, 160, 7, 1, 1, true },
	{ "Mixed_6d.branch7x7dbl_3", 160, 160, 1, 7, 1, true },
	{ "Mixed_6d.branch7x7dbl_4", 160, 160, 7, 1, 1, true },
	{ "Mixed_6d.branch7x7dbl_5", 160, 192, 1, 7, 1, true },
	{ "Mixed_6d.branch_pool", 768, 192, 1, 1, 1, true },
	{ "Mixed_6e.branch1x1", 768, 192, 1, 1, 1, true },
	{ "Mixed_6e.branch7x7_1", 768, 192, 1, 1, 1, true },
	{ "Mixed_6e.branch7x7_2", 192, 192, 1, 7, 1, true },
	{ "Mixed_6e.branch7x7_3", 192, 192, 7, 1, 1, true },
	{ "Mixed_6e.branch7x7dbl_1", 768, 192, 1, 1, 1, true },
	{ "Mixed_6e.branch7x7dbl_2", 192, 192, 7, 1, 1, true },
	{ "Mixed_6e.branch7x7dbl_3", 192, 192, 1, 7, 1, true },
	{ "Mixed_6e.branch7x7dbl_4", 192, 192, 7, 1, 1, true },
	{ "Mixed_6e.branch7x7dbl_5", 192, 192, 1, 7, 1, true },
	{ "Mixed_6e.branch_pool", 768, 192, 1, 1, 1, true },
	{ "Mixed_7a.branch3x3_1", 768, 192, 1, 1, 1, true },
	{ "Mixed_7a.branch3x3_2", 192, 320, 3, 3, 2, false },
	{ "Mixed_7a.branch7x7x3_1", 768, 192, 1, 1, 1, true },
	{ "Mixed_7a.branch7x7x3_2", 192, 192, 1, 7, 1, true },
	{ "Mixed_7a.branch7x7x3_3", 192, 192, 7, 1, 1, true },
	{ "Mixed_7a.branch7x7x3_4", 192, 192, 3, 3, 2, false },
	{ "Mixed_7b.branch1x1", 1280, 320, 1, 1, 1, true },
	{ "Mixed_7b.branch3x3_1", 1280, 384, 1, 1, 1, true },
	{ "Mixed_7b.branch3x3_2a", 384, 384, 1, 3, 1, true },
	{ "Mixed_7b.branch3x3_2b", 384, 384, 3, 1, 1, true },
	{ "Mixed_7b.branch3x3dbl_1", 1280, 448, 1, 1, 1, true },
	{ "Mixed_7b.branch3x3dbl_2", 448, 384, 3, 3, 1, true },
	{ "Mixed_7b.branch3x3dbl_3a", 384, 384, 1, 3, 1, true },
	{ "Mixed_7b.branch3x3dbl_3b", 384, 384, 3, 1, 1, true },
	{ "Mixed_7b.branch_pool", 1280, 192, 1, 1, 1, true },
	{ "Mixed_7c.branch1x1", 2048, 320, 1, 1, 1, true },
	{ "Mixed_7c.branch3x3_1", 2048, 384, 1, 1, 1, true },
	{ "Mixed_7c.branch3x3_2a", 384, 384, 1, 3, 1, true },
	{ "Mixed_7c.branch3x3_2b", 384, 384, 3, 1, 1, true },
	{ "Mixed_7c.branch3x3dbl_1", 2048, 448, 1, 1, 1, true },
	{ "Mixed_7c.branch3x3dbl_2", 448, 384, 3, 3, 1, true },
	{ "Mixed_7c.branch3x3dbl_3a", 384, 384, 1, 3, 1, true },
	{ "Mixed_7c.branch3x3dbl_3b", 384, 384, 3, 1, 1, true },
	{ "Mixed_7c.branch_pool", 2048, 192, 1, 1, 1, true },
};
/* The first of each block. */
enum { STEM_1 = 0, STEM_2 = 3, MIXED_5B = 5, MIXED_5C = 12, MIXED_5D = 19, MIXED_6A = 26,
    MIXED_6B = 30,
	MIXED_6C = 40, MIXED_6D = 50, MIXED_6E = 60, MIXED_7A = 70, MIXED_7B = 76, MIXED_7C = 85 };

static const double bn_eps = 1e-3;

/* ---- the file ----------------------------------------------------------------------------- */

void
inception_announce(struct params *ps)
{
	static const char *const vector[] = { "weight", "bias", "running_mean", "running_var" };
	const int64_t classes = INCEPTION_CLASSES;

	for (int i = 0; i < INCEPTION_UNITS; i++) {
		const struct unit *u = &units[i];
		const int64_t out = u->out;

		params_add(ps, NULL, PARAM_CONV, 4, (int64_t[]){ u->out, u->in, u->kh, u->kw },
		    "%s.conv.weight", u->name);
		for (int k = 0; k < 4; k++)
			params_add(ps, NULL, k < 2 ? PARAM_PLAIN : PARAM_BUFFER, 1, &out,
			    "%s.bn.%s", u->name, vector[k]);
		params_add(ps, NULL, PARAM_COUNT, 0, NULL, "%s.bn.num_batches_tracked", u->name);
	}
	params_add(ps, NULL, PARAM_PLAIN, 2, (int64_t[]){ classes, INCEPTION_DIM }, "fc.weight");
	params_add(ps, NULL, PARAM_PLAIN, 1, &classes, "fc.bias");
}

static int
check(const struct safetensors *st)
{
	bool was = params_outline(true);
	struct params ps;
	int ret;

	params_init(&ps, F32, false);
	inception_announce(&ps);
	params_ready(&ps);
	params_outline(was);
	ret = params_check(&ps, st, "", PARAMS_LIST);
	params_release(&ps);
	return ret;
}

int
inception_load(struct inception *m, const struct safetensors *st)
{
	char conv[64], norm[64];
	struct weights w;
	int ret;

	*m = (struct inception){ 0 };
	if (check(st))
		return -1;
	weights_init(&w, st->path);
	params_init(&m->ps, F32, false);
	for (int i = 0; i < INCEPTION_UNITS; i++) {
		const struct unit *u = &units[i];
		const int64_t dim[4] = { u->out, u->in, u->kh, u->kw };

		params_add(&m->ps, &m->unit[i].w, PARAM_CONV, 4, dim, "%s.conv.weight", u->name);
		params_add(&m->ps, &m->unit[i].b, PARAM_PLAIN, 1, dim, "%s.conv.bias", u->name);
		snprintf(conv, sizeof(conv), "%s.conv", u->name);
		snprintf(norm, sizeof(norm), "%s.bn", u->name);
		fold_norm(&w, st, conv, norm, bn_eps);
	}
	linear_layer_init(&m->fc, &m->ps, INCEPTION_DIM, INCEPTION_CLASSES, true, "fc");
	weights_add(&w, "fc.weight", st_find(st, "fc.weight"));
	weights_add(&w, "fc.bias", st_find(st, "fc.bias"));
	params_ready(&m->ps);
	ret = params_load(&m->ps, &w.st, "", PARAMS_LIST);
	weights_close(&w);
	if (ret)
		inception_release(m);
	return ret;
}

void
inception_release(struct inception *m)
{
	params_release(&m->ps);
	*m = (struct inception){ 0 };
}

/* ---- forward ------------------------------------------------------------------------------ */

/* Convolution `at`: [N,H,W,in] -> relu [N,H',W',out] */
static struct tensor *
unit(const struct inception *m, int at, struct tensor *x)
{
	const struct unit *u = &units[at];
	int h = u->pad ? u->kh / 2 : 0, w = u->pad ? u->kw / 2 : 0;

	return op_conv2d_act(x, m->unit[at].w, m->unit[at].b,
	    (struct conv){ .stride = u->stride, .left = w, .right = w, .top = h, .bottom = h },
	    ACT_RELU);
}

/* Convolutions at, at + 1, ..., n of them, one after the other. */
static struct tensor *
chain(const struct inception *m, int at, int n, struct tensor *x)
{
	for (int i = 0; i < n; i++)
		x = unit(m, at + i, x);
	return x;
}

static struct tensor *
mean_pool(struct tensor *x)
{
	return op_avg_pool2d(x, 3, 1, 1, false);
}

/* The blocks: branches side by side, joined along the channels. */

static struct tensor *
block_a(const struct inception *m, int at, struct tensor *x)
{
	scope_open();
	return scope_keep(op_concat((struct tensor *[]){ unit(m, at, x), chain(m, at + 1, 2, x),
	    chain(m, at + 3, 3, x), unit(m, at + 6, mean_pool(x)) }, 4, 3));
}

static struct tensor *
block_b(const struct inception *m, struct tensor *x)
{
	scope_open();
	return scope_keep(op_concat((struct tensor *[]){ unit(m, MIXED_6A, x),
	                                chain(m, MIXED_6A + 1, 3, x), op_max_pool2d(x, 3, 2, 0) },
	    3, 3));
}

static struct tensor *
block_c(const struct inception *m, int at, struct tensor *x)
{
	scope_open();
	return scope_keep(op_concat((struct tensor *[]){ unit(m, at, x), chain(m, at + 1, 3, x),
	    chain(m, at + 4, 5, x), unit(m, at + 9, mean_pool(x)) }, 4, 3));
}

static struct tensor *
block_d(const struct inception *m, struct tensor *x)
{
	scope_open();
	return scope_keep(op_concat((struct tensor *[]){ chain(m, MIXED_7A, 2, x),
	                                chain(m, MIXED_7A + 2, 4, x), op_max_pool2d(x, 3, 2, 0) },
	    3, 3));
}

static struct tensor *
block_e(const struct inception *m, int at, struct tensor *x)
{
	struct tensor *three, *twice, *pool;

	scope_open();
	three = unit(m, at + 1, x);
	twice = chain(m, at + 4, 2, x);
	pool = at == MIXED_7C ? op_max_pool2d(x, 3, 1, 1) : mean_pool(x);
	return scope_keep(op_concat((struct tensor *[]){ unit(m, at, x), unit(m, at + 2, three),
	                                unit(m, at + 3, three), unit(m, at + 6, twice),
	                                unit(m, at + 7, twice), unit(m, at + 8, pool) },
	    6, 3));
}

bool
inception_has(int dims)
{
	return dims == 64 || dims == 192 || dims == 768 || dims == INCEPTION_DIM;
}

struct tensor *
inception_features(const struct inception *m, struct tensor *x, int dims)
{
	scope_open();
	x = op_max_pool2d(chain(m, STEM_1, STEM_2 - STEM_1, x), 3, 2, 0);
	if (dims > 64)
		x = op_max_pool2d(chain(m, STEM_2, MIXED_5B - STEM_2, x), 3, 2, 0);
	if (dims > 192) {
		x = block_a(m, MIXED_5D, block_a(m, MIXED_5C, block_a(m, MIXED_5B, x)));
		x = block_c(m, MIXED_6C, block_c(m, MIXED_6B, block_b(m, x)));
		x = block_c(m, MIXED_6E, block_c(m, MIXED_6D, x));
	}
	if (dims > 768)
		x = block_e(m, MIXED_7C, block_e(m, MIXED_7B, block_d(m, x)));
	return scope_keep(op_global_avg_pool(x));
}

struct tensor *
inception_logits(const struct inception *m, struct tensor *features, bool bias)
{
	return op_linear(features, m->fc.w, bias ? m->fc.b : NULL);
}
