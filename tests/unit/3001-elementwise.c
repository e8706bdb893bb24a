/* Elementwise ops against the C library in double precision, and their gradients. */
#include "grad_check.h"

/* ---- two inputs ------------------------------------------------------------------------------ */

struct binary_op {
	const char *name;
	struct tensor *(*op)(struct tensor *, struct tensor *);
	double (*ref)(double, double);
	bool gradient;
};

static double ref_add(double x, double y) { return x + y; }
static double ref_sub(double x, double y) { return x - y; }
static double ref_mul(double x, double y) { return x * y; }
static double ref_div(double x, double y) { return x / y; }
static double ref_greater(double x, double y) { return x > y; }

static const struct binary_op binary_ops[] = {
	{ "op_add", op_add, ref_add, true },
	{ "op_sub", op_sub, ref_sub, true },
	{ "op_mul", op_mul, ref_mul, true },
	{ "op_div", op_div, ref_div, true },
	{ "op_maximum", op_maximum, fmax, true },
	{ "op_minimum", op_minimum, fmin, true },
	{ "op_greater", op_greater, ref_greater, false },
};

/* Shapes that take every way through the kernel: flat, one value, rows, columns, odd widths. */
static const struct {
	int nx, ny;
	int64_t x[TENSOR_MAXDIM], y[TENSOR_MAXDIM];
} shapes[] = {
	{ 1, 1, { 1 }, { 1 } },
	{ 1, 1, { 1031 }, { 1031 } },
	{ 3, 3, { 3, 5, 7 }, { 3, 5, 7 } },
	{ 2, 0, { 17, 3 }, { 0 } },
	{ 0, 2, { 0 }, { 4, 5 } },
	{ 2, 1, { 17, 64 }, { 64 } },
	{ 1, 3, { 12 }, { 3, 5, 12 } },
	{ 2, 2, { 17, 64 }, { 17, 1 } },
	{ 2, 2, { 17, 3 }, { 17, 1 } },
	{ 2, 1, { 33, 5 }, { 5 } },
	{ 4, 4, { 2, 3, 5, 8 }, { 2, 1, 1, 8 } },
	{ 4, 4, { 2, 3, 5, 8 }, { 2, 3, 5, 1 } },
	{ 4, 3, { 2, 3, 5, 7 }, { 3, 1, 7 } },
	{ 2, 2, { 9, 1 }, { 1, 8 } },
	{ 6, 6, { 2, 1, 3, 1, 2, 3 }, { 1, 2, 1, 3, 1, 3 } },
	{ 6, 6, { 2, 1, 3, 1, 2, 4 }, { 1, 2, 1, 3, 1, 4 } },
};

/* The value of t's element under index `at` of the broadcast shape. */
static double
broadcast_at(const float *t, int nd, const int64_t *dim, int nz, const int64_t *at)
{
	int64_t e = 0;

	for (int i = 0; i < nd; i++)
		e = e * dim[i] + (dim[i] == 1 ? 0 : at[nz - nd + i]);
	return t[e];
}

static void
binary_reference(const struct binary_op *b, struct tensor *x, struct tensor *y, struct tensor *z,
    double *want)
{
	float *vx = values(x), *vy = values(y);

	for (int64_t e = 0; e < z->n; e++) {
		int64_t at[TENSOR_MAXDIM], rest = e;

		for (int i = z->ndim - 1; i >= 0; i--) {
			at[i] = rest % z->dim[i];
			rest /= z->dim[i];
		}
		want[e] = b->ref(broadcast_at(vx, x->ndim, x->dim, z->ndim, at),
		    broadcast_at(vy, y->ndim, y->dim, z->ndim, at));
	}
	free(vx);
	free(vy);
}

