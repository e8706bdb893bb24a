/* Moving values about: exact in every type, against plain loops. */
#include "grad_check.h"

/* x's elements counted up, so that each says where it came from (exact in f16 up to 2048). */
static struct tensor *
counted(enum dtype d, int nd, const int64_t *dim)
{
	int64_t n = 1;
	struct tensor *t;
	float *x;

	for (int i = 0; i < nd; i++)
		n *= dim[i];
	x = xmalloc((size_t)n * sizeof(*x));
	for (int64_t i = 0; i < n; i++)
		x[i] = (float)(d == BF16 ? i % 251 : i);
	t = tensor_from(d, nd, dim, x);
	free(x);
	return t;
}

static double
count_at(enum dtype d, int64_t i)
{
	return (double)(d == BF16 ? i % 251 : i);
}

static void
permutes(void **state)
{
	static const struct {
		int nd;
		int64_t dim[TENSOR_MAXDIM];
		int perm[TENSOR_MAXDIM];
	} cases[] = {
		{ 1, { 5 }, { 0 } }, { 2, { 3, 5 }, { 1, 0 } }, { 2, { 16, 8 }, { 1, 0 } },
		{ 3, { 4, 5, 6 }, { 2, 0, 1 } }, { 3, { 4, 5, 8 }, { 1, 0, 2 } },
		    { 3, { 4, 5, 2 }, { 1, 0, 2 } },
		{ 4, { 2, 3, 5, 7 }, { 0, 3, 1, 2 } }, { 4, { 2, 7, 3, 5 }, { 0, 2, 3, 1 } },
		{ 4, { 2, 3, 4, 16 }, { 0, 2, 1, 3 } },
		    { 6, { 2, 1, 3, 2, 2, 3 }, { 5, 3, 1, 0, 2, 4 } },
	};
	double want[2048];

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++)
		for (enum dtype d = F32; d <= BF16; d++) {
			int nd = cases[k].nd;
			struct tensor *x, *y;

			scope_open();
			x = counted(d, nd, cases[k].dim);
			y = op_permute(x, cases[k].perm);
			for (int64_t e = 0; e < y->n; e++) {
				int64_t at[TENSOR_MAXDIM], rest = e, from = 0;

				for (int i = nd - 1; i >= 0; i--) {
					at[cases[k].perm[i]] = rest % y->dim[i];
					rest /= y->dim[i];
				}
				for (int i = 0; i < nd; i++)
					from = from * x->dim[i] + at[i];
				want[e] = count_at(d, from);
			}
			near_above("op_permute", y, want, 0, 1);
			scope_close();
		}
}

static void
flips_slices_and_pads(void **state)
{
	const int64_t dim[] = { 2, 5, 3, 4 };
	double want[2048];

	(void)state;
	for (int axis = 0; axis < 4; axis++)
		for (enum dtype d = F32; d <= BF16; d++) {
			struct tensor *x, *y;
			int64_t inner = 1, len = dim[axis];

			for (int i = axis + 1; i < 4; i++)
				inner *= dim[i];
			scope_open();
			x = counted(d, 4, dim);
			y = op_flip(x, axis);
			for (int64_t e = 0; e < y->n; e++)
				want[e] =
				    count_at(d, e + (len - 1 - 2 * (e / inner % len)) * inner);
			near_above("op_flip", y, want, 0, 1);
			y = op_slice(x, axis - 4, 1, len - 1);
			for (int64_t e = 0; e < y->n; e++)
				want[e] = count_at(d, e / inner / (len - 1) * len * inner +
				    (e / inner % (len - 1) + 1) * inner + e % inner);
			near_above("op_slice", y, want, 0, 1);
			scope_close();
		}
	for (enum dtype d = F32; d <= BF16; d++) {
		struct tensor *y;
		/* left, right, top, bottom */
		const int pad[] = { 2, -1, 1, 3 };
		int64_t e = 0;

		scope_open();
		y = op_pad2d(counted(d, 4, dim), pad[0], pad[1], pad[2], pad[3]);
		assert_int_equal(y->dim[1], 9);
		assert_int_equal(y->dim[2], 4);
		for (int64_t n = 0; n < 2; n++)
			for (int64_t i = -1; i < 8; i++)
				for (int64_t j = -2; j < 2; j++)
					for (int64_t c = 0; c < 4; c++)
						want[e++] = i < 0 || i >= 5 || j < 0 || j >= 3 ? 0
						    : count_at(d, ((n * 5 + i) * 3 + j) * 4 + c);
		near_above("op_pad2d", y, want, 0, 1);
		scope_close();
	}
}

