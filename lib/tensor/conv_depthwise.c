/* Convolutions where each channel is a group of its own: memory-bound, by kernels of their own. */
#include "tensor/conv.h"

#include "tensor/op.h"

enum { LOCAL = 64, PX = 8 };

struct depthwise_push {
	uint32_t count, cq, ow, oh;
	int32_t stride, dil, top, left;
	uint32_t ih, iw, kh, on, oy, ox, o0;
	int32_t w0, wy, wx;
	uint32_t wq, bias;
	float slope;
};

static void
run(const struct tensor *x, struct gpu_arg w, const struct tensor *bias, const struct tensor *y,
    struct depthwise_push *p, int64_t n, int64_t kw)
{
	/* neighbouring pixels share what they read, unless they lie too far apart */
	const uint32_t near = p->dil == 1 && p->stride <= 2 ? (uint32_t)p->stride : 0;
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(DEPTHWISE);
	const uint64_t count = (uint64_t)n * p->oh * ((p->ow + PX - 1) / PX) * p->cq;
	const double out = (double)n * p->oh * p->ow * p->cq * 4;

	if (count >= INT32_MAX)
		op_die("op_conv2d", "%s is too large", tensor_shape(x));
	p->count = (uint32_t)count;
	p->bias = bias != NULL;
	gpu_run(&(struct gpu_call){ .kernel = kernel_for("op_conv2d", k, x->dtype),
	    .arg = { tensor_arg(x), w, bias ? tensor_arg(bias) : w, tensor_arg(y) }, .nargs = 4,
	    .spec = { LOCAL, PX, (uint32_t)kw, near }, .nspec = 4, .push = p, .npush = sizeof(*p),
	    .groups = { gpu_groups(count, LOCAL) }, .flops = 2 * out * p->kh * (double)kw,
	    .bytes = ((double)x->n + out) * (double)dtype_size(x->dtype) });
}

struct tensor *
depthwise_forward(const struct tensor *x, struct tensor *w, struct tensor *b,
    const struct conv_shape *s, double slope)
{
	const int64_t c = s->groups, c4 = round_up(c, 4);
	struct depthwise_push p = { .cq = (uint32_t)(c4 / 4), .ow = (uint32_t)s->ow,
		.oh = (uint32_t)s->oh, .stride = (int32_t)s->stride, .dil = (int32_t)s->dil,
		.top = (int32_t)s->top, .left = (int32_t)s->left, .ih = (uint32_t)s->ih,
		.iw = (uint32_t)s->iw, .kh = (uint32_t)s->kh, .on = (uint32_t)(s->oh * s->ow),
		.oy = (uint32_t)s->ow, .ox = 1, .wy = (int32_t)s->kw, .wx = 1,
		.wq = (uint32_t)depthwise_taps(s->kh * s->kw), .slope = (float)slope };
	struct tensor *y;

	scope_open();
	y = tensor_empty(x->dtype, s->n, s->oh, s->ow, c4);
	run(c == c4 ? x : rows_resize(x, c, c4), pack_depthwise(w), bias_wide(b, 1, c4), y, &p,
	    s->n, s->kw);
	pack_done(w);
	if (c != c4)
		y = tensor_view(rows_resize(y, c4, c), 4, (int64_t[]){ s->n, s->oh, s->ow, c });
	return scope_keep(y);
}

