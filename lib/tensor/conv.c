/*
 * Convolutions: y = x * w, its transpose (the gradient of x), and the gradient of w. The three are
 * linear in each of their inputs and each other's gradients, so all are twice differentiable.
 */
#include "tensor/conv.h"

#include "tensor/op.h"

struct conv_shape
conv_shape(const char *op, const int64_t x[4], const struct tensor *w, struct conv g)
{
	struct conv_shape s;

	if (w->ndim != 4)
		op_die(op, "weight %s", tensor_shape(w));
	s.stride = g.stride ? g.stride : 1;
	s.dil = g.dilation ? g.dilation : 1;
	s.groups = g.groups ? g.groups : 1;
	s.top = g.top;
	s.left = g.left;
	s.n = x[0];
	s.ih = x[1];
	s.iw = x[2];
	s.i = w->dim[3];
	s.o = w->dim[0] / s.groups;
	s.kh = w->dim[1];
	s.kw = w->dim[2];
	s.oh = (s.ih + g.top + g.bottom - s.dil * (s.kh - 1) - 1) / s.stride + 1;
	s.ow = (s.iw + g.left + g.right - s.dil * (s.kw - 1) - 1) / s.stride + 1;
	if (s.stride < 1 || s.dil < 1 || s.groups < 1 || w->dim[0] % s.groups ||
	    x[3] != s.groups * s.i || s.ih + g.top + g.bottom <= s.dil * (s.kh - 1) ||
	    s.iw + g.left + g.right <= s.dil * (s.kw - 1))
		op_die(op,
		    "[%lld,%lld,%lld,%lld] and weight %s: stride %d, padding %d %d %d %d, dilation "
		    "%d, "
		    "groups %d",
		    (long long)x[0], (long long)x[1], (long long)x[2], (long long)x[3],
		    tensor_shape(w), g.stride, g.left, g.right, g.top, g.bottom, g.dilation,
		    g.groups);
	return s;
}

bool
conv_is_depthwise(const struct conv_shape *s)
{
	return s->groups > 1 && s->i == 1 && s->o == 1;
}

/* Groups' channels filled up to a multiple of `to`. */
static const struct tensor *
widen(const struct tensor *x, int64_t channels, int64_t to)
{
	return channels % to ? rows_resize(x, channels, round_up(channels, to)) : x;
}

struct tensor *
conv_forward(const struct tensor *x, struct tensor *w, struct tensor *b, const struct conv_shape *s,
    double slope)
{
	const int64_t ci = round_up(s->i, gemm_unit(x->dtype)), co = round_up(s->o, 4);
	const struct pack p = pack_weight(w, s->groups);
	struct tensor *y;

	scope_open();
	y = tensor_empty(x->dtype, s->n, s->oh, s->ow, s->groups * co);
	gemm_run(&(struct gemm){ .op = "op_conv2d",
	    .grid = { s->n, s->oh, s->ow, s->ih, s->iw, s->kh, s->kw, s->stride, s->dil, s->top,
	        s->left },
	    .a = widen(x, s->i, ci),
	    .cs = s->groups * ci,
	    .abatch = ci,
	    .w = pack_of(w, &p, s->n * s->oh * s->ow),
	    .bias = bias_wide(b, s->groups, co),
	    .y = y,
	    .ycols = s->groups * co,
	    .ybatch = co,
	    .slope = slope });
	pack_done(w);
	if (co != s->o)
		y = rows_resize(y, co, s->o);
	return scope_keep(tensor_view(y, 4, (int64_t[]){ s->n, s->oh, s->ow, s->groups * s->o }));
}

/* Each of the four kinds of output pixels sees only 2x2 different ones: 4/9 of the products. */
struct tensor *
conv_up2(const struct tensor *x, struct tensor *w, struct tensor *b)
{
	const int64_t n = x->dim[0], ih = x->dim[1], iw = x->dim[2], i = w->dim[3], o = w->dim[0];
	const int64_t ci = round_up(i, gemm_unit(x->dtype)), co = round_up(o, 4);
	const struct tensor *bias;
	struct tensor *y;

	scope_open();
	y = tensor_empty(x->dtype, n, 2 * ih, 2 * iw, co);
	bias = bias_wide(b, 1, co);
	x = widen(x, i, ci);
	for (int64_t ry = 0; ry < 2; ry++)
		for (int64_t rx = 0; rx < 2; rx++)
			gemm_run(&(struct gemm){ .op = "op_up2_conv2d",
			    .grid = { n, ih, iw, ih, iw, 2, 2, 1, 1, 1 - ry, 1 - rx },
			    .a = x,
			    .cs = ci,
			    .w = pack_up2(w, ry, rx),
			    .bias = bias,
			    .y = y,
			    .ycols = co,
			    .on = 4 * ih * iw,
			    .oy = 4 * iw,
			    .ox = 2,
			    .o0 = 2 * ry * iw + rx,
			    .slope = 1 });
	pack_done(w);
	if (co != o)
		y = rows_resize(y, co, o);
	return scope_keep(tensor_view(y, 4, (int64_t[]){ n, 2 * ih, 2 * iw, o }));
}

