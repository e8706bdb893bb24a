/*
 * Eigenvectors, factors and moments against what defines them; Fréchet's distance against the form
 * with eigenvalues, the root of S1 first and then those of root(S1) S2 root(S1).
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "metric/frechet.h"
#include "metric/linalg.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static float *
rows(int64_t n, int64_t d, uint64_t seed)
{
	float *x = xmalloc((size_t)(n * d) * sizeof(*x));
	struct rng r;

	rng_init(&r, seed, 0);
	for (int64_t i = 0; i < n; i++)
		for (int64_t k = 0; k < d; k++)
			x[i * d + k] = (float)(rng_normal(&r) * (1 + (double)k / 7) + (double)k);
	return x;
}

/* The covariance in the plainest way. */
static void
covariance(const float *x, int64_t n, int64_t d, double *mu, double *s)
{
	for (int64_t k = 0; k < d; k++) {
		mu[k] = 0;
		for (int64_t i = 0; i < n; i++)
			mu[k] += (double)x[i * d + k] / (double)n;
	}
	for (int64_t a = 0; a < d; a++) {
		for (int64_t b = 0; b < d; b++) {
			s[a * d + b] = 0;
			for (int64_t i = 0; i < n; i++)
				s[a * d + b] += ((double)x[i * d + a] - mu[a]) *
				    ((double)x[i * d + b] - mu[b]) / (double)(n - 1);
		}
	}
}

static double
largest_difference(const double *a, const double *b, int64_t n)
{
	double worst = 0;

	for (int64_t i = 0; i < n; i++)
		worst = fmax(worst, fabs(a[i] - b[i]));
	return worst;
}

/* Shards of odd sizes, one of them empty and one of a single row. Observed: 2e-14 of values up to
 * 100. */
static void
moments_merged(void **state)
{
	enum { N = 1003, D = 37 };
	static const int64_t cut[] = { 0, 0, 1, 300, 812, N };
	float *x = rows(N, D, 1);
	double mu[D], *s = xmalloc(D * D * sizeof(*s)), *got = xmalloc(D * D * sizeof(*got));
	struct moments all, part;

	(void)state;
	covariance(x, N, D, mu, s);
	moments_init(&all, D);
	for (size_t i = 0; i + 1 < sizeof(cut) / sizeof(cut[0]); i++) {
		moments_init(&part, D);
		moments_add(&part, x + cut[i] * D, NULL, cut[i + 1] - cut[i]);
		moments_merge(&all, &part);
		moments_release(&part);
	}
	assert_int_equal(all.n, N);
	moments_sigma(&all, 1, got);
	assert_true(largest_difference(all.mean, mu, D) < 1e-11);
	assert_true(largest_difference(got, s, (int64_t)D * D) < 1e-11);
	/* there and back */
	moments_init(&part, D);
	moments_set(&part, N, all.mean, got);
	moments_sigma(&part, 1, s);
	assert_true(largest_difference(got, s, (int64_t)D * D) < 1e-13);
	moments_release(&part);
	moments_release(&all);
	free(x);
	free(s);
	free(got);
}

/* a v = w v for each row v, and the rows are orthonormal. Observed: 3e-14. */
static void
eigenvectors(void **state)
{
	enum { D = 61 };
	float *x = rows(200, D, 2);
	double mu[D], w[D], *s = xmalloc(D * D * sizeof(*s)), *v = xmalloc(D * D * sizeof(*v));

	(void)state;
	covariance(x, 200, D, mu, s);
	memcpy(v, s, D * D * sizeof(*v));
	for (int i = 0; i < D; i++) /* only the upper triangle is read */
		for (int j = 0; j < i; j++)
			v[i * D + j] = NAN;
	assert_int_equal(linalg_eigen(v, w, D), 0);
	for (int i = 0; i < D; i++) {
		assert_true(i == 0 || w[i] >= w[i - 1]);
		for (int a = 0; a < D; a++) {
			double sum = 0;

			for (int b = 0; b < D; b++)
				sum += s[a * D + b] * v[i * D + b];
			assert_true(fabs(sum - w[i] * v[i * D + a]) < 1e-11);
		}
		for (int j = 0; j <= i; j++) {
			double dot = 0;

			for (int b = 0; b < D; b++)
				dot += v[i * D + b] * v[j * D + b];
			assert_true(fabs(dot - (i == j)) < 1e-12);
		}
	}
	free(x);
	free(s);
	free(v);
}