static void
binary_ops_broadcast(void **state)
{
	static double want[8192];

	(void)state;
	for (size_t o = 0; o < sizeof(binary_ops) / sizeof(*binary_ops); o++)
		for (size_t s = 0; s < sizeof(shapes) / sizeof(*shapes); s++)
			for (enum dtype d = F32; d <= BF16; d++) {
				const struct binary_op *b = &binary_ops[o];
				struct tensor *x, *y, *z;

				/* every shape with op_add, a few with the others */
				if (o && (s + o) % 5 != d)
					continue;
				scope_open();
				x = random_tensor_of(d, 2 * s, -2, 2, shapes[s].nx, shapes[s].x);
				y = random_tensor_of(d, 2 * s + 1, 0.5, 3, shapes[s].ny,
				    shapes[s].y);
				z = b->op(x, y);
				assert_true(z->n <= 8192);
				binary_reference(b, x, y, z, want);
				/* quotients are seen at 1 rounding, the rest exact */
				near_above(b->name, z, want, 1.2e-7 + dtype_eps(d), 1e-4);
				scope_close();
			}
}

static struct tensor *
call_binary(void *ctx, struct tensor **in, int n)
{
	(void)n;
	return ((const struct binary_op *)ctx)->op(in[0], in[1]);
}

static void
binary_gradients(void **state)
{
	uint64_t before = live_bytes();

	(void)state;
	for (size_t o = 0; o < sizeof(binary_ops) / sizeof(*binary_ops); o++)
		for (size_t s = 2; s < sizeof(shapes) / sizeof(*shapes); s += o ? 4 : 1) {
			struct binary_op b = binary_ops[o];
			struct tensor *in[2];

			if (!b.gradient)
				continue;
			scope_open();
			/* kinks of maximum are far apart in most values: pairs with close ones are
			 * moved */
			in[0] = random_tensor_of(F32, 2 * s, 1.1, 2, shapes[s].nx, shapes[s].x);
			in[1] = random_tensor_of(F32, 2 * s + 1, 0.5, 1, shapes[s].ny, shapes[s].y);
			/* seen: 2e-5 */
			check_grad(b.name, call_binary, &b, in, 2, 2e-3);
			check_grad_twice(b.name, call_binary, &b, in, 2, 2e-3);
			scope_close();
		}
	assert_true(live_bytes() == before);
}

/* ---- one input ------------------------------------------------------------------------------- */

struct unary_op {
	const char *name;
	struct tensor *(*op)(struct tensor *);
	double (*ref)(double);
	double lo, hi;   /* of the values tried */
	double tol;      /* relative */
	double floor;    /* smaller values are held to tol * floor */
	double glo, ghi; /* of the values whose gradients are tried; equal: none */
};

static struct tensor *affine_(struct tensor *x) { return op_affine(x, -1.5, 0.25); }
static struct tensor *pow3_(struct tensor *x) { return op_pow(x, 3); }
static struct tensor *pow_(struct tensor *x) { return op_pow(x, -1.3); }
static struct tensor *inverse_(struct tensor *x) { return op_pow(x, -2); }
static struct tensor *lrelu_(struct tensor *x) { return op_lrelu(x, 0.2); }
static struct tensor *lrelu0_(struct tensor *x) { return op_lrelu(x, -0.5); }
static struct tensor *clamp_(struct tensor *x) { return op_clamp(x, -0.5, 1.25); }
static struct tensor *greater_(struct tensor *x) { return op_greater_s(x, 0.125); }
static struct tensor *equal_(struct tensor *x) { return op_equal_s(op_clamp(x, -1, 1), 1); }
static double ref_affine(double x) { return -1.5 * x + 0.25; }
static double ref_pow3(double x) { return x * x * x; }
static double ref_pow(double x) { return pow(x, -1.3); }
static double ref_inverse(double x) { return 1 / (x * x); }
static double ref_neg(double x) { return -x; }
static double ref_square(double x) { return x * x; }
static double ref_rsqrt(double x) { return 1 / sqrt(x); }
static double ref_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double ref_softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double ref_relu(double x) { return x > 0 ? x : 0; }
static double ref_lrelu(double x) { return x > 0 ? x : 0.2 * x; }
static double ref_lrelu0(double x) { return x > 0 ? x : -0.5 * x; }
static double ref_silu(double x) { return x / (1 + exp(-x)); }
static double ref_gelu(double x) { return 0.5 * x * erfc(-x / sqrt(2)); }
static double ref_quick_gelu(double x) { return x / (1 + exp(-1.702 * x)); }
static double ref_clamp(double x) { return x < -0.5 ? -0.5 : x > 1.25 ? 1.25 : x; }
static double ref_greater_s(double x) { return x > 0.125; }
static double ref_equal_s(double x) { return x >= 1; }

