/* KID, CMMD and the Inception Score against what defines them, over more rows than one block
 * holds. */
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "metric/kernel.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NX = 1100, NY = 1300, D = 6 };

static float *
rows(int64_t n, double shift, uint64_t seed)
{
	float *x = xmalloc((size_t)n * D * sizeof(*x));
	struct rng r;

	rng_init(&r, seed, 0);
	for (int64_t i = 0; i < n * D; i++)
		x[i] = (float)(rng_normal(&r) + shift);
	return x;
}

static double
polynomial(const float *a, const float *b)
{
	double dot = 0;

	for (int i = 0; i < D; i++)
		dot += (double)a[i] * (double)b[i];
	return pow(dot / D + 1, 3);
}

static double
gaussian(const float *a, const float *b)
{
	double aa = 0, bb = 0, d2 = 0;

	for (int i = 0; i < D; i++) {
		aa += (double)a[i] * (double)a[i];
		bb += (double)b[i] * (double)b[i];
	}
	for (int i = 0; i < D; i++)
		d2 += pow((double)a[i] / sqrt(aa) - (double)b[i] / sqrt(bb), 2);
	return exp(-d2 / 200);
}

static double
mean(const float *x, int64_t nx, const float *y, int64_t ny, bool others,
    double (*k)(const float *, const float *))
{
	double sum = 0;

	for (int64_t i = 0; i < nx; i++)
		for (int64_t j = 0; j < ny; j++)
			if (!others || i != j)
				sum += k(x + i * D, y + j * D);
	return sum / ((double)nx * (double)(ny - others));
}

/* Observed: 1e-12 of sums near 10, 6e-15 of 1000 times differences of means near 1. */
static void
discrepancies(void **state)
{
	float *x = rows(NX, 0, 1), *y = rows(NY, 0.5, 2);
	double got, want;

	(void)state;
	want = mean(x, NX, x, NX, true, polynomial) + mean(y, NY, y, NY, true, polynomial) -
	    2 * mean(x, NX, y, NY, false, polynomial);
	assert_true(fabs(kid_all(x, NX, y, NY, D) - want) < 1e-10);
	want = 1000 * (mean(x, NX, x, NX, false, gaussian) + mean(y, NY, y, NY, false, gaussian) -
	                  2 * mean(x, NX, y, NY, false, gaussian));
	assert_int_equal(cmmd(x, NX, y, NY, D, &got), 0);
	assert_true(fabs(got - want) < 1e-9);
	assert_true(want > 0.01);
	memset(x + 5 * D, 0, D * sizeof(*x));
	assert_int_equal(cmmd(x, NX, y, NY, D, &got), -1);
	free(x);
	free(y);
}

/* The mean over subsets is near the value of all rows, the more so the more subsets there are; a
 * seed gives the same again. */
static void
subsets(void **state)
{
	float *x = rows(NX, 0, 3), *y = rows(NY, 0.3, 4);
	double all = kid_all(x, NX, y, NY, D);
	struct kid a, b, c;

	(void)state;
	kid(x, NX, y, NY, D, 50, 100, 7, &a);
	kid(x, NX, y, NY, D, 50, 100, 7, &b);
	kid(x, NX, y, NY, D, 50, 100, 8, &c);
	assert_true(a.value == b.value && a.se == b.se);
	assert_true(a.value != c.value);
	assert_true(a.se > 0 && fabs(a.value - all) < 5 * a.se);
	assert_true(fabs(a.se - a.std / sqrt(50)) < 1e-15);
	kid(x, NX, y, NY, D, 50, 2000, 7, &a);
	assert_true(a.value == all && a.subsets == 1 && isnan(a.se));
	kid(x, NX, y, 40, D, 3, 2000, 7, &a); /* no larger than the smaller set */
	assert_true(a.size == 40 && a.subsets == 1);
	free(x);
	free(y);
}

/* Too many rows to keep all kernels: each subset on its own. */
static void
subsets_of_many(void **state)
{
	enum { MANY = 8300 };
	float *x = rows(MANY, 0, 5), *y = rows(MANY, 0.3, 6);
	double all = kid_all(x, MANY, y, MANY, D);
	struct kid a;

	(void)state;
	kid(x, MANY, y, MANY, D, 30, 200, 7, &a);
	assert_true(a.se > 0 && fabs(a.value - all) < 5 * a.se);
	free(x);
	free(y);
}

/* Resampled values lie around the value, as wide as values of fresh rows differ, within a factor of
 * two. */
static void
resampled(void **state)
{
	enum { N = 200, TIMES = 60 };

	(void)state;
	for (int clip = 0; clip < 2; clip++) {
		double fresh[TIMES], again[TIMES], m[2] = { 0 }, v[2] = { 0 };

		for (int i = 0; i < TIMES; i++) {
			float *x = rows(N, 0.2, 100 + 2 * (uint64_t)i),
			      *y = rows(N, 0.6, 101 + 2 * (uint64_t)i);

			if (clip)
				assert_int_equal(cmmd(x, N, y, N, D, &fresh[i]), 0);
			else
				fresh[i] = kid_all(x, N, y, N, D);
			if (!i)
				kernel_bootstrap(x, N, y, N, D, clip, 3, TIMES, again);
			free(x);
			free(y);
		}
		for (int i = 0; i < TIMES; i++) {
			m[0] += fresh[i] / TIMES;
			m[1] += again[i] / TIMES;
		}
		for (int i = 0; i < TIMES; i++) {
			v[0] += pow(fresh[i] - m[0], 2) / TIMES;
			v[1] += pow(again[i] - m[1], 2) / TIMES;
		}
		/* observed: deviations in the ratio 1.12 and 1.28, means 0.43 and 0.85 deviations
		 * apart */
		assert_true(v[1] < 4 * v[0] && v[0] < 4 * v[1]);
		assert_true(fabs(m[0] - m[1]) < 4 * sqrt(v[0]));
	}
}

/* Certain and evenly spread: as many as there are classes. All alike: 1. Observed: 4e-16. */
static void
scores(void **state)
{
	double p[12] = { 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0 }, m, s;
	const float l[4] = { 1000, 999, -1000, -1000 };

	(void)state;
	inception_score(p, 3, 3, 1, &m, &s);
	assert_true(fabs(m - 3) < 1e-14 && s == 0);
	inception_score(p, 4, 3, 4, &m, &s);
	assert_true(fabs(m - 1) < 1e-14 && s < 1e-7);
	assert_true(mean_entropy(p, 4, 3) == 0);
	softmax_rows(l, 2, 2, p);
	assert_true(fabs(p[1] - 1 / (1 + exp(1))) < 1e-15 && p[2] == 0.5);
	assert_true(fabs(mean_entropy(p + 2, 1, 2) - log(2)) < 1e-15);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(discrepancies),
		cmocka_unit_test(subsets),
		cmocka_unit_test(subsets_of_many),
		cmocka_unit_test(resampled),
		cmocka_unit_test(scores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
