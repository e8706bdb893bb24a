/* Products of matrices and linear layers, against sums in double precision. */
#include "grad_check.h"
#include "tensor/gemm.h"

/* An error bound for sums of k products stored in dtype: f32 rounding, then that of the result. */
static double
bound(enum dtype d, int64_t k)
{
	return 4e-7 * sqrt((double)k) + 2.5 * dtype_eps(d);
}

static struct tensor *
matrix(enum dtype d, uint64_t seed, int64_t batch, int64_t r, int64_t c)
{
	return batch ? random_tensor(d, seed, -1, 1, batch, r, c) : random_tensor(d, seed, -1, 1, r,
	    c);
}

static void
one_product(enum dtype d, int64_t bx, int64_t by, int64_t m, int64_t n, int64_t k, bool ta, bool tb)
{
	struct tensor *x = matrix(d, 1, bx, ta ? k : m, ta ? m : k);
	struct tensor *y = matrix(d, 2, by, tb ? n : k, tb ? k : n), *z = op_matmul(x, y, ta, tb);
	int64_t batch = bx ? bx : by ? by : 1;
	double *want = xcalloc((size_t)(batch * m * n), sizeof(*want)), *w = want;
	float *a = values(x), *b = values(y);
	char what[80];

	for (int64_t q = 0; q < batch; q++)
		for (int64_t i = 0; i < m; i++)
			for (int64_t j = 0; j < n; j++, w++)
				for (int64_t t = 0; t < k; t++)
					*w += (double)a[(bx ? q * m * k : 0) +
					    (ta ? t * m + i : i * k + t)] *
					    b[(by ? q * n * k : 0) + (tb ? j * k + t : t * n + j)];
	snprintf(what, sizeof(what), "%s%s", ta ? "x^T " : "x ", tb ? "y^T" : "y");
	near(what, z, want, bound(d, k));
	free(a);
	free(b);
	free(want);
}

static void
products_of_every_shape(void **state)
{
	static const struct {
		int64_t bx, by, m, n, k;
	} c[] = { { 0, 0, 1, 1, 1 }, { 0, 0, 3, 5, 2 }, { 0, 0, 33, 17, 9 }, { 0, 0, 64, 64, 64 },
		{ 0, 0, 100, 130, 70 }, { 0, 0, 5, 33, 1000 }, { 0, 0, 16, 4, 4100 },
		    { 2, 2, 7, 20, 12 },
		{ 3, 0, 5, 6, 7 }, { 0, 3, 5, 6, 7 }, { 2, 0, 40, 36, 24 }, { 4, 4, 77, 64, 40 },
		{ 0, 0, 2, 81, 16 }, { 0, 0, 20, 112, 8 } };

	(void)state;
	for (enum dtype d = F32; d <= BF16; d++)
		for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++)
			for (int t = 0; t < 4; t++) {
				scope_open();
				one_product(d, c[i].bx, c[i].by, c[i].m, c[i].n, c[i].k, t & 1,
				    t >> 1);
				scope_close();
			}
}

static struct tensor *
matmul_fn(void *ctx, struct tensor **in, int n)
{
	const int *t = ctx;

	(void)n;
	return op_matmul(in[0], in[1], t[0], t[1]);
}

static void
products_have_gradients(void **state)
{
	(void)state;
	for (int t = 0; t < 4; t++) {
		int ctx[] = { t & 1, t >> 1 };

		for (int lead = 0; lead < 4; lead++) {
			struct tensor *in[2];

			scope_open();
			in[0] = matrix(F32, 3, lead & 1 ? 2 : 0, ctx[0] ? 4 : 3, ctx[0] ? 3 : 4);
			in[1] = matrix(F32, 4, lead & 2 ? 2 : 0, ctx[1] ? 5 : 4, ctx[1] ? 4 : 5);
			check_grad("op_matmul", matmul_fn, ctx, in, 2, 2e-3);
			check_grad_twice("op_matmul", matmul_fn, ctx, in, 2, 2e-3);
			scope_close();
		}
	}
}

static double
activated(enum act act, double s)
{
	switch (act) {
	case ACT_RELU:
		return fmax(s, 0);
	case ACT_SILU:
		return s / (1 + exp(-s));
	case ACT_GELU:
		return s * erfc(-s * sqrt(0.5)) / 2;
	case ACT_QUICK_GELU:
		return s / (1 + exp(-1.702 * s));
	case ACT_SIGMOID:
		return 1 / (1 + exp(-s));
	case ACT_LRELU:
		return s < 0 ? 0.2 * s : s;
	default:
		return s;
	}
}

