/* Convolutions, their transposes and gradients, against sums in double precision. */
#include "grad_check.h"
#include "tensor/gemm.h"

struct shape {
	int n, h, w, in, out, kh, kw;
	struct conv c;
};

/* stride, left, right, top, bottom, dilation, groups */
static const struct shape shapes[] = {
	{ 1, 5, 6, 4, 4, 1, 1, { 0 } },
	{ 2, 7, 5, 16, 33, 1, 1, { 1, 0, 0, 0, 0, 1, 1 } },
	{ 1, 8, 8, 3, 16, 3, 3, { 1, 1, 1, 1, 1, 1, 1 } },
	{ 2, 9, 7, 5, 4, 3, 3, { 2, 1, 1, 1, 1, 1, 1 } },
	{ 1, 8, 8, 8, 8, 3, 3, { 2, 0, 1, 0, 1, 1, 1 } },
	{ 1, 11, 10, 4, 5, 3, 3, { 3, 2, 0, 1, 2, 1, 1 } },
	{ 1, 10, 9, 4, 8, 3, 3, { 1, 2, 2, 2, 2, 2, 1 } },
	{ 1, 12, 11, 4, 4, 3, 3, { 2, 2, 1, 2, 3, 2, 1 } },
	{ 1, 13, 12, 4, 4, 3, 2, { 3, 2, 1, 0, 1, 2, 1 } },
	{ 1, 12, 12, 3, 64, 7, 7, { 2, 3, 3, 3, 3, 1, 1 } },
	{ 1, 9, 9, 1, 1, 5, 5, { 1, 2, 2, 2, 2, 1, 1 } },
	{ 1, 6, 7, 16, 1, 3, 3, { 1, 1, 1, 1, 1, 1, 1 } },
	{ 1, 6, 7, 33, 16, 2, 3, { 1, 0, 1, 1, 0, 1, 1 } },
	{ 1, 8, 8, 16, 96, 1, 1, { 2, 0, 0, 0, 0, 1, 1 } },
	{ 1, 7, 7, 16, 80, 3, 3, { 1, 1, 1, 1, 1, 1, 1 } },
	{ 2, 6, 5, 8, 16, 3, 3, { 1, 1, 1, 1, 1, 1, 2 } },
	{ 1, 6, 5, 6, 10, 3, 3, { 2, 1, 1, 1, 1, 1, 2 } },
	{ 1, 7, 6, 3, 6, 3, 1, { 1, 0, 0, 1, 1, 1, 3 } },
	{ 2, 9, 8, 16, 16, 3, 3, { 1, 1, 1, 1, 1, 1, 16 } },
	{ 1, 9, 8, 5, 5, 5, 5, { 2, 2, 1, 2, 1, 1, 5 } },
	{ 1, 11, 10, 33, 33, 3, 3, { 1, 2, 2, 2, 2, 2, 33 } },
	{ 1, 10, 13, 8, 8, 5, 3, { 3, 1, 0, 2, 2, 1, 8 } },
	{ 1, 4, 4, 128, 128, 3, 3, { 1, 1, 1, 1, 1, 1, 1 } },
	{ 2, 7, 6, 64, 112, 3, 3, { 2, 1, 0, 1, 1, 1, 1 } },
	{ 1, 7, 9, 48, 64, 3, 2, { 1, 2, 1, 2, 2, 2, 1 } },
	{ 1, 3, 3, 4, 4, 3, 3, { 1, -1, 1, 2, 0, 1, 1 } },
};

/* Calls with every triple (output, input, weight) that a product joins. */
#define EACH_PRODUCT(s, oh, ow, gi, go, BODY) \
	for (int n_ = 0; n_ < (s)->n; n_++) \
	for (int y_ = 0; y_ < (oh); y_++) for (int x_ = 0; x_ < (ow); x_++) \
	for (int o_ = 0; o_ < (s)->out; o_++) \
	for (int ky_ = 0; ky_ < (s)->kh; ky_++) for (int kx_ = 0; kx_ < (s)->kw; kx_++) { \
		const int st_ = (s)->c.stride ? (s)->c.stride : 1; \
		const int d_ = (s)->c.dilation ? (s)->c.dilation : 1; \
		const int iy_ = y_ * st_ + ky_ * d_ - (s)->c.top; \
		const int ix_ = x_ * st_ + kx_ * d_ - (s)->c.left; \
		if (iy_ < 0 || iy_ >= (s)->h || ix_ < 0 || ix_ >= (s)->w) \
			continue; \
		for (int i_ = 0; i_ < (gi); i_++) { \
			const int from_ = (n_ * (s)->h + iy_) * (s)->w + ix_; \
			const int to_ = (n_ * (oh) + y_) * (ow) + x_; \
			const int tap_ = (o_ * (s)->kh + ky_) * (s)->kw + kx_; \
			const size_t Y = (size_t)to_ * (size_t)(s)->out + (size_t)o_; \
			const size_t X = (size_t)from_ * (size_t)(s)->in + \
			    (size_t)(o_ / (go) * (gi) + i_); \
			const size_t W = (size_t)tap_ * (size_t)(gi) + (size_t)i_; \
			BODY; \
		} \
	}

