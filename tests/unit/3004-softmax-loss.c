/* Softmax and the losses, against double precision. */
#include "grad_check.h"

static void
softmax_reference(const float *x, int64_t rows, int64_t cols, bool logarithm, double *y)
{
	for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
		double most = -INFINITY, sum = 0;

		for (int64_t c = 0; c < cols; c++)
			most = fmax(most, x[c]);
		for (int64_t c = 0; c < cols; c++)
			sum += exp(x[c] - most);
		for (int64_t c = 0; c < cols; c++)
			y[c] = logarithm ? x[c] - most - log(sum) : exp(x[c] - most) / sum;
	}
}

static void
softmaxes(void **state)
{
	static const int64_t shapes[][2] = { { 1, 1 }, { 5, 2 }, { 17, 3 }, { 3, 17 }, { 9, 32 },
	    { 7, 64 },
		{ 3, 77 }, { 2, 1031 }, { 3, 4096 } };
	static double want[3 * 4096];

	(void)state;
	for (size_t k = 0; k < sizeof(shapes) / sizeof(*shapes); k++)
		for (enum dtype d = F32; d <= BF16; d++) {
			int64_t rows = shapes[k][0], cols = shapes[k][1];
			struct tensor *x;
			float *v;

			scope_open();
			/* the values of large logits must not leave the range */
			x = random_tensor(d, k, k % 2 ? -5 : 900, k % 2 ? 5 : 920, rows, cols);
			v = values(x);
			softmax_reference(v, rows, cols, false, want);
			/* seen in f32: 5e-7; small values of f16 lose bits */
			near_above("op_softmax", op_softmax(x), want, 2e-6 + dtype_eps(d),
			    d == F16 ? 1e-4 : 1e-20);
			softmax_reference(v, rows, cols, true, want);
			near_above("op_log_softmax", op_log_softmax(x), want, 2e-6 + dtype_eps(d),
			    0.5);
			free(v);
			scope_close();
		}
}

static struct tensor *
call_softmax(void *ctx, struct tensor **in, int n)
{
	(void)ctx;
	(void)n;
	return op_softmax(in[0]);
}

static struct tensor *
call_log_softmax(void *ctx, struct tensor **in, int n)
{
	(void)ctx;
	(void)n;
	return op_log_softmax(in[0]);
}

static void
softmax_gradients(void **state)
{
	static const int64_t cols[] = { 3, 8, 35, 40 };

	(void)state;
	for (int k = 0; k < 4; k++) {
		struct tensor *in[1];

		scope_open();
		in[0] = random_tensor(F32, (uint64_t)k, -1, 1, 4, cols[k]);
		/* seen: 3e-4 */
		check_grad("op_softmax", call_softmax, NULL, in, 1, 2e-3);
		check_grad_twice("op_softmax", call_softmax, NULL, in, 1, 2e-3);
		check_grad("op_log_softmax", call_log_softmax, NULL, in, 1, 2e-3);
		check_grad_twice("op_log_softmax", call_log_softmax, NULL, in, 1, 2e-3);
		scope_close();
	}
}

/* ---- losses ---------------------------------------------------------------------------------- */

enum { ROWS = 13, CLASSES = 5 };

static const int32_t labels[ROWS] = { 0, 4, 2, 2, -100, 1, 3, 3, 0, 4, 2, -100, 1 };
static const float weights[CLASSES] = { 0.5f, 1, 2, 0.25f, 3 };

static double
cross_entropy_reference(const float *x, const float *w, int ignore)
{
	double y[ROWS * CLASSES], sum = 0, norm = 0;

	softmax_reference(x, ROWS, CLASSES, true, y);
	for (int r = 0; r < ROWS; r++) {
		if (labels[r] < 0 || labels[r] == ignore)
			continue;
		sum -= (w ? w[labels[r]] : 1) * y[r * CLASSES + labels[r]];
		norm += w ? w[labels[r]] : 1;
	}
	return sum / norm;
}

struct loss_case {
	bool weighted;
	int ignore;
};

