/* Batch normalisation: values, running statistics, first and second gradients, in all types. */
#include "grad_check.h"

#include "base/err.h"

struct bn {
	bool train;
	enum act act;
	struct tensor *mean, *var; /* used when not training */
	double momentum;
};

static double
act_of(enum act act, double z)
{
	return act == ACT_RELU ? fmax(z, 0) : act == ACT_SILU ? z / (1 + exp(-z)) : z;
}

/* By the definition, in double; mean and var are the running ones before, and moved. */
static void
reference(const float *x, const float *w, const float *b, int64_t rows, int64_t c, double eps,
    double momentum, bool train, enum act act, double *mean, double *var, double *y)
{
	for (int64_t j = 0; j < c; j++) {
		double m = 0, v = 0;

		for (int64_t i = 0; i < rows; i++)
			m += x[i * c + j] / (double)rows;
		for (int64_t i = 0; i < rows; i++)
			v += (x[i * c + j] - m) * (x[i * c + j] - m);
		if (!train) {
			m = mean[j];
			v = var[j] * (double)rows;
		}
		for (int64_t i = 0; i < rows; i++) {
			double h = (x[i * c + j] - m) / sqrt(v / (double)rows + eps);

			y[i * c + j] = act_of(act, (w ? w[j] : 1) * h + (b ? b[j] : 0));
		}
		if (train) {
			mean[j] = (1 - momentum) * mean[j] + momentum * m;
			var[j] = (1 - momentum) * var[j] + momentum * v / (double)(rows - 1);
		}
	}
}

static void
one(enum dtype dtype, bool train, enum act act, bool affine, double lo, double hi, double tol,
    int64_t n, int64_t h, int64_t wd, int64_t c)
{
	struct tensor *x = random_tensor(dtype, 1, lo, hi, n, h, wd, c);
	struct tensor *w = affine ? random_tensor(F32, 2, 0.5, 1.5, c) : NULL;
	struct tensor *b = affine ? random_tensor(F32, 3, -1, 1, c) : NULL;
	struct tensor *rm = random_tensor(F32, 4, -1, 1, c), *rv = random_tensor(F32, 5, 0.5, 2, c);
	float *fx = values(x), *fw = w ? values(w) : NULL, *fb = b ? values(b) : NULL;
	float *fm = values(rm), *fv = values(rv);
	double *m = xmalloc((size_t)c * 8), *v = xmalloc((size_t)c * 8),
	       *y = xmalloc((size_t)x->n * 8);
	char what[64];

	for (int64_t j = 0; j < c; j++) {
		m[j] = fm[j];
		v[j] = fv[j];
	}
	reference(fx, fw, fb, n * h * wd, c, 1e-5, 0.1, train, act, m, v, y);
	snprintf(what, sizeof(what), "batch_norm train %d act %d", train, (int)act);
	near(what, op_batch_norm(x, w, b, rm, rv, 0.1, 1e-5, train, act), y,
	    tol + dtype_eps(dtype) * 4);
	near("running mean", rm, m, 1e-6);
	near("running variance", rv, v, 1e-5);
	free(fx);
	free(fw);
	free(fb);
	free(fm);
	free(fv);
	free(m);
	free(v);
	free(y);
}

static void
values_match(void **state)
{
	static const int64_t shape[][4] = { { 2, 5, 7, 3 }, { 3, 9, 11, 20 }, { 1, 1, 2, 1 },
		{ 2, 33, 17, 12 }, { 2, 16, 16, 320 }, { 5, 1, 1, 1284 }, { 1, 300, 200, 4 } };

	(void)state;
	scope_open();
	/* observed: 4e-7 to 1e-6 */
	for (size_t i = 0; i < sizeof(shape) / sizeof(*shape); i++)
		for (int k = 0; k < 6; k++)
			one(F32, k % 2, (enum act)(k / 2), k != 2, -2, 3, 2e-5, shape[i][0],
			    shape[i][1], shape[i][2], shape[i][3]);
	for (enum dtype d = F16; d <= BF16; d++)
		for (int k = 0; k < 4; k++) {
			one(d, k % 2, (enum act)(k / 2), true, -2, 3, 2e-5, 2, 9, 7, 12);
			one(d, k % 2, (enum act)(k / 2), true, -2, 3, 2e-5, 2, 9, 7, 5);
		}
	scope_close();
}

/* A mean of a thousand deviations: what E[x^2] - E[x]^2 would lose. x itself has 6e-5 of a
 * deviation. */
static void
large_means_lose_nothing(void **state)
{
	(void)state;
	scope_open();
	/* observed: 6e-5 in values, which is x's own rounding in the mean */
	one(F32, true, ACT_NONE, true, 999, 1001, 3e-4, 2, 64, 64, 8);
	one(F32, true, ACT_NONE, true, -5001, -4999, 2e-3, 1, 31, 64, 5);
	scope_close();
}

/* ---- gradients ------------------------------------------------------------------------------- */

