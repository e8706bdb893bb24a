#include "model/vgg.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 32 };
static const double bn_momentum = 0.1, bn_eps = 1e-5; /* PyTorch's */

int
vgg_config_named(struct vgg_config *c, const char *name)
{
	static const struct { const char *name; int convs[VGG_BLOCKS]; } known[] = {
		{ "vgg11", { 1, 1, 2, 2, 2 } },
		{ "vgg13", { 2, 2, 2, 2, 2 } },
		{ "vgg16", { 2, 2, 3, 3, 3 } },
		{ "vgg19", { 2, 2, 4, 4, 4 } },
	};

	*c = (struct vgg_config){ .hidden = 4096, .norm = strlen(name) == 8 };
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strncmp(name, known[i].name, 5) || (name[5] && strcmp(name + 5, "_bn")))
			continue;
		for (int b = 0; b < VGG_BLOCKS; b++)
			for (int k = 0; k < known[i].convs[b]; k++, c->n++) {
				c->out[c->n] = b < 4 ? 64 << b : 512;
				c->block[c->n] = b;
			}
		return 0;
	}
	return err("%s: no such VGG: vgg11, vgg13, vgg16, vgg19, each also with _bn", name);
}

/* Outputs of features.N if it has a weight of that many dimensions, 0 otherwise. */
static int
width_of(const struct safetensors *st, int n, int ndim)
{
	char name[NAME];
	const struct st_tensor *t;

	snprintf(name, sizeof(name), "features.%d.weight", n);
	t = st_find(st, name);
	return t && t->ndim == ndim && t->dim[0] > 0 && t->dim[0] <= 1 << 16 ? (int)t->dim[0] : 0;
}

int
vgg_config_from(struct vgg_config *c, const struct safetensors *st)
{
	const struct st_tensor *fc = st_find(st, "classifier.0.weight");
	int at = 0, block = 0;

	*c = (struct vgg_config){ .norm = width_of(st, 1, 1) > 0 };
	while (block < VGG_BLOCKS && c->n < VGG_MOST) {
		int out = width_of(st, at, 4);

		if (out) {
			c->out[c->n] = out;
			c->block[c->n++] = block;
			at += c->norm ? 3 : 2; /* ReLU is counted, too */
		} else {
			block++; /* a pool */
			at++;
		}
	}
	if (!c->n || c->block[c->n - 1] != VGG_BLOCKS - 1)
		return err("%s: no VGG: its features are not five blocks of convolutions",
		    st->path);
	if (!fc || fc->ndim != 2 || fc->dim[0] < 1 || fc->dim[0] > 1 << 20)
		return err("%s: no VGG: classifier.0.weight is not there", st->path);
	c->hidden = (int)fc->dim[0];
	return 0;
}

/* features.N of convolution i. */
static void
conv_name(char name[NAME], const struct vgg_config *c, int i, int after)
{
	snprintf(name, NAME, "features.%d", i * (c->norm ? 3 : 2) + c->block[i] + after);
}

static void
init_hidden(struct vgg *v, struct params *ps, const struct vgg_config *c)
{
	linear_layer_init(&v->fc0, ps, (int64_t)c->out[c->n - 1] * VGG_GRID * VGG_GRID, c->hidden,
	    true, "classifier.0");
	linear_layer_init(&v->fc3, ps, c->hidden, c->hidden, true, "classifier.3");
}

void
vgg_announce(struct params *ps, const struct vgg_config *c)
{
	struct conv_layer conv;
	struct bn_layer bn;
	struct vgg v;
	char name[NAME];

	for (int i = 0; i < c->n; i++) {
		conv_name(name, c, i, 0);
		conv_layer_init(&conv, ps, i ? c->out[i - 1] : 3, c->out[i], 3,
		    (struct conv){ 0 }, true, "%s", name);
		if (!c->norm)
			continue;
		conv_name(name, c, i, 1);
		bn_layer_init(&bn, ps, c->out[i], bn_momentum, bn_eps, "%s", name);
	}
	init_hidden(&v, ps, c);
}

void
vgg_init(struct vgg *v, struct params *ps, const struct vgg_config *c)
{
	char name[NAME];

	*v = (struct vgg){ .cfg = *c };
	for (int i = 0; i < c->n; i++) {
		conv_name(name, c, i, 0);
		folded_init(&v->conv[i], ps, i ? c->out[i - 1] : 3, c->out[i], 3, name);
	}
	init_hidden(v, ps, c);
}

void
vgg_fold(const struct vgg_config *c, const struct safetensors *st, struct weights *w)
{
	char conv[NAME], norm[NAME];

	for (int i = 0; i < c->n && c->norm; i++) {
		conv_name(conv, c, i, 0);
		conv_name(norm, c, i, 1);
		fold_norm(w, st, conv, norm, bn_eps);
	}
}

/* ---- forward ------------------------------------------------------------------------------ */

/* [VGG_GRID,n]: cell i is the mean of what reaches from i n/7, rounded down, to (i + 1) n/7,
 * rounded up. */
static struct tensor *
means(int64_t n)
{
	float *v = xcalloc((size_t)(VGG_GRID * n), sizeof(*v));
	struct tensor *t;

	for (int64_t i = 0; i < VGG_GRID; i++) {
		int64_t from = i * n / VGG_GRID, to = ((i + 1) * n + VGG_GRID - 1) / VGG_GRID;

		for (int64_t k = from; k < to; k++)
			v[i * n + k] = 1 / (float)(to - from);
	}
	t = tensor_from(F32, 2, (int64_t[]){ VGG_GRID, n }, v);
	free(v);
	return t;
}

/* [N,H,W,C] -> [N,C * 7 * 7], channels first: means over a grid of 7 x 7 cells */
static struct tensor *
to_grid(struct tensor *x)
{
	int64_t n = x->dim[0], h = x->dim[1], w = x->dim[2], c = x->dim[3];

	scope_open();
	if (h != VGG_GRID)
		x = op_matmul(means(h), op_view(x, n, h, w * c), false, false);
	x = op_view(x, n * VGG_GRID, w, c);
	if (w != VGG_GRID)
		x = op_matmul(means(w), x, false, false);
	x = op_permute(op_view(x, n, VGG_GRID, VGG_GRID, c), (int[]){ 0, 3, 1, 2 });
	return scope_keep(op_view(x, n, c * VGG_GRID * VGG_GRID));
}

struct tensor *
vgg_features(const struct vgg *v, struct tensor *x)
{
	const struct vgg_config *c = &v->cfg;

	scope_open();
	for (int i = 0; i < c->n; i++) {
		x = op_conv2d_act(x, v->conv[i].w, v->conv[i].b, CONV_SAME(3), ACT_RELU);
		if (i == c->n - 1 || c->block[i + 1] != c->block[i])
			x = op_max_pool2d(x, 2, 2, 0);
	}
	x = linear_layer_forward(&v->fc0, to_grid(x), ACT_RELU);
	return scope_keep(linear_layer_forward(&v->fc3, x, ACT_RELU));
}
