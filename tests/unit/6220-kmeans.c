/* k-means against plain Lloyd steps in double precision, whatever path distances take. */
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "gpu/gpu.h"
#include "metric/cluster_score.h"
#include "metric/kmeans.h"
#include "metric/kmeans_data.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 3000, D = 19, K = 7 };

static float x[N * D];

/* Overlapping clusters about `offset`. */
static void
make(double offset)
{
	struct rng r;

	rng_init(&r, 5, 0);
	for (int i = 0; i < N; i++)
		for (int k = 0; k < D; k++)
			x[i * D + k] = (float)(offset + 2 * ((i + k) % K == 0) + rng_normal(&r));
}

static int
nearest(const double *c, const float *row)
{
	double best = INFINITY;
	int at = 0;

	for (int j = 0; j < K; j++) {
		double sum = 0;

		for (int k = 0; k < D; k++)
			sum += (row[k] - c[j * D + k]) * (row[k] - c[j * D + k]);
		if (sum < best) {
			best = sum;
			at = j;
		}
	}
	return at;
}

/* Steps until no label changes; returns how many. */
static int
plain(int32_t *label)
{
	static double c[K * D], sum[K * D];

	for (int i = 0; i < K * D; i++)
		c[i] = x[i];
	memset(label, -1, N * sizeof(*label));
	for (int it = 1;; it++) {
		int n[K] = { 0 }, changed = 0;

		memset(sum, 0, sizeof(sum));
		for (int i = 0; i < N; i++) {
			int l = nearest(c, x + i * D);

			changed += l != label[i];
			label[i] = l;
			n[l]++;
			for (int k = 0; k < D; k++)
				sum[l * D + k] += x[i * D + k];
		}
		for (int i = 0; i < K * D; i++)
			c[i] = sum[i] / n[i / D];
		if (!changed)
			return it;
	}
}

static void
equals_plain(void **state)
{
	static int32_t want[N];

	(void)state;
	/* far from zero, single precision is kept for the differences */
	for (int far = 0; far < 2; far++) {
		struct kmeans m;
		int it, differ = 0;

		make(far ? 100 : 0);
		it = plain(want);
		assert_int_equal(kmeans_fit(&m, x, N, D,
		    &(struct kmeans_opts){ .k = K, .iterations = 1000, .first = x }), 0);
		for (int i = 0; i < N; i++)
			differ += want[i] != m.label[i];
		assert_int_equal(differ, 0);
		assert_int_equal(m.iterations, it);
		assert_true(it > 5);
		kmeans_release(&m);
	}
}

static void
take(void *ctx, int64_t at, int64_t rows, const float *score)
{
	memcpy((float *)ctx + at * K, score, (size_t)(rows * K) * sizeof(*score));
}

/* Products of some rows are those of all, on the device and on the host. */
static void
rows_chosen(void **state)
{
	static float all[2][N * K], some[N * K];
	static int64_t row[N / 2];

	(void)state;
	make(1);
	for (int i = 0; i < N / 2; i++)
		row[i] = 2 * i;
	for (int device = 0; device < 2; device++) {
		struct kdata t;

		assert_int_equal(kdata_open(&t, x, N, D, device), 0);
		kdata_scores(&t, NULL, N, x, K, take, all[device]);
		kdata_scores(&t, row, N / 2, x, K, take, some);
		/* seen 8e-6 */
		for (int i = 0; i < N / 2 * K; i++)
			assert_true(fabsf(some[i] - all[device][row[i / K] * K + i % K]) <= 1e-4f);
		kdata_close(&t);
	}
	for (int i = 0; i < N * K; i++)
		assert_true(fabsf(all[0][i] - all[1][i]) <= 1e-4f);
}

static void
odd_data(void **state)
{
	static const float same[5 * 2] = { 0 }, bad[4] = { 0, NAN, 1, 1 };
	struct kmeans m;
	double s;

	(void)state;
	assert_int_equal(kmeans_fit(&m, same, 5, 2,
	    &(struct kmeans_opts){ .k = 3, .runs = 2, .iterations = 9 }), 0);
	assert_true(m.inertia == 0);
	kmeans_release(&m);
	assert_int_equal(kmeans_fit(&m, same, 5, 2,
	    &(struct kmeans_opts){ .k = 6, .runs = 1, .iterations = 9 }), -1);
	kmeans_release(&m);
	assert_int_equal(kmeans_fit(&m, bad, 2, 2,
	    &(struct kmeans_opts){ .k = 1, .runs = 1, .iterations = 9 }), -1);
	kmeans_release(&m);
	assert_int_equal(kmeans_fit(&m, x, 1, D,
	    &(struct kmeans_opts){ .k = 1, .runs = 1, .iterations = 9 }), 0);
	assert_int_equal(m.size[0], 1);
	kmeans_release(&m);
	/* two pairs, far apart: a = 1, b = 10.5, 9.5 by hand */
	s = score_silhouette((const float[]){ 0, 1, 10, 11 }, 4, 1, (const int32_t[]){ 0, 0, 1, 1 },
	    2, 0, 0);
	assert_true(fabs(s - (9.5 / 10.5 + 8.5 / 9.5) / 2) < 1e-12);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_plain),
		cmocka_unit_test(rows_chosen),
		cmocka_unit_test(odd_data),
	};
	int r;

	gpu_open(NULL);
	r = cmocka_run_group_tests_name("k-means", tests, NULL, NULL);
	gpu_close();
	return r;
}