struct tensor *
depthwise_transpose(const struct tensor *gy, struct tensor *w, struct tensor *b,
    const struct conv_shape *s)
{
	const int64_t c = s->groups, c4 = round_up(c, 4);
	const struct tensor *bias;
	struct gpu_arg taps;
	struct tensor *y;

	scope_open();
	y = tensor_empty(gy->dtype, s->n, s->ih, s->iw, c4);
	bias = bias_wide(b, 1, c4);
	taps = pack_depthwise(w);
	if (c != c4)
		gy = rows_resize(gy, c, c4);
	for (int64_t r = 0; r < s->stride * s->stride; r++) {
		const int64_t ry = r / s->stride, rx = r % s->stride;
		const struct phase v = conv_phase(ry, s->ih, s->kh, s->top, s->stride, s->dil);
		const struct phase h = conv_phase(rx, s->iw, s->kw, s->left, s->stride, s->dil);
		struct depthwise_push p = { .cq = (uint32_t)(c4 / 4), .ow = (uint32_t)h.n,
			.oh = (uint32_t)v.n, .stride = 1, .dil = (int32_t)v.dil,
			.top = (int32_t)v.before, .left = (int32_t)h.before, .ih = (uint32_t)s->oh,
			.iw = (uint32_t)s->ow, .kh = (uint32_t)(h.taps ? v.taps : 0),
			.on = (uint32_t)(s->ih * s->iw), .oy = (uint32_t)(s->stride * s->iw),
			.ox = (uint32_t)s->stride, .o0 = (uint32_t)(ry * s->iw + rx),
			.w0 = (int32_t)((v.k0 + v.step * (v.taps - 1)) * s->kw + h.k0 + h.step *
			(h.taps - 1)), .wy = (int32_t)(-v.step * s->kw), .wx = (int32_t)-h.step,
			.wq = (uint32_t)depthwise_taps(s->kh * s->kw), .slope = 1 };

		if (v.n > 0 && h.n > 0)
			run(gy, taps, bias, y, &p, s->n, h.taps ? h.taps : 1);
	}
	pack_done(w);
	if (c != c4)
		y = tensor_view(rows_resize(y, c4, c), 4, (int64_t[]){ s->n, s->ih, s->iw, c });
	return scope_keep(y);
}

struct tensor *
depthwise_weight_gradient(const struct tensor *x, const struct tensor *gy,
    const struct conv_shape *s)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(DEPTHWISE_WGRAD);
	const int64_t c = s->groups, c4 = round_up(c, 4), rows = s->n * s->oh, taps = s->kh * s->kw;
	int64_t splits = 16 * gemm_busy() / (c4 / 4) + 1, each, count;
	const uint32_t near = s->dil == 1 && s->stride <= 2 ? (uint32_t)s->stride : 0;
	struct tensor *part, *g;
	bool was = grads_set(false);

	each = (rows + splits - 1) / splits;
	/* one invocation loops over each pixel of its rows */
	if (each * (s->ow + 1) > MAX_LOOP)
		each = MAX_LOOP / (s->ow + 1);
	if (!each)
		op_die("op_conv2d (weights)", "%s is too wide", tensor_shape(gy));
	splits = (rows + each - 1) / each;
	count = splits * c4 / 4;
	const struct {
		uint32_t count, cq, c, rows, each, ow, oh;
		int32_t stride, dil, top, left;
		uint32_t ih, iw;
	} p = { (uint32_t)count, (uint32_t)(c4 / 4), (uint32_t)c, (uint32_t)rows, (uint32_t)each,
		(uint32_t)s->ow, (uint32_t)s->oh, (int32_t)s->stride, (int32_t)s->dil,
		(int32_t)s->top, (int32_t)s->left, (uint32_t)s->ih, (uint32_t)s->iw };

	scope_open();
	if (c != c4) {
		x = rows_resize(x, c, c4);
		gy = rows_resize(gy, c, c4);
	}
	part = tensor_empty(F32, splits, c, taps);
	gpu_run(&(struct gpu_call){ .kernel = kernel_for("op_conv2d (weights)", k, x->dtype),
	    .arg = { tensor_arg(gy), tensor_arg(x), tensor_arg(part) }, .nargs = 3,
	    .spec = { LOCAL, (uint32_t)s->kh, (uint32_t)s->kw, near }, .nspec = 4, .push = &p,
	    .npush = sizeof(p), .groups = { gpu_groups((uint64_t)count, LOCAL) },
	    .flops = 2 * (double)gy->n * (double)taps, .bytes = (double)(x->n + gy->n) *
	    (double)dtype_size(x->dtype) });
	g = op_cast(op_sum(part, 1, false), x->dtype);
	g = scope_keep(tensor_view(g, 4, (int64_t[]){ c, s->kh, s->kw, 1 }));
	grads_set(was);
	return g;
}
