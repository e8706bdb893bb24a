/* Sums, means and maxima over axes, against sums in double precision. */
#include "grad_check.h"

struct sum_case {
	int nd;
	int64_t dim[TENSOR_MAXDIM];
	unsigned axes;
};

/* Rows and columns, short and long, odd and even; several runs of axes; more than one pass. */
static const struct sum_case cases[] = {
	{ 1, { 1 }, 1 }, { 1, { 3 }, 1 }, { 1, { 31 }, 1 }, { 1, { 32 }, 1 }, { 1, { 1031 }, 1 },
	{ 1, { 300007 }, 1 }, { 1, { 1 << 20 }, 1 },
	{ 2, { 17, 3 }, 2 }, { 2, { 17, 64 }, 2 }, { 2, { 5, 1031 }, 2 }, { 2, { 3, 40000 }, 2 },
	{ 2, { 17, 3 }, 1 }, { 2, { 17, 64 }, 1 }, { 2, { 1031, 5 }, 1 }, { 2, { 4096, 3 }, 1 },
	{ 2, { 4099, 3 }, 1 }, { 2, { 70000, 2 }, 1 }, { 2, { 70000, 1 }, 1 },
	    { 2, { 4098, 6 }, 1 },
	{ 2, { 20000, 64 }, 1 }, { 2, { 131072, 4 }, 1 },
	{ 3, { 3, 257, 8 }, 2 }, { 3, { 3, 257, 7 }, 2 }, { 3, { 5, 6, 7 }, 5 },
	    { 3, { 5, 600, 8 }, 5 },
	{ 4, { 2, 9, 9, 16 }, 7 }, { 4, { 2, 9, 9, 16 }, 6 }, { 4, { 2, 9, 9, 3 }, 9 },
	{ 6, { 2, 3, 2, 5, 2, 3 }, 0x15 }, { 6, { 2, 3, 2, 5, 2, 3 }, 0x2a },
	    { 4, { 3, 1, 5, 1 }, 10 },
};

/* Sums of x over axes into want; returns how many there are. */
static int64_t
sum_reference(const float *x, const struct sum_case *c, double *want)
{
	int64_t n = 1, m = 1;

	for (int i = 0; i < c->nd; i++) {
		n *= c->dim[i];
		m *= c->axes >> i & 1 ? 1 : c->dim[i];
	}
	for (int64_t e = 0; e < m; e++)
		want[e] = 0;
	for (int64_t e = 0; e < n; e++) {
		int64_t rest = e, at = 0, step = 1;

		for (int i = c->nd - 1; i >= 0; i--) {
			if (!(c->axes >> i & 1)) {
				at += rest % c->dim[i] * step;
				step *= c->dim[i];
			}
			rest /= c->dim[i];
		}
		want[at] += (double)x[e];
	}
	return m;
}

static void
sums(void **state)
{
	static double want[100000];
	uint64_t before = live_bytes();

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++)
		for (enum dtype d = F32; d <= BF16; d++) {
			const struct sum_case *c = &cases[k];
			struct tensor *x, *y;
			float *v;
			int64_t m;

			scope_open();
			x = random_tensor_of(d, k, -1, 2, c->nd, c->dim);
			v = values(x);
			m = sum_reference(v, c, want);
			y = op_sum(x, c->axes, k % 2);
			assert_int_equal(y->n, m);
			assert_int_equal(y->ndim, k % 2 ? c->nd : c->nd -
			    __builtin_popcount(c->axes));
			/* seen 2e-7 in f32; a sum beyond 65504 is infinite in f16 */
			if (d != F16 || fabs(want[0]) < 60000)
				near("op_sum", y, want, 1e-6 + dtype_eps(d));
			for (int64_t i = 0; i < m; i++)
				want[i] *= (double)m / (double)x->n;
			near("op_mean", op_mean(x, c->axes, false), want, 1e-6 + dtype_eps(d));
			free(v);
			scope_close();
		}
	assert_true(live_bytes() == before);
}

static void
sums_of_all(void **state)
{
	(void)state;
	for (int64_t n = 1; n < 2000000; n = n * 3 + 1)
		for (enum dtype d = F32; d <= BF16; d++) {
			struct tensor *x;
			double want = 0, mean;
			float *v;

			scope_open();
			x = random_tensor(d, (uint64_t)n, 0, 1, n);
			v = values(x);
			for (int64_t i = 0; i < n; i++)
				want += (double)v[i];
			mean = want / (double)n;
			assert_int_equal(op_sum_all(x)->dtype, F32);
			near("op_sum_all", op_sum_all(x), &want, 1e-6);
			near("op_mean_all", op_mean_all(x), &mean, 1e-6);
			free(v);
			scope_close();
		}
}

/* The same bits each time. */
static void
sums_repeat(void **state)
{
	struct tensor *x;
	double first;

	(void)state;
	scope_open();
	x = random_tensor(F32, 5, -1, 1, 777777);
	first = tensor_item(op_sum_all(x));
	for (int i = 0; i < 5; i++)
		assert_true(tensor_item(op_sum_all(x)) == first);
	scope_close();
}