static struct tensor *
call_cross_entropy(void *ctx, struct tensor **in, int n)
{
	const struct loss_case *c = ctx;

	(void)n;
	return op_cross_entropy(in[0], tensor_from(I32, 1, (int64_t[]){ ROWS }, labels),
	    c->weighted ? tensor_from(F32, 1, (int64_t[]){ CLASSES }, weights) : NULL, c->ignore);
}

static void
cross_entropies(void **state)
{
	static const struct loss_case cases[] =
	    { { false, -100 }, { true, -100 }, { false, 2 }, { true, 2 } };

	(void)state;
	for (int k = 0; k < 4; k++) {
		for (enum dtype d = F32; d <= BF16; d++) {
			struct loss_case c = cases[k];
			struct tensor *x;
			double want;
			float *v;

			scope_open();
			x = random_tensor(d, (uint64_t)k, -4, 4, ROWS, CLASSES);
			v = values(x);
			want = cross_entropy_reference(v, c.weighted ? weights : NULL, c.ignore);
			near("op_cross_entropy", call_cross_entropy(&c, &x, 1), &want, 1e-6);
			free(v);
			if (d == F32) {
				check_grad("op_cross_entropy", call_cross_entropy, &c, &x, 1, 2e-3);
				check_grad_twice("op_cross_entropy", call_cross_entropy, &c, &x, 1,
				    2e-3);
			}
			scope_close();
		}
	}
}

static struct tensor *
call_bce(void *ctx, struct tensor **in, int n)
{
	(void)n;
	return op_bce_with_logits(in[0], in[1],
	    ctx ? tensor_from(F32, 1, (int64_t[]){ CLASSES }, weights) : NULL);
}

static struct tensor *
call_mse(void *ctx, struct tensor **in, int n)
{
	(void)ctx;
	(void)n;
	return op_mse(in[0], in[1]);
}

static void
binary_and_squared(void **state)
{
	(void)state;
	for (int weighted = 0; weighted < 2; weighted++)
		for (enum dtype d = F32; d <= BF16; d++) {
			int flag = 1;
			struct tensor *in[2];
			double want = 0, square = 0;
			float *x, *y;

			scope_open();
			in[0] = random_tensor(d, 3, -20, 20, ROWS, CLASSES);
			in[1] = random_tensor(d, 4, 0, 1, ROWS, CLASSES);
			x = values(in[0]);
			y = values(in[1]);
			for (int i = 0; i < ROWS * CLASSES; i++) {
				double p = weighted ? weights[i % CLASSES] : 1, v = x[i];
				double log_p = -log1p(exp(-v)), log_q = -log1p(exp(v));

				want -= (p * y[i] * log_p + (1 - y[i]) * log_q) / (ROWS * CLASSES);
				square += (v - y[i]) * (v - y[i]) / (ROWS * CLASSES);
			}
			near("op_bce_with_logits", call_bce(weighted ? &flag : NULL, in, 2), &want,
			    1e-6);
			near("op_mse", op_mse(in[0], in[1]), &square, 1e-6);
			free(x);
			free(y);
			if (d == F32) {
				in[0] = random_tensor(F32, 3, -2, 2, ROWS, CLASSES);
				check_grad("op_bce_with_logits", call_bce, weighted ? &flag : NULL,
				    in, 2, 2e-3);
				check_grad_twice("op_bce_with_logits", call_bce,
				    weighted ? &flag : NULL, in, 2, 2e-3);
				check_grad("op_mse", call_mse, NULL, in, 2, 2e-3);
				check_grad_twice("op_mse", call_mse, NULL, in, 2, 2e-3);
			}
			scope_close();
		}
}

static void
one_hot(void **state)
{
	const int32_t ids[] = { 2, 0, 3, -1 };
	const double want[] = { 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct tensor *y;

	(void)state;
	scope_open();
	y = op_one_hot(tensor_from(I32, 2, (int64_t[]){ 2, 2 }, ids), 3);
	assert_int_equal(y->ndim, 3);
	near_above("op_one_hot", y, want, 0, 1);
	scope_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(softmaxes),
		cmocka_unit_test(softmax_gradients),
		cmocka_unit_test(cross_entropies),
		cmocka_unit_test(binary_and_squared),
		cmocka_unit_test(one_hot),
	};

	return cmocka_run_group_tests(tests, check_setup, NULL);
}
