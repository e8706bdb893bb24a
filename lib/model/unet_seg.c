#include "model/unet_seg.h"

#include "base/err.h"

#include <stdio.h>
#include <string.h>

static int
scse_init(struct scse *a, struct params *ps, int c, const char *name)
{
	if (c < 16)
		return err("%s: scse attention wants at least 16 channels, here are %d", name, c);
	linear_layer_init_1x1(&a->reduce, ps, c, c / 16, true, "%s.attention.cSE.1", name);
	linear_layer_init_1x1(&a->expand, ps, c / 16, c, true, "%s.attention.cSE.3", name);
	conv_layer_init(&a->spatial, ps, c, 1, 1, (struct conv){ 0 }, true, "%s.attention.sSE.0",
	    name);
	return 0;
}

static struct tensor *
scse_forward(const struct scse *a, struct tensor *x)
{
	struct tensor *c = linear_layer_forward(&a->reduce, op_global_avg_pool(x), ACT_RELU), *s;

	c = linear_layer_forward(&a->expand, c, ACT_SIGMOID);
	s = op_sigmoid(conv_layer_forward(&a->spatial, x));
	return op_mul(x, op_add(op_view(c, x->dim[0], 1, 1, x->dim[3]), s));
}

static int
block_init(struct decoder_block *b, struct params *ps, int in, int skip, int out, bool scse,
    const char *name)
{
	char sub[160];

	*b = (struct decoder_block){ .scse = scse, .has_skip = skip > 0 };
	conv_layer_init(&b->conv1, ps, in + skip, out, 3, CONV_SAME(3), false, "%s.conv1.0", name);
	bn_layer_init(&b->bn1, ps, out, 0.1, 1e-5, "%s.conv1.1", name);
	if (scse) {
		snprintf(sub, sizeof(sub), "%s.attention1", name);
		if (scse_init(&b->att1, ps, in + skip, sub))
			return -1;
	}
	conv_layer_init(&b->conv2, ps, out, out, 3, CONV_SAME(3), false, "%s.conv2.0", name);
	bn_layer_init(&b->bn2, ps, out, 0.1, 1e-5, "%s.conv2.1", name);
	if (scse) {
		snprintf(sub, sizeof(sub), "%s.attention2", name);
		return scse_init(&b->att2, ps, out, sub);
	}
	return 0;
}

/* x [N,h,w,in], skip[0..n) [N,2h,2w,..] -> [N,2h,2w,out] */
static struct tensor *
block_forward(const struct decoder_block *b, struct tensor *x, struct tensor *const *skip, int n,
    bool train)
{
	struct tensor *in[UNET_MAXDEPTH + 2];

	x = op_resize_nearest(x, (int)x->dim[1] * 2, (int)x->dim[2] * 2);
	if (n) {
		in[0] = x;
		memcpy(in + 1, skip, (size_t)n * sizeof(struct tensor *));
		x = op_concat(in, n + 1, 3);
		if (b->scse)
			x = scse_forward(&b->att1, x);
	}
	x = bn_layer_forward(&b->bn1, conv_layer_forward(&b->conv1, x), train, ACT_RELU);
	x = bn_layer_forward(&b->bn2, conv_layer_forward(&b->conv2, x), train, ACT_RELU);
	return b->scse ? scse_forward(&b->att2, x) : x;
}

/* The features from the coarsest: c[0] is the head's, c[1..n) the skips'. */
static int
init_unet(struct unet_decoder *d, struct params *ps, const char *prefix, const int *c,
    const int *decoder, bool scse)
{
	char name[120];

	for (int i = 0; i < d->depth; i++) {
		snprintf(name, sizeof(name), "%sblocks.%d", prefix, i);
		if (block_init(&d->block[i], ps, i ? decoder[i - 1] : c[0],
		        i + 1 < d->depth ? c[i + 1] : 0, decoder[i], scse, name))
			return -1;
	}
	return 0;
}

static int
init_plusplus(struct unet_decoder *d, struct params *ps, const char *prefix, const int *c,
    const int *decoder, bool scse)
{
	char name[120];

	for (int l = 0; l + 1 < d->depth; l++)
		for (int k = 0; k <= l; k++) {
			int in = k ? c[l] : l ? decoder[l - 1] : c[0],
			    out = k ? c[l + 1] : decoder[l];

			snprintf(name, sizeof(name), "%sblocks.x_%d_%d", prefix, k, l);
			if (block_init(&d->dense[k][l], ps, in, c[l + 1] * (l + 1 - k), out, scse,
			        name))
				return -1;
		}
	snprintf(name, sizeof(name), "%sblocks.x_0_%d", prefix, d->depth - 1);
	return block_init(&d->dense[0][d->depth - 1], ps,
	    d->depth > 1 ? decoder[d->depth - 2] : c[0], 0, decoder[d->depth - 1], scse, name);
}

int
unet_decoder_init(struct unet_decoder *d, struct params *ps, const char *prefix, bool plusplus,
    int depth, const int *encoder, const int *decoder, bool scse)
{
	int c[UNET_MAXDEPTH];

	*d = (struct unet_decoder){ .depth = depth, .plusplus = plusplus };
	for (int i = 0; i < depth; i++)
		c[i] = encoder[depth - 1 - i];
	return plusplus ? init_plusplus(d, ps, prefix, c, decoder, scse) :
	                  init_unet(d, ps, prefix, c, decoder, scse);
}

static struct tensor *
forward_plusplus(const struct unet_decoder *d, struct tensor *const *c, bool train)
{
	struct tensor *x[UNET_MAXDEPTH][UNET_MAXDEPTH] = { 0 }, *skip[UNET_MAXDEPTH + 1];
	int last = d->depth - 1;

	for (int k = 0; k < last; k++)
		x[k][k] = block_forward(&d->dense[k][k], c[k], &c[k + 1], 1, train);
	for (int step = 1; step < last; step++)
		for (int k = 0; k + step < last; k++) {
			int l = k + step, n = 0;

			for (int i = k + 1; i <= l; i++)
				skip[n++] = x[i][l];
			skip[n++] = c[l + 1];
			x[k][l] = block_forward(&d->dense[k][l], x[k][l - 1], skip, n, train);
		}
	return block_forward(&d->dense[0][last], last ? x[0][last - 1] : c[0], NULL, 0, train);
}

struct tensor *
unet_decoder_forward(const struct unet_decoder *d, struct tensor *const *f, bool train)
{
	struct tensor *c[UNET_MAXDEPTH], *x = f[d->depth - 1];

	for (int i = 0; i < d->depth; i++)
		c[i] = f[d->depth - 1 - i];
	if (d->plusplus)
		return forward_plusplus(d, c, train);
	for (int i = 0; i < d->depth; i++) {
		bool skip = i + 1 < d->depth;

		x = block_forward(&d->block[i], x, skip ? &c[i + 1] : NULL, skip, train);
	}
	return x;
}
