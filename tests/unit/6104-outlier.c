/*
 * Mahalanobis distances against what defines them, either way of finding the components;
 * chi-squared against values in closed form.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "metric/outlier.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* With df = 2m, Q = e^-x/2 sum_{i<m} (x/2)^i / i!; with df = 1, erfc(sqrt(x/2)). Observed: 1e-14
 * relative. */
static void
survival(void **state)
{
	(void)state;
	for (int m = 1; m <= 64; m++) {
		for (double x = 0.25; x < 400; x *= 1.5) {
			double term = exp(-x / 2), sum = term;

			for (int i = 1; i < m; i++)
				sum += term *= x / 2 / i;
			assert_true(fabs(chi2_survival(x, 2 * m) / sum - 1) < 1e-11 ||
			    fabs(chi2_survival(x, 2 * m) - sum) < 1e-15);
		}
	}
	for (double x = 0.01; x < 100; x *= 2)
		assert_true(fabs(chi2_survival(x, 1) / erfc(sqrt(x / 2)) - 1) < 1e-12);
	assert_true(chi2_survival(0, 64) == 1);
}

/* With all components the mean of d2 over the n rows that were fitted is k (n-1)/n. Observed:
 * 1e-13. */
static void
of_itself(int64_t n, int64_t d, int64_t k)
{
	float *x = xmalloc((size_t)(n * d) * sizeof(*x));
	double *d2 = xmalloc((size_t)n * sizeof(*d2)), *p = xmalloc((size_t)n * sizeof(*p)),
	       sum = 0;
	struct outlier o;
	struct rng r;

	rng_init(&r, 7, 0);
	for (int64_t i = 0; i < n * d; i++)
		x[i] = (float)(rng_normal(&r) * (double)(1 + i % d) + 5);
	assert_int_equal(outlier_fit(&o, x, n, d, 64), 0);
	assert_int_equal(o.k, k);
	outlier_score(&o, x, n, d2, p);
	for (int64_t i = 0; i < n; i++) {
		sum += d2[i] / (double)n;
		assert_true(p[i] >= 0 && p[i] <= 1);
	}
	assert_true(fabs(sum / ((double)k * (double)(n - 1) / (double)n) - 1) < 1e-10);
	outlier_release(&o);
	free(x);
	free(d2);
	free(p);
}

static void
mahalanobis(void **state)
{
	/* two features, deviations 2 and 1: the square's corners */
	float x[] = { 2, 1, 2, -1, -2, 1, -2, -1 }, y[] = { 4, 0, 0, 0, 2, 1 };
	double d2[3], p[3];
	struct outlier o;

	(void)state;
	assert_int_equal(outlier_fit(&o, x, 4, 2, 64), 0);
	outlier_score(&o, y, 3, d2, p);
	/* variances 16/3 and 4/3 */
	assert_true(fabs(d2[0] - 3) < 1e-12);
	assert_true(fabs(d2[1]) < 1e-12);
	assert_true(fabs(d2[2] - 1.5) < 1e-12);
	assert_true(fabs(p[0] - exp(-1.5)) < 1e-12);
	outlier_release(&o);
	of_itself(500, 20, 20);  /* all features */
	of_itself(30, 100, 29);  /* all that 30 rows span */
	of_itself(20, 20, 19);
}

static void
what_has_no_spread(void **state)
{
	float x[8] = { 0 };
	struct outlier o;

	(void)state;
	assert_int_equal(outlier_fit(&o, x, 4, 2, 64), -1);
	assert_int_equal(outlier_fit(&o, x, 2, 4, 64), -1);
	assert_int_equal(outlier_fit(&o, x, 1, 4, 64), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survival),
		cmocka_unit_test(mahalanobis),
		cmocka_unit_test(what_has_no_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