static void
one_convolution(enum dtype d, const struct shape *s, bool bias)
{
	const int groups = s->c.groups ? s->c.groups : 1, gi = s->in / groups, go = s->out / groups;
	struct tensor *x = random_tensor(d, 1, -1, 1, s->n, s->h, s->w, s->in);
	struct tensor *w = random_tensor(d, 2, -1, 1, s->out, s->kh, s->kw, gi);
	struct tensor *b = bias ? random_tensor(F32, 3, -1, 1, s->out) : NULL, *in[] = { x, w, b },
	    *g[3], *y;
	struct tensor *gy;
	double *want, *wx, *ww, *wb, taps;
	float *xs = values(x), *ws = values(w), *bs = b ? values(b) : NULL, *gs;
	int oh, ow;
	char what[100];

	for (int i = 0; i < (bias ? 3 : 2); i++)
		in[i]->requires_grad = true;
	snprintf(what, sizeof(what), "%dx%d %d>%d /%d d%d g%d", s->kh, s->kw, s->in, s->out,
	    s->c.stride, s->c.dilation, groups);
	y = op_conv2d(x, w, b, s->c);
	oh = (int)y->dim[1];
	ow = (int)y->dim[2];
	want = xcalloc((size_t)y->n, sizeof(*want));
	wx = xcalloc((size_t)x->n, sizeof(*wx));
	ww = xcalloc((size_t)w->n, sizeof(*ww));
	wb = xcalloc((size_t)s->out, sizeof(*wb));
	gy = random_tensor(d, 4, -1, 1, s->n, oh, ow, s->out);
	gs = values(gy);
	for (int64_t i = 0; i < y->n; i++) {
		want[i] = bs ? bs[i % s->out] : 0;
		wb[i % s->out] += gs[i];
	}
	EACH_PRODUCT(s, oh, ow, gi, go, {
		want[Y] += (double)xs[X] * ws[W];
		wx[X] += (double)gs[Y] * ws[W];
		ww[W] += (double)gs[Y] * xs[X];
	});
	taps = sqrt((double)(gi * s->kh * s->kw));
	near(what, y, want, 4e-7 * taps + 2.5 * dtype_eps(d));
	grad_of(y, gy, in, bias ? 3 : 2, false, g);
	near("  gradient of x", g[0], wx,
	    4e-7 * sqrt((double)(go * s->kh * s->kw)) + 2.5 * dtype_eps(d));
	near("  gradient of w", g[1], ww, 1e-6 * sqrt((double)y->n) + 2.5 * dtype_eps(d));
	if (bias)
		near("  gradient of b", g[2], wb, 1e-6 * sqrt((double)y->n) + 2.5 * dtype_eps(d));
	free(want);
	free(wx);
	free(ww);
	free(wb);
	free(xs);
	free(ws);
	free(bs);
	free(gs);
}

static void
convolutions_of_every_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		scope_open();
		one_convolution(F32, &shapes[i], i % 2);
		scope_close();
	}
}

static void
convolutions_of_every_kind_in_16_bits(void **state)
{
	(void)state;
	for (enum dtype d = F16; d <= BF16; d++)
		for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
			scope_open();
			one_convolution(d, &shapes[i], i % 2);
			scope_close();
		}
}