static const struct unary_op unary_ops[] = {
	{ "op_affine", affine_, ref_affine, -9, 9, 2e-7, 1, -2, 2 },
	{ "op_neg", op_neg, ref_neg, -9, 9, 0, 1, -2, 2 },
	{ "op_pow 3", pow3_, ref_pow3, -9, 9, 2e-7, 0, -2, 2 },
	{ "op_pow -2", inverse_, ref_inverse, 0.01, 9, 3e-7, 0, 0.5, 2 },
	{ "op_pow -1.3", pow_, ref_pow, 0.1, 9, 1e-6, 0, 0.5, 2 },
	{ "op_square", op_square, ref_square, -9, 9, 1e-7, 0, -2, 2 },
	{ "op_sqrt", op_sqrt, sqrt, 0, 99, 2e-7, 0, 0.5, 2 },
	{ "op_rsqrt", op_rsqrt, ref_rsqrt, 1e-3, 99, 3e-7, 0, 0.5, 2 },
	{ "op_exp", op_exp, exp, -87, 88, 5e-7, 0, -2, 2 },
	{ "op_log", op_log, log, 1e-30, 4, 5e-7, 0, 0.5, 2 },
	{ "op_log, large", op_log, log, 1, 1e30, 5e-7, 0, 0, 0 },
	{ "op_abs", op_abs, fabs, -9, 9, 0, 1, 0.2, 2 },
	{ "op_sin", op_sin, sin, -1000, 1000, 3e-7, 1, -2, 2 },
	{ "op_cos", op_cos, cos, -1000, 1000, 3e-7, 1, -2, 2 },
	{ "op_tanh", op_tanh, tanh, -9, 9, 5e-7, 0, -2, 2 },
	{ "op_tanh, small", op_tanh, tanh, -1e-3, 1e-3, 5e-7, 0, 0, 0 },
	{ "op_sigmoid", op_sigmoid, ref_sigmoid, -80, 20, 5e-7, 0, -2, 2 },
	{ "op_softplus", op_softplus, ref_softplus, -80, 20, 1e-6, 0, -2, 2 },
	{ "op_relu", op_relu, ref_relu, -9, 9, 0, 1, 0.2, 2 },
	{ "op_lrelu", lrelu_, ref_lrelu, -9, 9, 1e-7, 0, 0.2, 2 },
	{ "op_lrelu -.5", lrelu0_, ref_lrelu0, -9, 9, 1e-7, 0, -2, -0.2 },
	{ "op_silu", op_silu, ref_silu, -80, 20, 1e-6, 0, -2, 2 },
	{ "op_gelu", op_gelu, ref_gelu, -10, 10, 4e-6, 0, -2, 2 },
	{ "op_gelu, of note", op_gelu, ref_gelu, -4, 4, 1.5e-6, 0, 0, 0 },
	{ "op_quick_gelu", op_quick_gelu, ref_quick_gelu, -20, 20, 4e-6, 0, -2, 2 },
	{ "op_clamp", clamp_, ref_clamp, -2, 2, 0, 1, -0.4, 1.2 },
	{ "op_greater_s", greater_, ref_greater_s, -2, 2, 0, 1, 0, 0 },
	{ "op_equal_s", equal_, ref_equal_s, -2, 2, 0, 1, 0, 0 },
};

static void
unary_ops_are_precise(void **state)
{
	enum { N = 4099 };
	static double want[N];

	(void)state;
	for (size_t o = 0; o < sizeof(unary_ops) / sizeof(*unary_ops); o++)
		for (enum dtype d = F32; d <= BF16; d++) {
			const struct unary_op *u = &unary_ops[o];
			struct tensor *x;
			float *v;
			/* f16 ends at 65504 and thins out below 6e-5 */
			double floor = d == F16 && u->floor < 6.2e-5 ? 6.2e-5 : u->floor;

			scope_open();
			x = random_tensor(d, o, d == F16 ? fmax(u->lo, -11) : u->lo,
			    d == F16 ? fmin(u->hi, 11) : u->hi, N);
			v = values(x);
			for (int i = 0; i < N; i++)
				want[i] = u->ref(v[i]);
			for (int i = 0; d == F16 && i < N; i++)
				want[i] = fabs(want[i]) >= 65520 ? copysign(INFINITY, want[i])
				    : want[i];
			near_above(u->name, u->op(x), want, u->tol + dtype_eps(d), floor);
			free(v);
			scope_close();
		}
}

