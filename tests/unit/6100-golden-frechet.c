/*
 * The Fréchet distance of given features and of given means and covariances: each case of
 * fid_matrix/expected.json, and Inception's features of two folders where the set is there.
 */
#include "gold_set.h"

#include "data/npy.h"
#include "metric/frechet.h"

/* Relative. Observed: 5e-14 from features and from merged covariances, singular ones too; 2.2e-11
 * from covariances of condition 1e10, of which the references differ by 1e-10 among themselves. */
static const double bound = 1e-8, exact_bound = 1e-11;

static double
distance(const struct gauss *a, const struct gauss *b)
{
	struct frechet f;

	if (frechet(a, b, &f))
		die("%s", errmsg());
	return f.distance;
}

static void
need(int rc)
{
	if (rc)
		die("%s", errmsg());
}

/* Sets with a distance of 0 are judged against their traces, as `scale`. */
static double
error(double got, double want, double scale)
{
	return fabs(want) < 1e-6 * scale ? fabs(got - want) / scale : gold_rel(got, want);
}

/* The same by way of covariances that two shards gathered. */
static void
by_moments(struct gauss *g, const float *x, int64_t n, int64_t d, int ddof)
{
	struct moments m, part;
	int64_t half = n / 3;

	moments_init(&m, d);
	moments_init(&part, d);
	moments_add(&m, x, NULL, half);
	moments_add(&part, x + half * d, NULL, n - half);
	moments_merge(&m, &part);
	need(gauss_from_moments(g, &m, ddof));
	moments_release(&m);
	moments_release(&part);
}

static void
features(const char *name, const float *x, int64_t nx, const float *y, int64_t ny, int64_t d,
    const struct json *j, int v)
{
	const int exact = json_get(j, v, "exact_float64_svd");
	const double want = gold_num(j, exact, "fid"), scale = gold_num(j, exact, "trace1");
	double ddof0;
	struct gauss a, b;
	struct frechet f;

	need(gauss_from_rows(&a, x, NULL, nx, d, 1));
	need(gauss_from_rows(&b, y, NULL, ny, d, 1));
	need(frechet(&a, &b, &f));
	gold_check("from features", error(f.distance, want, scale), exact_bound);
	gold_check("mean term", error(f.mean_term, gold_num(j, exact, "mean_term"), scale),
	    exact_bound);
	gold_check("trace 1", gold_rel(f.trace1, scale), exact_bound);
	gold_check("trace 2", gold_rel(f.trace2, gold_num(j, exact, "trace2")), exact_bound);
	gold_check("trace of the root", gold_rel(f.tr_sqrt, gold_num(j, exact, "tr_sqrt")),
	    exact_bound);
	gauss_release(&a);
	gauss_release(&b);

	by_moments(&a, x, nx, d, 1);
	by_moments(&b, y, ny, d, 1);
	gold_check("from merged covariances", error(distance(&a, &b), want, scale), bound);
	gauss_release(&a);
	gauss_release(&b);

	if (json_num(j, json_get(j, v, "exact_ddof0_as_stylegan2_ada"), &ddof0) == 0) {
		need(gauss_from_rows(&a, x, NULL, nx, d, 0));
		need(gauss_from_rows(&b, y, NULL, ny, d, 0));
		gold_check("divided by n", error(distance(&a, &b), ddof0, scale), exact_bound);
		gauss_release(&a);
		gauss_release(&b);
	}
	gold_done(name);
}

/* NAME_mu1, or with the part before the last underscore of NAME; caller frees. */
static double *
given(const struct safetensors *st, const char *name, const char *what, int64_t *n)
{
	const char *cut = strrchr(name, '_');
	char *full = xasprintf("%s_%s", name, what),
	     *part = xasprintf("%.*s_%s", cut ? (int)(cut - name) : 0, name, what);
	const struct st_tensor *t = st_find(st, full);
	double *v;

	if (!t)
		t = st_find(st, part);
	if (!t)
		die("%s: neither %s nor %s", st->path, full, part);
	v = xmalloc((size_t)t->n * sizeof(*v));
	st_get_f64(t, v);
	*n = t->n;
	free(full);
	free(part);
	return v;
}

static void
direct(const struct safetensors *st, const struct json *j, const char *name, int v)
{
	struct gauss g[2];

	for (int i = 0; i < 2; i++) {
		int64_t d, dd;
		double *mu = given(st, name, i ? "mu2" : "mu1", &d),
		       *sigma = given(st, name, i ? "sigma2" : "sigma1", &dd);

		if (dd != d * d)
			die("%s: a covariance of %lld values", name, (long long)dd);
		need(gauss_from_sigma(&g[i], mu, sigma, d));
		free(mu);
		free(sigma);
	}
	gold_check("from covariances",
	    gold_rel(distance(&g[0], &g[1]), gold_num(j, v, "eigen_float64")), bound);
	gold_done(name);
	gauss_release(&g[0]);
	gauss_release(&g[1]);
}

/* All numbers of all vectors as one feature, as a published program has it. Observed: 6.1e-8, the
 * reference's means being float32. */
static void
scalar(const struct safetensors *st, const struct json *j, const char *name, int v)
{
	const struct st_tensor *t[2];
	float *x[2];
	struct gauss g[2];

	for (int i = 0; i < 2; i++) {
		x[i] = gold_f32(st, i ? "nsw_vectors_2" : "nsw_vectors_1", &t[i]);
		need(gauss_from_rows(&g[i], x[i], NULL, t[i]->n, 1, 1));
		free(x[i]);
	}
	gold_check("of all numbers as one feature",
	    gold_rel(distance(&g[0], &g[1]), gold_num(j, v, "formula")), 1e-6);
	gold_done(name);
	gauss_release(&g[0]);
	gauss_release(&g[1]);
}

static void
folders(const struct json *j, const char *name, int v)
{
	char *dir = gold_find("inception"), *path[2];
	struct st_tensor t[2];

	if (!dir) {
		gold_skip(name, "no set inception here");
		return;
	}
	path[0] = path_join(dir, "folderA_pool3.npy");
	path[1] = path_join(dir, "folderB_pool3.npy");
	need(npy_read(&t[0], path[0]));
	need(npy_read(&t[1], path[1]));
	features(name, t[0].data, t[0].dim[0], t[1].data, t[1].dim[0], t[0].dim[1],
	    j, v);
	for (int i = 0; i < 2; i++) {
		free((void *)t[i].data);
		free(path[i]);
	}
	free(dir);
}

static void
one(const struct safetensors *st, const struct json *j, const char *name, int v)
{
	char *first = xasprintf("%s_1", name), *second = xasprintf("%s_2", name);

	if (st_find(st, first) && st_find(st, second)) {
		const struct st_tensor *a, *b;
		float *x = gold_f32(st, first, &a), *y = gold_f32(st, second, &b);

		features(name, x, a->dim[0], y, b->dim[0], a->dim[1], j, v);
		free(x);
		free(y);
	} else if (strncmp(name, "direct", 6) == 0) {
		direct(st, j, name, v);
	} else if (strncmp(name, "inception_folders", 17) == 0) {
		folders(j, name, v);
	} else if (strncmp(name, "nsw_", 4) == 0) {
		scalar(st, j, name, v);
	} else {
		gold_unknown(name);
	}
	free(first);
	free(second);
}

int
main(void)
{
	return gold_cases("fid_matrix", one);
}