/* y = T(x): <conv(z), x> = <z, T(x)> for every z, checked by the sums themselves. */
static void
transposed_convolutions(void **state)
{
	static const struct shape cases[] = {
		{ 1, 9, 9, 4, 8, 3, 3, { 2, 1, 1, 1, 1, 1, 1 } },
		{ 2, 8, 8, 6, 3, 3, 3, { 2, 0, 0, 0, 0, 1, 1 } },
		{ 1, 10, 10, 8, 4, 4, 4, { 2, 1, 1, 1, 1, 1, 1 } },
		{ 1, 7, 7, 4, 4, 3, 3, { 1, 1, 1, 1, 1, 1, 1 } },
		{ 1, 8, 8, 8, 8, 2, 2, { 2, 0, 0, 0, 0, 1, 2 } },
		{ 1, 8, 9, 8, 8, 3, 3, { 2, 1, 1, 1, 1, 1, 8 } },
	};

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		const struct shape *s = &cases[k];
		const int groups = s->c.groups, gi = s->in / groups, go = s->out / groups,
		          st = s->c.stride;
		const int oh = (s->h + s->c.top + s->c.bottom - s->kh) / st + 1;
		const int ow = (s->w + s->c.left + s->c.right - s->kw) / st + 1;
		const int eh = s->h - ((oh - 1) * st + s->kh - s->c.top - s->c.bottom);
		const int ew = s->w - ((ow - 1) * st + s->kw - s->c.left - s->c.right);
		struct tensor *x, *w, *b, *y;
		float *xs, *ws, *bs;
		double *want;

		scope_open();
		x = random_tensor(F32, 5, -1, 1, s->n, oh, ow, s->out);
		w = random_tensor(F32, 6, -1, 1, s->out, s->kh, s->kw, gi);
		b = random_tensor(F32, 7, -1, 1, s->in);
		y = op_conv_transpose2d(x, w, b, s->c, eh, ew);
		assert_int_equal(y->dim[1], s->h);
		assert_int_equal(y->dim[2], s->w);
		assert_int_equal(y->dim[3], s->in);
		xs = values(x);
		ws = values(w);
		bs = values(b);
		want = xcalloc((size_t)y->n, sizeof(*want));
		for (int64_t i = 0; i < y->n; i++)
			want[i] = bs[i % s->in];
		EACH_PRODUCT(s, oh, ow, gi, go, want[X] += (double)xs[Y] * ws[W]);
		near("op_conv_transpose2d", y, want, 1e-5);
		scope_close();
		free(xs);
		free(ws);
		free(bs);
		free(want);
	}
}

struct ctx {
	struct conv c;
	bool transpose;
};

static struct tensor *
conv_fn(void *ctx, struct tensor **in, int n)
{
	const struct ctx *k = ctx;

	if (k->transpose)
		return op_conv_transpose2d(in[0], in[1], n > 2 ? in[2] : NULL, k->c, 0,
		    k->c.stride - 1);
	return op_conv2d(in[0], in[1], n > 2 ? in[2] : NULL, k->c);
}

static void
gradients_and_second_gradients(void **state)
{
	static const struct ctx cases[] = {
		{ { 1, 1, 1, 1, 1, 1, 1 }, false },
		{ { 2, 1, 1, 1, 0, 1, 1 }, false },
		{ { 2, 1, 1, 1, 1, 1, 4 }, false },
		{ { 2, 1, 1, 1, 1, 1, 1 }, true },
		{ { 1, 0, 1, 1, 0, 1, 2 }, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ctx c = cases[i];
		struct tensor *in[3];

		scope_open();
		in[0] = random_tensor(F32, 8, -1, 1, 1, 5, 6, 4);
		in[1] = random_tensor(F32, 9, -1, 1, 4, 3, 3, 4 / c.c.groups);
		in[2] = random_tensor(F32, 10, -1, 1, 4);
		check_grad("convolution", conv_fn, &c, in, 3, 2e-3);
		check_grad_twice("convolution", conv_fn, &c, in, 3, 2e-3);
		scope_close();
	}
}

static void
fused_activations(void **state)
{
	struct tensor *x, *w, *b, *y, *z;
	float *p, *q;

	(void)state;
	scope_open();
	x = random_tensor(F32, 11, -1, 1, 1, 6, 6, 8);
	w = random_tensor(F32, 12, -1, 1, 24, 3, 3, 8);
	b = random_tensor(F32, 13, -1, 1, 24);
	for (enum act act = ACT_NONE; act <= ACT_LRELU; act++) {
		y = op_conv2d_act(x, w, b, CONV_SAME(3), act);
		z = op_conv2d(x, w, b, CONV_SAME(3));
		p = values(y);
		q = values(z);
		for (int64_t i = 0; i < y->n; i++)
			if (act == ACT_NONE || act == ACT_RELU || act == ACT_LRELU)
				assert_float_equal(p[i], q[i] > 0 || act == ACT_NONE ? q[i]
				    : act == ACT_RELU ? 0 : 0.2f * q[i], 1e-6);
		free(p);
		free(q);
	}
	scope_close();
}

/* More k than one loop may count on lavapipe, and more pixels; every product is 1. */
static void
long_sums_are_split(void **state)
{
	const int64_t k = 600000;
	struct tensor *x, *y;

	(void)state;
	scope_open();
	x = tensor_full(F32, 2, (int64_t[]){ 1, k }, 1);
	y = op_matmul(x, x, false, true);
	assert_true(tensor_item(y) == (double)k);
	x = tensor_full(F32, 4, (int64_t[]){ 1, 800, 750, 4 }, 1);
	y = tensor_full(F32, 4, (int64_t[]){ 4, 1, 1, 4 }, 1);
	y->requires_grad = true;
	backward(op_sum_all(op_conv2d(x, y, NULL, (struct conv){ 0 })));
	assert_true(tensor_item(op_sum_all(y->grad)) == 16.0 * (double)k);
	y->grad = tensor_drop(y->grad);
	scope_close();
}

/* Operands larger than one call takes: done image by image, or by some rows of a matrix. */
static void
large_operands_are_done_in_parts(void **state)
{
	static const struct shape s[] = {
		{ 5, 8, 8, 8, 16, 3, 3, { 1, 1, 1, 1, 1, 1, 1 } },
		{ 4, 8, 8, 8, 16, 3, 3, { 2, 1, 1, 1, 1, 1, 2 } },
	};
	int64_t was = gemm_most_bytes;

	(void)state;
	gemm_most_bytes = 9000;
	for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++) {
		scope_open();
		one_convolution(F32, &s[i], true);
		scope_close();
	}
	scope_open();
	struct tensor *x = random_tensor(F32, 1, -1, 1, 500, 20),
	              *w = random_tensor(F32, 2, -1, 1, 12, 20);
	float *got, *want;

	x->requires_grad = w->requires_grad = true;
	got = values(op_linear(x, w, NULL));
	gemm_most_bytes = was;
	want = values(op_linear(x, w, NULL));
	assert_memory_equal(got, want, 500 * 12 * sizeof(*got));
	free(got);
	free(want);
	scope_close();
}

