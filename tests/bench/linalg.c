/*
 * linalg: the linear algebra of metrics. `linalg eigen N FILE.npy` says how many seconds the
 * eigenvalues and vectors of a symmetric matrix take; `linalg frechet MU1 SIGMA1 MU2 SIGMA2` (.npy)
 * a Fréchet distance and its value; `linalg neighbours N D` precision and the like of two sets of N
 * random rows.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/rng.h"
#include "data/npy.h"
#include "metric/frechet.h"
#include "metric/linalg.h"
#include "metric/neighbours.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double *
matrix(const char *path, int64_t *rows)
{
	struct st_tensor t;
	double *v;

	if (npy_read(&t, path))
		die("%s", errmsg());
	v = xmalloc((size_t)t.n * sizeof(*v));
	st_get_f64(&t, v);
	free((void *)t.data);
	*rows = t.dim[0];
	return v;
}

static void
eigen(const char *path)
{
	int64_t n;
	double *a = matrix(path, &n), *w = xmalloc((size_t)n * sizeof(*w)), start = now_s();

	if (linalg_eigen(a, w, n))
		die("%s", errmsg());
	printf("%.4f %.17g\n", now_s() - start, w[n - 1]);
	free(a);
	free(w);
}

static void
distance(char **path)
{
	int64_t d;
	double *m[4], start;
	struct gauss a, b;
	struct frechet f;

	for (int i = 0; i < 4; i++)
		m[i] = matrix(path[i], &d);
	start = now_s();
	if (gauss_from_sigma(&a, m[0], m[1], d) || gauss_from_sigma(&b, m[2], m[3], d) ||
	    frechet(&a, &b, &f))
		die("%s", errmsg());
	printf("%.4f %.17g\n", now_s() - start, f.distance);
	gauss_release(&a);
	gauss_release(&b);
	for (int i = 0; i < 4; i++)
		free(m[i]);
}

static void
neighbours(int64_t n, int64_t d)
{
	enum { K = 5 };
	float *x[2];
	double *r2[2], start;
	struct neighbour *near = xmalloc((size_t)n * K * sizeof(*near));
	int64_t *count[3];
	struct rng r;

	rng_init(&r, 1, 0);
	for (int s = 0; s < 2; s++) {
		x[s] = xmalloc((size_t)(n * d) * sizeof(float));
		r2[s] = xmalloc((size_t)n * sizeof(double));
		for (int64_t i = 0; i < n * d; i++)
			x[s][i] = rng_float(&r);
	}
	for (int i = 0; i < 3; i++)
		count[i] = xmalloc((size_t)n * sizeof(int64_t));
	start = now_s();
	for (int s = 0; s < 2; s++) {
		nearest(x[s], n, x[s], n, d, K, true, near);
		for (int64_t i = 0; i < n; i++)
			r2[s][i] = near[i * K + K - 1].d2;
	}
	within(x[0], r2[0], n, x[1], r2[1], n, d, false, count[0], count[1], count[2]);
	start = now_s() - start;
	printf("%.3f s, %.1f GFLOP/s of products\n", start,
	    6e-9 * (double)n * (double)n * (double)d / start);
	for (int i = 0; i < 3; i++)
		free(count[i]);
	for (int s = 0; s < 2; s++) {
		free(x[s]);
		free(r2[s]);
	}
	free(near);
}

int
main(int argc, char **argv)
{
	prog_init(argv[0]);
	if (argc == 3 && strcmp(argv[1], "eigen") == 0)
		eigen(argv[2]);
	else if (argc == 6 && strcmp(argv[1], "frechet") == 0)
		distance(argv + 2);
	else if (argc == 4 && strcmp(argv[1], "neighbours") == 0)
		neighbours(atol(argv[2]), atol(argv[3]));
	else
		die("want eigen FILE.npy, frechet MU1 SIGMA1 MU2 SIGMA2, or neighbours N D");
	return 0;
}
