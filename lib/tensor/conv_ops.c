/* The ops of convolution: each one's gradients are the two others. */
#include "tensor/conv.h"
#include "tensor/op.h"

#include <string.h>

static struct tensor *weight_op(struct tensor *x, struct tensor *gy, const int64_t w[4],
    struct conv g);
static struct tensor *transpose_op(struct tensor *gy, struct tensor *w, struct tensor *b,
    struct conv g, const int64_t x[4]);

static void
keep_geometry(struct node *n, struct conv g, const int64_t dim[4])
{
	const int64_t i[] = { g.stride, g.left, g.right, g.top, g.bottom, g.dilation, g.groups };

	memcpy(n->i, i, sizeof(i));
	memcpy(n->i + 8, dim, 4 * sizeof(*dim));
}

static struct conv
geometry(const struct node *n)
{
	return (struct conv){ (int)n->i[0], (int)n->i[1], (int)n->i[2], (int)n->i[3], (int)n->i[4],
		(int)n->i[5], (int)n->i[6] };
}

static void
want_bias(const char *op, const struct tensor *b, int64_t channels)
{
	if (b && (b->ndim != 1 || b->dim[0] != channels))
		op_die(op, "bias %s for %lld channels", tensor_shape(b), (long long)channels);
}

/* ---- forward --------------------------------------------------------------------------------- */

static void
conv2d_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	const struct conv c = geometry(n);

	if (n->need[0])
		g[0] = transpose_op(gy, n->save[1], NULL, c, n->in[0]->dim);
	if (n->need[1])
		g[1] = weight_op(n->save[0], gy, n->in[1]->dim, c);
	if (n->need[2])
		g[2] = op_cast(op_sum(gy, 7, false), n->in[2]->dtype);
}

static struct tensor *
conv2d(struct tensor *x, struct tensor *w, struct tensor *b, struct conv g, double slope)
{
	struct tensor *in[] = { x, w, b }, *y;
	struct conv_shape s;
	struct node *n;

	if (x->ndim != 4)
		op_die("op_conv2d", "%s is no image", tensor_shape(x));
	s = conv_shape("op_conv2d", x->dim, w, g);
	want_weight("op_conv2d", x, w);
	want_bias("op_conv2d", b, w->dim[0]);
	y = (conv_is_depthwise(&s) ? depthwise_forward : conv_forward)(x, w, b, &s, slope);
	n = op_done("op_conv2d", y, in, 3, conv2d_back);
	if (n) {
		node_save(n, n->need[1] ? x : NULL);
		node_save(n, n->need[0] ? w : NULL);
		keep_geometry(n, g, w->dim);
	}
	return y;
}

struct tensor *
op_conv2d(struct tensor *x, struct tensor *w, struct tensor *b, struct conv g)
{
	return conv2d(x, w, b, g, 1);
}

struct tensor *
op_conv2d_act(struct tensor *x, struct tensor *w, struct tensor *b, struct conv g, enum act act)
{
	double slope;

	if (act_fuses(act, (struct tensor *[]){ x, w, b }, 3, &slope))
		return conv2d(x, w, b, g, slope);
	return op_act(conv2d(x, w, b, g, 1), act);
}

struct tensor *
op_up2_conv2d(struct tensor *x, struct tensor *w, struct tensor *b)
{
	struct tensor *in[] = { x, w, b }, *y;
	bool recorded = false;

	if (x->ndim != 4 || w->ndim != 4 || w->dim[1] != 3 || w->dim[2] != 3 ||
	    w->dim[3] != x->dim[3])
		op_die("op_up2_conv2d", "%s and weight %s", tensor_shape(x), tensor_shape(w));
	want_weight("op_up2_conv2d", x, w);
	want_bias("op_up2_conv2d", b, w->dim[0]);
	for (int i = 0; i < 3; i++)
		recorded |= grads_on() && in[i] && in[i]->requires_grad;
	scope_open();
	/* sums of bf16 weights would lose what little they have */
	if (recorded || w->dtype == BF16) {
		y = op_conv2d(op_resize_nearest(x, 2 * (int)x->dim[1], 2 * (int)x->dim[2]), w, b,
		    CONV_SAME(3));
	} else {
		y = conv_up2(x, w, b);
		op_done("op_up2_conv2d", y, in, 3, NULL);
	}
	return scope_keep(y);
}