/* Twice as large, then a convolution: by 2x2 taps for each kind of pixel, beside the two ops in
 * turn. */
static void
twice_as_large_then_convolved(void **state)
{
	static const struct { int64_t n, h, w, in, out; } sizes[] =
	    { { 1, 1, 1, 4, 4 }, { 2, 3, 5, 8, 33 },
		{ 1, 4, 7, 3, 16 }, { 1, 5, 2, 16, 1 }, { 2, 2, 3, 24, 80 } };
	static const enum dtype dtypes[] = { F32, F16, BF16 };

	(void)state;
	for (size_t i = 0; i < 3 * sizeof(sizes) / sizeof(*sizes); i++) {
		const enum dtype d = dtypes[i % 3];
		const int64_t n = sizes[i / 3].n, h = sizes[i / 3].h, w = sizes[i / 3].w,
		              in = sizes[i / 3].in;
		struct tensor *x, *k, *b, *y, *z;
		float *got, *want;
		double off = 0, norm = 0;

		scope_open();
		x = random_tensor(d, 1, -1, 1, n, h, w, in);
		k = tensor_hold(random_tensor(d, 2, -1, 1, sizes[i / 3].out, 3, 3, in));
		b = random_tensor(F32, 3, -1, 1, sizes[i / 3].out);
		y = op_up2_conv2d(x, k, b);
		z = op_conv2d(op_resize_nearest(x, (int)(2 * h), (int)(2 * w)), k, b, CONV_SAME(3));
		assert_int_equal(y->n, z->n);
		/* from the copies that stay with the weight, too */
		for (int again = 0; again < 2; again++) {
			got = values(y);
			want = values(z);
			for (int64_t e = 0; e < y->n; e++) {
				off += ((double)got[e] - want[e]) * ((double)got[e] - want[e]);
				norm += (double)want[e] * want[e];
			}
			free(got);
			free(want);
			y = op_up2_conv2d(x, k, b);
		}
		/* seen: 2e-7, 3e-4, 0 (bf16 goes the other way); a wrong tap gives 0.3 */
		assert_true(sqrt(off / norm) <= (d == F32 ? 1e-6 : d == F16 ? 1e-3 : 0));
		x->requires_grad = true;
		assert_non_null(op_up2_conv2d(x, k, b)->node);
		tensor_drop(k);
		scope_close();
	}
}

#define ON(test, disable)                                                               \
	{                                                                               \
#test " (without: " disable ")", test, check_setup_without, check_teardown, disable \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON(convolutions_of_every_kind, ""),
		ON(convolutions_of_every_kind, "subgroup,texel"),
		ON(convolutions_of_every_kind_in_16_bits, ""),
		ON(convolutions_of_every_kind_in_16_bits, "subgroup"),
		/* through cooperative matrices, where the device has them */
		ON(convolutions_of_every_kind_in_16_bits, "texel"),
		ON(twice_as_large_then_convolved, ""),
		ON(twice_as_large_then_convolved, "subgroup,texel"),
		ON(transposed_convolutions, ""),
		ON(transposed_convolutions, "subgroup"),
		ON(gradients_and_second_gradients, ""),
		ON(fused_activations, ""),
		ON(long_sums_are_split, ""),
		ON(large_operands_are_done_in_parts, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
