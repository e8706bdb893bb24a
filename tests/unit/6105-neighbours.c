/*
 * Neighbours and radii of more rows than one block holds, against differences one by one; rows that
 * are alike, and rows far from the origin, where products in single precision say nothing.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "metric/neighbours.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NX = 530, NY = 2100, D = 19, K = 4 };

enum kind { NORMAL, FAR, WHOLE, EQUAL };

static float *
rows(int64_t n, enum kind kind, uint64_t seed)
{
	float *x = xmalloc((size_t)n * D * sizeof(*x));
	struct rng r;

	rng_init(&r, seed, 0);
	for (int64_t i = 0; i < n * D; i++) {
		double v = rng_normal(&r);

		x[i] = kind == EQUAL ? 3 : kind == WHOLE ? (float)(int)v
		    : (float)(v + (kind == FAR ? 1e4 : 0));
	}
	return x;
}

static int
compare(const void *va, const void *vb)
{
	const struct neighbour *a = va, *b = vb;

	if (a->d2 != b->d2)
		return a->d2 < b->d2 ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

static void
check_nearest(const float *x, int64_t nx, const float *y, int64_t ny, bool others)
{
	struct neighbour *got = xmalloc((size_t)nx * K * sizeof(*got));
	struct neighbour *want = xmalloc((size_t)ny * sizeof(*want));

	nearest(x, nx, y, ny, D, K, others, got);
	for (int64_t i = 0; i < nx; i++) {
		int64_t n = 0;

		for (int64_t j = 0; j < ny; j++)
			if (!others || i != j)
				want[n++] =
				    (struct neighbour){ j, distance2(x + i * D, y + j * D, D) };
		qsort(want, (size_t)n, sizeof(*want), compare);
		for (int k = 0; k < K; k++) {
			assert_int_equal(got[i * K + k].at, want[k].at);
			assert_true(got[i * K + k].d2 == want[k].d2);
		}
	}
	free(got);
	free(want);
}

static void
check_within(const float *x, const float *y, bool inclusive)
{
	double *rx = xmalloc(NX * sizeof(*rx)), *ry = xmalloc(NY * sizeof(*ry));
	int64_t *a = xmalloc(NY * sizeof(*a)), *b = xmalloc(NX * sizeof(*b)),
	        *c = xmalloc(NX * sizeof(*c));
	int64_t *wa = xcalloc(NY, sizeof(*wa)), some = 0;

	/* radii that are distances of pairs, so that there are ties */
	for (int64_t i = 0; i < NX; i++)
		rx[i] = distance2(x + i * D, y + (7 * i % NY) * D, D);
	for (int64_t j = 0; j < NY; j++)
		ry[j] = distance2(x + (3 * j % NX) * D, y + j * D, D);
	within(x, rx, NX, y, ry, NY, D, inclusive, a, b, c);
	for (int64_t i = 0; i < NX; i++) {
		int64_t in_y = 0, met = 0;

		for (int64_t j = 0; j < NY; j++) {
			double d2 = distance2(x + i * D, y + j * D, D);

			wa[j] += inclusive ? d2 <= rx[i] : d2 < rx[i];
			met += inclusive ? d2 <= rx[i] : d2 < rx[i];
			in_y += inclusive ? d2 <= ry[j] : d2 < ry[j];
		}
		assert_int_equal(b[i], in_y);
		assert_int_equal(c[i], met);
		some += met;
	}
	for (int64_t j = 0; j < NY; j++)
		assert_int_equal(a[j], wa[j]);
	assert_true(some > 0 || rx[0] == 0);
	free(rx);
	free(ry);
	free(a);
	free(b);
	free(c);
	free(wa);
}

static void
of_kind(enum kind kind)
{
	float *x = rows(NX, kind, 1), *y = rows(NY, kind, 2);

	memcpy(y + 5 * D, x + 9 * D, D * sizeof(*y)); /* a copy, too */
	check_nearest(x, NX, y, NY, false);
	check_nearest(x, NX, x, NX, true);
	check_within(x, y, false);
	check_within(x, y, true);
	free(x);
	free(y);
}

static void
normal(void **state)
{
	(void)state;
	of_kind(NORMAL);
}

static void
far_from_the_origin(void **state)
{
	(void)state;
	of_kind(FAR);
}

static void
many_ties(void **state)
{
	(void)state;
	of_kind(WHOLE);
}

static void
all_equal(void **state)
{
	(void)state;
	of_kind(EQUAL);
}

/* k may be all there are. */
static void
fewest(void **state)
{
	const float x[] = { 0, 3, 1 };
	struct neighbour n[6];

	(void)state;
	nearest(x, 3, x, 3, 1, 2, true, n);
	assert_true(n[0].at == 2 && n[1].at == 1 && n[2].at == 2 && n[3].at == 0 && n[4].at == 0);
	assert_true(n[1].d2 == 9 && n[4].d2 == 1 && n[5].d2 == 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normal),
		cmocka_unit_test(far_from_the_origin),
		cmocka_unit_test(many_ties),
		cmocka_unit_test(all_equal),
		cmocka_unit_test(fewest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