static struct tensor *
call_sum(void *ctx, struct tensor **in, int n)
{
	const struct sum_case *c = ctx;

	(void)n;
	return op_mul(op_sum(in[0], c->axes, false), op_mean(op_square(in[0]), c->axes, false));
}

static void
sum_gradients(void **state)
{
	const size_t which[] = { 1, 3, 7, 11, 23, 27, 28, 29, 30 };

	(void)state;
	for (size_t k = 0; k < sizeof(which) / sizeof(*which); k++) {
		struct sum_case c = cases[which[k]];
		struct tensor *in[1];

		scope_open();
		in[0] = random_tensor_of(F32, k, 0.1, 1, c.nd, c.dim);
		/* seen: 2e-4 */
		check_grad("op_sum", call_sum, &c, in, 1, 3e-3);
		check_grad_twice("op_sum", call_sum, &c, in, 1, 3e-3);
		scope_close();
	}
}

/* Broadcast gradients sum products without the product in memory: the same as with it. */
static void
sums_of_products(void **state)
{
	static const int64_t like[][4] =
	    { { 1, 1, 1, 12 }, { 3, 1, 1, 12 }, { 3, 1, 1, 1 }, { 3, 50, 7, 1 },
		{ 1, 50, 1, 12 } };

	(void)state;
	for (size_t k = 0; k < sizeof(like) / sizeof(*like); k++) {
		struct tensor *x, *s, *g[2];
		float *v;
		double *want;

		scope_open();
		x = random_tensor(F32, 1, -1, 1, 3, 50, 7, 12);
		s = random_tensor_of(F32, 2, -1, 1, 4, like[k]);
		s->requires_grad = true;
		grad_of(op_square(op_mul(x, s)), NULL, &s, 1, false, &g[0]);
		grad_of(op_square(op_mul(x, s)), NULL, &s, 1, true, &g[1]);
		v = values(g[1]);
		want = xmalloc((size_t)s->n * sizeof(*want));
		for (int64_t i = 0; i < s->n; i++)
			want[i] = v[i];
		near("sum of products", g[0], want, 1e-6);
		free(v);
		free(want);
		scope_close();
	}
}

static struct tensor *
call_max(void *ctx, struct tensor **in, int n)
{
	(void)n;
	return op_square(op_max(in[0], *(int *)ctx, false));
}

static void
maxima(void **state)
{
	const int64_t dim[] = { 5, 17, 6 };

	(void)state;
	for (int axis = 0; axis < 3; axis++)
		for (enum dtype d = F32; d <= BF16; d++) {
			int64_t outer = 1, inner = 1, len = dim[axis];
			struct tensor *x, *y, *at;
			double want[17 * 6], place[17 * 6];
			float *v;

			for (int i = 0; i < 3; i++)
				*(i < axis ? &outer : &inner) *= i == axis ? 1 : dim[i];
			scope_open();
			x = random_tensor_of(d, 9, -1, 1, 3, dim);
			v = values(x);
			for (int64_t o = 0; o < outer; o++)
				for (int64_t i = 0; i < inner; i++) {
					int64_t best = 0;

					for (int64_t r = 1; r < len; r++)
						if (v[(o * len + r) * inner + i] >
						    v[(o * len + best) * inner + i])
							best = r;
					want[o * inner + i] = v[(o * len + best) * inner + i];
					place[o * inner + i] = (double)best;
				}
			y = op_max(x, axis, true);
			assert_int_equal(y->dim[axis], 1);
			near_above("op_max", y, want, 0, 1);
			at = op_argmax(x, axis - 3);
			assert_int_equal(at->ndim, 2);
			near_above("op_argmax", at, place, 0, 1);
			free(v);
			scope_close();
		}
	for (int axis = 0; axis < 2; axis++) {
		/* no two values nearer than the steps of the check */
		float x[] = { 1, 3, 2, 6, 5, 4, 9, 7, 8, 11, 10, 12 };
		struct tensor *in[1];

		scope_open();
		in[0] = tensor_from(F32, 2, (int64_t[]){ 4, 3 }, x);
		check_grad("op_max", call_max, &axis, in, 1, 2e-3);
		check_grad_twice("op_max", call_max, &axis, in, 1, 2e-3);
		scope_close();
	}
}

/* Of equal maxima the first has the gradient. */
static void
ties_go_to_the_first(void **state)
{
	const float x[] = { 1, 3, 3, 0, 2, 2 };
	const double want[] = { 0, 1, 0, 0, 1, 0 };
	struct tensor *t, *g;

	(void)state;
	scope_open();
	t = tensor_from(F32, 2, (int64_t[]){ 2, 3 }, x);
	t->requires_grad = true;
	grad_of(op_max(t, 1, false), NULL, &t, 1, false, &g);
	near_above("tie", g, want, 0, 1);
	scope_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums),
		cmocka_unit_test(sums_of_all),
		cmocka_unit_test(sums_repeat),
		cmocka_unit_test(sum_gradients),
		cmocka_unit_test(sums_of_products),
		cmocka_unit_test(maxima),
		cmocka_unit_test(ties_go_to_the_first),
	};

	return cmocka_run_group_tests(tests, check_setup, NULL);
}