static struct tensor *
bn(void *ctx, struct tensor **in, int n)
{
	struct bn *c = ctx;
	/* fresh ones where they would be moved, so that every call sees the same */
	struct tensor *mean = c->train ? tensor_full(F32, 1, in[0]->dim + in[0]->ndim - 1, 0)
	    : c->mean;
	struct tensor *var = c->train ? tensor_full(F32, 1, in[0]->dim + in[0]->ndim - 1, 1)
	    : c->var;

	return op_batch_norm(in[0], n > 1 ? in[1] : NULL, n > 1 ? in[2] : NULL, mean, var, 0.1,
	    1e-3, c->train, c->act);
}

static void
gradients_match(void **state)
{
	static const int64_t shape[][4] = { { 2, 3, 5, 3 }, { 2, 5, 3, 8 }, { 1, 17, 3, 36 } };

	(void)state;
	scope_open();
	for (size_t i = 0; i < sizeof(shape) / sizeof(*shape); i++)
		for (int k = 0; k < 6; k++) {
			const int64_t *s = shape[i];
			struct bn c =
			    { k % 2, (enum act)(k / 2), random_tensor(F32, 4, -1, 1, s[3]),
				random_tensor(F32, 5, 0.5, 2, s[3]), 0.1 };
			struct tensor *in[] = { random_tensor(F32, 1, -2, 2, s[0], s[1], s[2],
				                    s[3]),
				random_tensor(F32, 2, 0.5, 1.5, s[3]),
				random_tensor(F32, 3, -1, 1, s[3]) };

			/* relu's corners spoil central differences: see fused_is_composed for it */
			if (c.act == ACT_RELU)
				continue;
			check_grad("batch_norm", bn, &c, in, 3, 2e-3);
			check_grad("batch_norm without scale", bn, &c, in, 1, 2e-3);
			check_grad_twice("batch_norm", bn, &c, in, 3, 5e-3);
		}
	scope_close();
}

/* The fused backward pass against the one that is composed of other ops. */
static void
fused_is_composed(void **state)
{
	(void)state;
	for (enum dtype d = F32; d <= BF16; d++)
		for (int k = 0; k < 6; k++) {
			struct tensor *in[3], *gy;
			struct bn c = { k % 2, (enum act)(k / 2), NULL, NULL, 0.1 };

			scope_open();
			c.mean = random_tensor(F32, 4, -1, 1, 12);
			c.var = random_tensor(F32, 5, 0.5, 2, 12);
			in[0] = random_tensor(d, 1, -2, 2, 3, 7, 5, 12);
			in[1] = random_tensor(F32, 2, 0.5, 1.5, 12);
			in[2] = random_tensor(F32, 3, -1, 1, 12);
			gy = random_tensor(d, 6, -1, 1, 3, 7, 5, 12);
			check_fused(bn, &c, in, 3, gy);
			scope_close();
		}
}

static struct tensor *moved_mean, *moved_var;

static struct tensor *
moving(void *ctx, struct tensor **in, int n)
{
	(void)ctx;
	(void)n;
	return op_batch_norm(in[0], NULL, NULL, moved_mean, moved_var, 0.1, 1e-5, true, ACT_SILU);
}

/* A checkpoint runs its function twice: the running statistics move once. */
static void
checkpoints_move_statistics_once(void **state)
{
	float mean[2][5], var[2][5];

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct tensor *x;

		scope_open();
		moved_mean = random_tensor(F32, 4, -1, 1, 5);
		moved_var = random_tensor(F32, 5, 0.5, 2, 5);
		x = random_tensor(F32, 1, -2, 2, 2, 3, 4, 5);
		x->requires_grad = true;
		backward(op_sum_all(op_square(k ? checkpoint(moving, NULL, &x, 1)
		    : moving(NULL, &x, 1))));
		tensor_get(moved_mean, mean[k]);
		tensor_get(moved_var, var[k]);
		x->grad = tensor_drop(x->grad);
		scope_close();
	}
	assert_memory_equal(mean[0], mean[1], sizeof(mean[0]));
	assert_memory_equal(var[0], var[1], sizeof(var[0]));
}

static void
not_a_number_stays_one(void **state)
{
	float x[2 * 4] = { 1, 2, 3, 4, 5, 6, NAN, 8 }, y[2 * 4];

	(void)state;
	scope_open();
	tensor_get(op_batch_norm(tensor_from(F32, 2, (int64_t[]){ 2, 4 }, x), NULL, NULL,
	    tensor_full(F32, 1, (int64_t[]){ 4 }, 0), tensor_full(F32, 1, (int64_t[]){ 4 }, 1), 0.1,
	    1e-5, true, ACT_RELU), y);
	assert_true(isnan(y[2]) && isnan(y[6]));
	assert_true(y[4] > 0.9f && y[0] == 0);
	scope_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_match),
		cmocka_unit_test(large_means_lose_nothing),
		cmocka_unit_test(gradients_match),
		cmocka_unit_test(fused_is_composed),
		cmocka_unit_test(checkpoints_move_statistics_once),
		cmocka_unit_test(not_a_number_stays_one),
	};

	return cmocka_run_group_tests(tests, check_setup, NULL);
}