/* f^T f is the matrix, and a singular one has as many rows as its rank. Observed: 2e-14. */
static void
factors(void **state)
{
	enum { D = 40, N = 13 };
	float *x = rows(N, D, 3);
	double mu[D], *s = xmalloc(D * D * sizeof(*s)), *a = xmalloc(D * D * sizeof(*a)),
	    *f = xmalloc(D * D * sizeof(*f));
	int64_t rank;

	(void)state;
	covariance(x, N, D, mu, s);
	memcpy(a, s, D * D * sizeof(*a));
	assert_int_equal(linalg_factor(a, f, D, &rank), 0);
	assert_int_equal(rank, N - 1);
	for (int i = 0; i < D; i++) {
		for (int j = 0; j < D; j++) {
			double sum = 0;

			for (int k = 0; k < rank; k++)
				sum += f[k * D + i] * f[k * D + j];
			assert_true(fabs(sum - s[i * D + j]) < 1e-11);
		}
	}
	memset(a, 0, D * D * sizeof(*a));
	assert_int_equal(linalg_factor(a, f, D, &rank), 0);
	assert_int_equal(rank, 0);
	a[0] = 1;
	a[D + 1] = -1;
	assert_int_equal(linalg_factor(a, f, D, &rank), -1);
	free(x);
	free(s);
	free(a);
	free(f);
}

/* root(s) of a symmetric s, as new memory. */
static double *
root(const double *s, int64_t d)
{
	double *v = xmalloc((size_t)(d * d) * sizeof(*v)), *w = xmalloc((size_t)d * sizeof(*w));
	double *r = xcalloc((size_t)(d * d), sizeof(*r));

	memcpy(v, s, (size_t)(d * d) * sizeof(*v));
	assert_int_equal(linalg_eigen(v, w, d), 0);
	for (int64_t k = 0; k < d; k++)
		for (int64_t i = 0; i < d; i++)
			for (int64_t j = 0; j < d; j++)
				r[i * d + j] += sqrt(fmax(w[k], 0)) * v[k * d + i] * v[k * d + j];
	free(v);
	free(w);
	return r;
}

/* Observed: 1e-14 relative. */
static void
both_forms_of_frechet(void **state)
{
	enum { D = 30 };
	float *x = rows(90, D, 4), *y = rows(70, D, 5);
	double mu[D], *sx = xmalloc(D * D * sizeof(*sx)), *sy = xmalloc(D * D * sizeof(*sy)), *r,
	              *t, *u;
	double w[D], sum = 0;
	struct gauss a, b;
	struct frechet f;

	(void)state;
	covariance(x, 90, D, mu, sx);
	covariance(y, 70, D, mu, sy);
	r = root(sx, D);
	t = xmalloc(D * D * sizeof(*t));
	u = xmalloc(D * D * sizeof(*u));
	linalg_mul_nt(r, sy, t, D, D, D); /* both are symmetric */
	linalg_mul_nt(t, r, u, D, D, D);
	assert_int_equal(linalg_eigen(u, w, D), 0);
	for (int i = 0; i < D; i++)
		sum += sqrt(w[i]);
	assert_int_equal(gauss_from_rows(&a, x, NULL, 90, D, 1), 0);
	assert_int_equal(gauss_from_rows(&b, y, NULL, 70, D, 1), 0);
	assert_int_equal(frechet(&a, &b, &f), 0);
	assert_true(fabs(f.tr_sqrt / sum - 1) < 1e-12);
	/* of itself it is 0, and it is symmetric */
	sum = f.distance;
	assert_int_equal(frechet(&b, &a, &f), 0);
	assert_true(fabs(f.distance / sum - 1) < 1e-12);
	assert_int_equal(frechet(&a, &a, &f), 0);
	assert_true(f.distance >= 0 && f.distance < 1e-10);
	gauss_release(&a);
	gauss_release(&b);
	free(x);
	free(y);
	free(sx);
	free(sy);
	free(r);
	free(t);
	free(u);
}

static void
what_is_not_finite(void **state)
{
	float x[6] = { 1, 2, NAN, 4, 5, 6 };
	double w[2], a[4] = { NAN, 0, 0, 1 };
	struct gauss g;

	(void)state;
	assert_int_equal(gauss_from_rows(&g, x, NULL, 2, 3, 1), -1);
	assert_int_equal(gauss_from_rows(&g, x, NULL, 3, 2, 1), -1);
	assert_int_equal(linalg_eigen(a, w, 2), -1);
	/* one row has a mean and no spread */
	assert_int_equal(gauss_from_rows(&g, x + 3, NULL, 1, 3, 1), 0);
	assert_true(g.trace == 0 && g.mu[2] == 6);
	gauss_release(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moments_merged),
		cmocka_unit_test(eigenvectors),
		cmocka_unit_test(factors),
		cmocka_unit_test(both_forms_of_frechet),
		cmocka_unit_test(what_is_not_finite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