static struct tensor *
call_unary(void *ctx, struct tensor **in, int n)
{
	(void)n;
	return ((const struct unary_op *)ctx)->op(in[0]);
}

static void
unary_gradients(void **state)
{
	uint64_t before = live_bytes();

	(void)state;
	for (size_t o = 0; o < sizeof(unary_ops) / sizeof(*unary_ops); o++) {
		struct unary_op u = unary_ops[o];
		struct tensor *in[1];

		if (u.glo == u.ghi)
			continue;
		scope_open();
		in[0] = random_tensor(F32, o, u.glo, u.ghi, 5, 7);
		/* seen: 6e-5 */
		check_grad(u.name, call_unary, &u, in, 1, 2e-3);
		check_grad_twice(u.name, call_unary, &u, in, 1, 2e-3);
		scope_close();
	}
	assert_true(live_bytes() == before);
}

/* The fused backward kernels, each against the composed form that create_graph takes. */
static void
fused_gradients_equal_composed_ones(void **state)
{
	(void)state;
	for (size_t o = 0; o < sizeof(unary_ops) / sizeof(*unary_ops); o++) {
		const struct unary_op *u = &unary_ops[o];
		struct tensor *x, *g[2];
		float *c;
		double *want;

		if (u->glo == u->ghi)
			continue;
		scope_open();
		x = random_tensor(F32, o, u->glo, u->ghi, 1031);
		x->requires_grad = true;
		grad_of(u->op(x), NULL, &x, 1, false, &g[0]);
		grad_of(u->op(x), NULL, &x, 1, true, &g[1]);
		c = values(g[1]);
		want = xmalloc((size_t)x->n * sizeof(*want));
		for (int64_t i = 0; i < x->n; i++)
			want[i] = c[i];
		near(u->name, g[0], want, 1e-6);
		free(c);
		free(want);
		scope_close();
	}
}

static void
edges(void **state)
{
	const float x[] = { NAN, INFINITY, -INFINITY, 0, -1 };
	const double e[] = { NAN, INFINITY, 0, 1, exp(-1) },
	    l[] = { NAN, INFINITY, NAN, -INFINITY, NAN };
	const double s[] = { NAN, 1, 0, 0.5, 1 / (1 + exp(1)) }, t[] = { NAN, 1, -1, 0, tanh(-1) };
	const double r[] = { NAN, INFINITY, 0, 0, 0 }, m[] = { NAN, INFINITY, 0, 0, 0 };
	const double p[] = { NAN, INFINITY, 0, log(2), log1p(exp(-1)) },
	    q[] = { NAN, 1, -1, 0, -1 };
	struct tensor *v;

	(void)state;
	scope_open();
	v = tensor_from(F32, 1, (int64_t[]){ 5 }, x);
	near_above("exp", op_exp(v), e, 1e-6, 1);
	near_above("log", op_log(v), l, 1e-6, 1);
	near_above("sigmoid", op_sigmoid(v), s, 1e-6, 1);
	near_above("tanh", op_tanh(v), t, 1e-6, 1);
	near_above("softplus", op_softplus(v), p, 1e-6, 1);
	near_above("relu", op_relu(v), r, 0, 1);
	near_above("clamp", op_clamp(v, -1, 1), q, 0, 1);
	near_above("maximum", op_maximum(v, tensor_scalar(0)), m, 0, 1);
	near_above("maximum", op_maximum(tensor_scalar(0), v), m, 0, 1);
	scope_close();
}