static void
concats(void **state)
{
	double want[2048];

	(void)state;
	for (int axis = 0; axis < 3; axis++)
		for (enum dtype d = F32; d <= BF16; d++) {
			int64_t dim[] = { 2, 3, 4 }, lens[] = { 1, 4, 3 }, e = 0, outer = 1, inner =
			    1;
			struct tensor *x[3];

			for (int i = 0; i < 3; i++)
				*(i < axis ? &outer : &inner) *= i == axis ? 1 : dim[i];
			scope_open();
			for (int i = 0; i < 3; i++) {
				dim[axis] = lens[i];
				x[i] = counted(d, 3, dim);
			}
			for (int64_t o = 0; o < outer; o++)
				for (int i = 0; i < 3; i++)
					for (int64_t j = 0; j < lens[i] * inner; j++)
						want[e++] = count_at(d, o * lens[i] * inner + j);
			near_above("op_concat", op_concat(x, 3, axis), want, 0, 1);
			scope_close();
		}
}

static void
broadcasts(void **state)
{
	static const struct {
		int nx, ny;
		int64_t x[TENSOR_MAXDIM], y[TENSOR_MAXDIM];
	} cases[] = {
		{ 0, 2, { 0 }, { 5, 7 } }, { 1, 2, { 7 }, { 5, 7 } }, { 2, 2, { 5, 1 }, { 5, 8 } },
		{ 3, 4, { 3, 1, 5 }, { 2, 3, 4, 5 } }, { 2, 2, { 3, 4 }, { 3, 4 } },
	};
	double want[256];

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++)
		for (enum dtype d = F32; d <= BF16; d++) {
			struct tensor *x, *y;

			scope_open();
			x = counted(d, cases[k].nx, cases[k].x);
			y = op_broadcast(x, cases[k].ny, cases[k].y);
			for (int64_t e = 0; e < y->n; e++) {
				int64_t rest = e, from = 0, step = 1;

				for (int i = 1; i <= x->ndim; i++) {
					from += x->dim[x->ndim - i] == 1 ? 0
					    : rest % x->dim[x->ndim - i] * step;
					rest /= y->dim[y->ndim - i];
					step *= x->dim[x->ndim - i];
				}
				want[e] = count_at(d, from);
			}
			near_above("op_broadcast", y, want, 0, 1);
			scope_close();
		}
}

static void
rows_by_number(void **state)
{
	const int32_t ids[] = { 3, 0, 4, 3, -1, 5, 3, 1 };

	(void)state;
	for (int64_t c = 1; c <= 8; c += c == 1 ? 1 : c == 2 ? 2 : 4)
		for (enum dtype d = F32; d <= BF16; d++) {
			double want[64], back[64] = { 0 };
			struct tensor *table, *rows, *t, *g;

			scope_open();
			t = tensor_from(I32, 2, (int64_t[]){ 2, 4 }, ids);
			table = counted(d, 2, (int64_t[]){ 5, c });
			table->requires_grad = true;
			rows = op_gather_rows(table, t);
			assert_int_equal(rows->ndim, 3);
			for (int64_t i = 0; i < 8; i++)
				for (int64_t j = 0; j < c; j++) {
					bool in = ids[i] >= 0 && ids[i] < 5;

					want[i * c + j] = in ? count_at(d, ids[i] * c + j) : 0;
					if (in)
						back[ids[i] * c + j] += (double)(i * c + j);
				}
			near_above("op_gather_rows", rows, want, 0, 1);
			g = op_reshape(counted(d, 1, (int64_t[]){ 8 * c }), 3, rows->dim);
			grad_of(rows, g, &table, 1, false, &g);
			near_above("its gradient", g, back, 0, 1);
			scope_close();
		}
}