static void
linear_layers(void **state)
{
	static const int64_t c[][3] =
	    { { 1, 1, 1 }, { 4, 1000, 512 }, { 37, 10, 30 }, { 65, 48, 33 },
		{ 2, 2, 1280 }, { 130, 96, 20 } };

	(void)state;
	for (enum dtype d = F32; d <= BF16; d++)
		for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++)
			for (enum act act = ACT_NONE; act <= ACT_LRELU; act++) {
				const int64_t m = c[i][0], n = c[i][1], k = c[i][2];
				struct tensor *x, *w, *b;
				float *xs, *ws, *bs;
				double *want = xcalloc((size_t)(m * n), sizeof(*want));

				scope_open();
				x = random_tensor(d, 5, -1, 1, m, 1, k);
				w = random_tensor(d, 6, -1, 1, n, k);
				b = act == ACT_SILU ? NULL
				    : random_tensor(act == ACT_RELU ? F32 : d, 7, -1, 1, n);
				xs = values(x);
				ws = values(w);
				bs = b ? values(b) : NULL;
				for (int64_t r = 0; r < m; r++)
					for (int64_t j = 0; j < n; j++) {
						double s = b ? bs[j] : 0;

						for (int64_t t = 0; t < k; t++)
							s += (double)xs[r * k + t] * ws[j * k + t];
						want[r * n + j] = activated(act, s);
					}
				near("op_linear_act", op_linear_act(x, w, b, act), want,
				    2 * bound(d, k) + 1e-6);
				scope_close();
				free(want);
				free(xs);
				free(ws);
				free(bs);
			}
}

static struct tensor *
linear_fn(void *ctx, struct tensor **in, int n)
{
	return op_linear_act(in[0], in[1], n > 2 ? in[2] : NULL, *(enum act *)ctx);
}

static void
linear_layers_have_gradients(void **state)
{
	(void)state;
	for (enum act act = ACT_NONE; act <= ACT_LRELU; act++) {
		struct tensor *in[3];

		if (act == ACT_RELU || act == ACT_LRELU)
			continue; /* the kink is op_relu's */
		scope_open();
		in[0] = random_tensor(F32, 8, -1, 1, 2, 3, 5);
		in[1] = random_tensor(F32, 9, -1, 1, 6, 5);
		in[2] = random_tensor(F32, 10, -1, 1, 6);
		check_grad("op_linear_act", linear_fn, &act, in, 3, 2e-3);
		if (act == ACT_NONE)
			check_grad_twice("op_linear_act", linear_fn, &act, in, 3, 2e-3);
		scope_close();
	}
}

/* A weight whose packed copy is kept is packed again when its values change. */
static void
packed_weights_follow_their_version(void **state)
{
	const float ones[] = { 1, 1, 1, 1 }, twos[] = { 2, 2, 2, 2 };
	struct tensor *w = tensor_hold(tensor_from(F32, 2, (int64_t[]){ 1, 4 }, ones));
	uint64_t before;

	(void)state;
	scope_open();
	struct tensor *x = tensor_from(F32, 2, (int64_t[]){ 1, 4 }, ones);

	assert_true(tensor_item(op_linear(x, w, NULL)) == 4);
	assert_non_null(w->packed);
	tensor_set(w, twos);
	assert_true(tensor_item(op_linear(x, w, NULL)) == 8);
	assert_true(tensor_item(op_linear(x, w, NULL)) == 8);
	before = live_bytes();
	tensor_drop(w);
	assert_true(live_bytes() < before);
	/* and none is kept of one that is being trained */
	w = tensor_hold(tensor_from(F32, 2, (int64_t[]){ 1, 4 }, ones));
	w->requires_grad = true;
	assert_true(tensor_item(op_linear(x, w, NULL)) == 4);
	assert_null(w->packed);
	scope_close();
	tensor_drop(w);
}

/* The copy of a frozen weight does not serve once it is trained and has changed. */
static void
weights_that_thaw_are_read_anew(void **state)
{
	enum { N = 64 };
	float v[N * N], x[N];
	struct tensor *w, *in;

	(void)state;
	for (int i = 0; i < N * N; i++)
		v[i] = 1;
	for (int i = 0; i < N; i++)
		x[i] = 1;
	w = tensor_hold(tensor_from(F32, 2, (int64_t[]){ N, N }, v));
	scope_open();
	in = tensor_from(F32, 2, (int64_t[]){ 1, N }, x);
	assert_true(tensor_item(op_mean_all(op_linear(in, w, NULL))) == N);
	assert_non_null(w->packed);
	for (int i = 0; i < N * N; i++)
		v[i] = 2;
	tensor_set(w, v);
	w->requires_grad = true;
	assert_true(tensor_item(op_mean_all(op_linear(in, w, NULL))) == 2 * N);
	scope_close();
	tensor_drop(w);
}

#define ON(test, disable)                                                               \
	{                                                                               \
#test " (without: " disable ")", test, check_setup_without, check_teardown, disable \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON(products_of_every_shape, ""),
		ON(products_of_every_shape, "subgroup,texel"),
		/* halves through cooperative matrices, where the device has them */
		ON(products_of_every_shape, "texel"),
		ON(products_have_gradients, ""),
		ON(products_have_gradients, "subgroup"),
		ON(linear_layers, ""),
		ON(linear_layers, "subgroup,texel"),
		ON(linear_layers_have_gradients, ""),
		ON(packed_weights_follow_their_version, ""),
		ON(weights_that_thaw_are_read_anew, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