/* All 65,536 values of each 16-bit type survive a trip through f32 on the device. */
static void
halves_convert_exactly(void **state)
{
	enum { N = 65536 };
	uint16_t *h = xmalloc(N * sizeof(*h)), *back = xmalloc(N * sizeof(*back));

	(void)state;
	for (int i = 0; i < N; i++)
		h[i] = (uint16_t)i;
	for (enum dtype d = F16; d <= BF16; d++) {
		struct tensor *x;

		scope_open();
		x = tensor_empty(d, N);
		gpu_write(x->buf, 0, h, N * sizeof(*h));
		x = op_cast(op_cast(x, F32), d);
		gpu_read(x->buf, 0, back, N * sizeof(*h));
		for (int i = 0; i < N; i++) {
			bool nan = d == F16 ? (i & 0x7FFF) > 0x7C00 : (i & 0x7FFF) > 0x7F80;

			if (nan)
				assert_true(d == F16 ? (back[i] & 0x7FFF) > 0x7C00
				    : (back[i] & 0x7FFF) > 0x7F80);
			else
				assert_int_equal(back[i], i);
		}
		scope_close();
	}
	free(h);
	free(back);
}

static void
casts(void **state)
{
	const float x[] = { -1, 0, 0.5f, 1.5f, 254.4f, 300, -3e9f };
	const double u8[] = { 0, 0, 0, 2, 254, 255, 0 }, i32[] =
	    { -1, 0, 0, 2, 254, 300, -2147483648.0 };
	const int32_t ids[] = { 5, -7, 1 << 20 };
	const double want[] = { 5, -7, 1 << 20 };
	struct tensor *v;

	(void)state;
	scope_open();
	v = tensor_from(F32, 1, (int64_t[]){ 7 }, x);
	near_above("to u8", op_cast(v, U8), u8, 0, 1);
	near_above("to i32", op_cast(v, I32), i32, 0, 1);
	near_above("from i32 to bf16", op_cast(tensor_from(I32, 1, (int64_t[]){ 3 }, ids), BF16),
	    want, 0, 1);
	scope_close();
}

/* Gradients of 16-bit tensors come in their type and add up in f32. */
static void
half_precision_trains(void **state)
{
	const float w[] = { 0.5f, -1, 2, 3, 0.25f };
	const double want[] = { 1, -2, 4, 6, 0.5 };

	(void)state;
	for (enum dtype d = F16; d <= BF16; d++) {
		struct tensor *t;

		scope_open();
		t = tensor_hold(tensor_from(d, 1, (int64_t[]){ 5 }, w));
		t->requires_grad = true;
		backward(op_sum_all(op_square(t)));
		assert_int_equal(t->grad->dtype, F32);
		near("gradient of a 16-bit leaf", t->grad, want, 0);
		tensor_drop(t);
		scope_close();
	}
}

static struct tensor *
call_cast(void *ctx, struct tensor **in, int n)
{
	(void)ctx;
	(void)n;
	return op_square(op_cast(op_cast(op_square(in[0]), BF16), F32));
}

/* Differences are too coarse for 16 bits: the gradient of y^2 with y = round(x^2) is 4 x y. */
static void
cast_gradients(void **state)
{
	double want[1031], second[1031];
	struct tensor *x, *g, *gg;
	float *v;

	(void)state;
	scope_open();
	x = random_tensor(F32, 1, 0.5, 2, 1031);
	x->requires_grad = true;
	v = values(x);
	for (int i = 0; i < 1031; i++) {
		want[i] = 4 * pow((double)v[i], 3);
		second[i] = 12 * pow((double)v[i], 2);
	}
	grad_of(call_cast(NULL, &x, 1), NULL, &x, 1, true, &g);
	/* three roundings to 8 bits */
	near("gradient of op_cast", g, want, 3 * 0x1p-8);
	grad_of(g, NULL, &x, 1, false, &gg);
	near("second gradient of op_cast", gg, second, 5 * 0x1p-8);
	free(v);
	scope_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(halves_convert_exactly),
		cmocka_unit_test(casts),
		cmocka_unit_test(binary_ops_broadcast),
		cmocka_unit_test(binary_gradients),
		cmocka_unit_test(unary_ops_are_precise),
		cmocka_unit_test(unary_gradients),
		cmocka_unit_test(fused_gradients_equal_composed_ones),
		cmocka_unit_test(cast_gradients),
		cmocka_unit_test(edges),
		cmocka_unit_test(half_precision_trains),
	};

	return cmocka_run_group_tests(tests, check_setup, NULL);
}