static int64_t
gcd(int64_t a, int64_t b)
{
	return b ? gcd(b, a % b) : a;
}

struct phase
conv_phase(int64_t r, int64_t size, int64_t k, int64_t pad, int64_t stride, int64_t dil)
{
	const int64_t d = gcd(dil, stride);
	struct phase p = { .n = (size - r + stride - 1) / stride, .step = stride / d,
		.dil = dil / d };
	int64_t rest = -1;

	for (p.k0 = 0; p.k0 < k && p.k0 < p.step; p.k0++)
		if ((rest = (r + pad - p.k0 * dil) % stride) == 0)
			break;
	if (rest == 0) {
		p.taps = (k - p.k0 + p.step - 1) / p.step;
		p.before = p.dil * (p.taps - 1) - (r + pad - p.k0 * dil) / stride;
	}
	return p;
}

/* One phase of the transpose: a convolution of gy with every step-th tap, turned round. */
static void
transpose_phase(const struct tensor *gy, struct tensor *w, const struct tensor *bias,
    struct tensor *y, const struct conv_shape *s, int64_t ry, int64_t rx, bool zeroed)
{
	const struct phase v = conv_phase(ry, s->ih, s->kh, s->top, s->stride, s->dil);
	const struct phase h = conv_phase(rx, s->iw, s->kw, s->left, s->stride, s->dil);
	const int64_t ci = round_up(s->i, 4), co = round_up(s->o, gemm_unit(gy->dtype));
	const int64_t per = s->kh * s->kw * s->i;
	const bool none = !v.taps || !h.taps;
	const struct pack p = { .cols = s->i, .ch = s->o, .th = none ? 0 : v.taps,
		.tw = none ? 0 : h.taps,
		.base = none ? 0 : ((v.k0 + v.step * (v.taps - 1)) * s->kw + h.k0 + h.step *
		(h.taps - 1)) * s->i, .sy = -v.step * s->kw * s->i, .sx = -h.step * s->i, .sc = per,
		    .sn = 1, .batch = s->groups, .xbatch = s->o * per };

	if (v.n <= 0 || h.n <= 0 || (none && zeroed))
		return;
	gemm_run(&(struct gemm){ .op = "op_conv_transpose2d",
	    .grid = { s->n, v.n, h.n, s->oh, s->ow, p.th, p.tw, 1, v.dil, v.before, h.before },
	    .a = gy, .cs = s->groups * co, .abatch = co, .w = pack_of(w, &p, s->n * v.n * h.n),
	    .bias = bias, .y = y, .ycols = s->groups * ci, .ybatch = ci, .on = s->stride == 1 ? 0
	    : s->ih * s->iw, .oy = s->stride == 1 ? 0 : s->stride * s->iw,
	    .ox = s->stride == 1 ? 0 : s->stride, .o0 = ry * s->iw + rx, .slope = 1 });
}

struct tensor *
conv_transpose(const struct tensor *gy, struct tensor *w, struct tensor *b,
    const struct conv_shape *s)
{
	const int64_t ci = round_up(s->i, 4);
	const bool zeroed = !b && (s->kh < s->stride || s->kw < s->stride);
	const struct tensor *bias;
	struct tensor *y;

	scope_open();
	y = tensor_empty(gy->dtype, s->n, s->ih, s->iw, s->groups * ci);
	bias = bias_wide(b, s->groups, ci);
	gy = widen(gy, s->o, round_up(s->o, gemm_unit(gy->dtype)));
	/* where no tap reaches there is nothing but the bias */
	if (zeroed)
		gpu_fill(y->buf, y->off, round_up(y->n * (int64_t)dtype_size(y->dtype), 4), 0);
	for (int64_t ry = 0; ry < s->stride; ry++)
		for (int64_t rx = 0; rx < s->stride; rx++)
			transpose_phase(gy, w, bias, y, s, ry, rx, zeroed);
	pack_done(w);
	if (ci != s->i)
		y = rows_resize(y, ci, s->i);
	return scope_keep(tensor_view(y, 4, (int64_t[]){ s->n, s->ih, s->iw, s->groups * s->i }));
}

struct tensor *
conv_weight_gradient(const struct tensor *x, const struct tensor *gy, const struct conv_shape *s)
{
	const int64_t ci = round_up(s->i, 4), co = round_up(s->o, 4);
	struct tensor *g;

	scope_open();
	g = wgrad_run(&(struct wgrad){ .op = "op_conv2d (weights)",
	    .grid = { s->n, s->oh, s->ow, s->ih, s->iw, s->kh, s->kw, s->stride, s->dil, s->top,
	    s->left }, .a = widen(gy, s->o, co), .as = s->groups * co, .rows = s->o,
	    .b = widen(x, s->i, ci), .cs = s->groups * ci, .c = ci, .batch = s->groups,
	    .abatch = co, .bbatch = ci });
	if (ci != s->i)
		g = rows_resize(g, ci, s->i);
	return scope_keep(tensor_view(g, 4, (int64_t[]){ s->groups * s->o, s->kh, s->kw, s->i }));
}