/* ---- gradients ------------------------------------------------------------------------------- */

static struct tensor *
do_permute(void *ctx, struct tensor **in, int n)
{
	(void)ctx;
	(void)n;
	return op_square(op_permute(in[0], (int[]){ 2, 0, 1 }));
}

static struct tensor *
do_flip(void *ctx, struct tensor **in, int n)
{
	(void)ctx;
	(void)n;
	return op_mul(op_flip(in[0], 1), in[0]);
}

static struct tensor *
do_slice(void *ctx, struct tensor **in, int n)
{
	(void)ctx;
	(void)n;
	return op_mul(op_slice(in[0], 2, 1, 2), op_slice(in[0], 2, 0, 2));
}

static struct tensor *
do_concat(void *ctx, struct tensor **in, int n)
{
	(void)ctx;
	return op_square(op_concat(in, n, 1));
}

static struct tensor *
do_pad(void *ctx, struct tensor **in, int n)
{
	(void)ctx;
	(void)n;
	return op_square(op_pad2d(op_view(in[0], 1, 4, 3, 2), 1, -1, -2, 2));
}

static struct tensor *
do_broadcast(void *ctx, struct tensor **in, int n)
{
	(void)ctx;
	(void)n;
	return op_mul(op_broadcast(op_view(in[0], 4, 3, 1, 2), 4, (int64_t[]){ 4, 3, 5, 2 }),
	    op_affine(op_broadcast(op_view(in[0], 4, 3, 1, 2), 4, (int64_t[]){ 4, 3, 5, 2 }), 2,
	    1));
}

static struct tensor *
do_gather(void *ctx, struct tensor **in, int n)
{
	const int32_t ids[] = { 1, 3, 1 };

	(void)ctx;
	(void)n;
	return op_square(op_gather_rows(op_view(in[0], 4, 6),
	    tensor_from(I32, 1, (int64_t[]){ 3 }, ids)));
}

static void
gradients(void **state)
{
	static const struct {
		const char *name;
		grad_fn *fn;
	} fns[] = { { "op_permute", do_permute }, { "op_flip", do_flip }, { "op_slice", do_slice },
		{ "op_concat", do_concat }, { "op_pad2d", do_pad },
		    { "op_broadcast", do_broadcast },
		{ "op_gather_rows", do_gather } };
	uint64_t before = live_bytes();

	(void)state;
	for (size_t k = 0; k < sizeof(fns) / sizeof(*fns); k++) {
		struct tensor *in[2];

		scope_open();
		in[0] = random_tensor(F32, k, -1, 1, 4, 2, 3);
		in[1] = random_tensor(F32, k + 50, -1, 1, 4, 5, 3);
		/* seen: 3e-5 */
		check_grad(fns[k].name, fns[k].fn, NULL, in, fns[k].fn == do_concat ? 2 : 1, 2e-3);
		check_grad_twice(fns[k].name, fns[k].fn, NULL, in, fns[k].fn == do_concat ? 2 : 1,
		    2e-3);
		scope_close();
	}
	assert_true(live_bytes() == before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permutes),
		cmocka_unit_test(flips_slices_and_pads),
		cmocka_unit_test(concats),
		cmocka_unit_test(broadcasts),
		cmocka_unit_test(rows_by_number),
		cmocka_unit_test(gradients),
	};

	return cmocka_run_group_tests(tests, check_setup, NULL);
}