/* ---- transpose: the gradient of x ------------------------------------------------------------ */

static void
transpose_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	const struct conv c = geometry(n);

	if (n->need[0])
		g[0] = op_conv2d(gy, n->save[1], NULL, c);
	if (n->need[1])
		g[1] = weight_op(gy, n->save[0], n->in[1]->dim, c);
	if (n->need[2])
		g[2] = op_cast(op_sum(gy, 7, false), n->in[2]->dtype);
}

/* x: the shape of the result. */
static struct tensor *
transpose_op(struct tensor *gy, struct tensor *w, struct tensor *b, struct conv g,
    const int64_t x[4])
{
	struct tensor *in[] = { gy, w, b }, *y;
	struct conv_shape s;
	struct node *n;

	want_same_dtype("op_conv_transpose2d", gy, w);
	s = conv_shape("op_conv_transpose2d", x, w, g);
	want_bias("op_conv_transpose2d", b, s.groups * s.i);
	if (gy->ndim != 4 || gy->dim[0] != s.n || gy->dim[1] != s.oh || gy->dim[2] != s.ow ||
	    gy->dim[3] != w->dim[0])
		op_die("op_conv_transpose2d", "%s and weight %s", tensor_shape(gy),
		    tensor_shape(w));
	y = (conv_is_depthwise(&s) ? depthwise_transpose : conv_transpose)(gy, w, b, &s);
	n = op_done("op_conv_transpose2d", y, in, 3, transpose_back);
	if (n) {
		node_save(n, n->need[1] ? gy : NULL);
		node_save(n, n->need[0] ? w : NULL);
		keep_geometry(n, g, w->dim);
	}
	return y;
}

struct tensor *
op_conv_transpose2d(struct tensor *x, struct tensor *w, struct tensor *b, struct conv g,
    int extra_h, int extra_w)
{
	const int s = g.stride ? g.stride : 1, d = g.dilation ? g.dilation : 1;
	int64_t dim[4];

	if (x->ndim != 4 || w->ndim != 4 || extra_h < 0 || extra_h >= s || extra_w < 0 ||
	    extra_w >= s)
		op_die("op_conv_transpose2d", "%s by %s, extra %d and %d", tensor_shape(x),
		    tensor_shape(w), extra_h, extra_w);
	dim[0] = x->dim[0];
	dim[1] = (x->dim[1] - 1) * s + d * (w->dim[1] - 1) + 1 - g.top - g.bottom + extra_h;
	dim[2] = (x->dim[2] - 1) * s + d * (w->dim[2] - 1) + 1 - g.left - g.right + extra_w;
	dim[3] = w->dim[3] * (g.groups ? g.groups : 1);
	return transpose_op(x, w, b, g, dim);
}

/* ---- the gradient of w ----------------------------------------------------------------------- */

static void
weight_back(struct node *n, struct tensor *gw, struct tensor **g)
{
	const struct conv c = geometry(n);

	if (n->need[0])
		g[0] = transpose_op(n->save[1], gw, NULL, c, n->in[0]->dim);
	if (n->need[1])
		g[1] = op_conv2d(n->save[0], gw, NULL, c);
}

/* w: the shape of the result. */
static struct tensor *
weight_op(struct tensor *x, struct tensor *gy, const int64_t w[4], struct conv g)
{
	const struct tensor shape = { .ndim = 4, .dim = { w[0], w[1], w[2], w[3] },
		.dtype = x->dtype };
	struct tensor *in[] = { x, gy }, *y;
	struct conv_shape s = conv_shape("op_conv2d (weights)", x->dim, &shape, g);
	struct node *n;

	want_same_dtype("op_conv2d (weights)", x, gy);
	y = (conv_is_depthwise(&s) ? depthwise_weight_gradient : conv_weight_gradient)(x, gy, &s);
	n = op_done("op_conv2d (weights)", y, in, 2, weight_back);
	if (n) {
		node_save(n, n->need[1] ? x : NULL);
		node_save(n, n->need[0] ? gy : NULL);
		keep_geometry(n, g, w);
	}
	return y;
}
