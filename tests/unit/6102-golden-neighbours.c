/*
 * Precision, recall, density, coverage and the radii they rest on: each case of prdc/expected.json.
 */
#include "gold_set.h"

#include "data/npy.h"
#include "metric/neighbours.h"

/* The radii's relative error. Observed: 9e-16. The four ratios are equal. */
static const double bound = 1e-14;

struct set {
	float *x;
	int64_t n, d;
};

static double
share(const int64_t *count, int64_t n)
{
	int64_t some = 0;

	for (int64_t i = 0; i < n; i++)
		some += count[i] > 0;
	return (double)some / (double)n;
}

static double *
radii(const struct set *s, int64_t k)
{
	struct neighbour *out = xmalloc((size_t)(s->n * k) * sizeof(*out));
	double *r2 = xmalloc((size_t)s->n * sizeof(*r2));

	nearest(s->x, s->n, s->x, s->n, s->d, k, true, out);
	for (int64_t i = 0; i < s->n; i++)
		r2[i] = out[i * k + k - 1].d2;
	free(out);
	return r2;
}

static void
check_radii(const struct safetensors *st, const char *name, int64_t k, const char *side,
    const double *r2, int64_t n)
{
	char *key = xasprintf("%s_k%d_radii_%s_f64", name, (int)k, side);
	const struct st_tensor *t = st_find(st, key);
	double *want, worst = 0;

	if (!t || t->n != n)
		die("%s: no %s of %lld values", st->path, key, (long long)n);
	want = xmalloc((size_t)n * sizeof(*want));
	st_get_f64(t, want);
	for (int64_t i = 0; i < n; i++)
		worst = fmax(worst, gold_rel(sqrt(r2[i]), want[i]));
	gold_check(key, worst, bound);
	free(want);
	free(key);
}

static void
with_k(const struct safetensors *st, const struct json *j, int v, const char *name,
    const struct set *real, const struct set *fake, int64_t k)
{
	double *rr = radii(real, k), *rf = radii(fake, k), density = 0;
	int64_t *in_real = xmalloc((size_t)fake->n * sizeof(*in_real));
	int64_t *in_fake = xmalloc((size_t)real->n * sizeof(*in_fake));
	int64_t *met = xmalloc((size_t)real->n * sizeof(*met));
	char *title = xasprintf("%s, k = %d", name, (int)k);

	check_radii(st, name, k, "real", rr, real->n);
	check_radii(st, name, k, "fake", rf, fake->n);
	within(real->x, rr, real->n, fake->x, rf, fake->n, real->d, false, in_real, in_fake, met);
	for (int64_t i = 0; i < fake->n; i++)
		density += (double)in_real[i];
	gold_check("precision", fabs(share(in_real, fake->n) - gold_num(j, v, "precision")), 1e-15);
	gold_check("recall", fabs(share(in_fake, real->n) - gold_num(j, v, "recall")), 1e-15);
	gold_check("density", gold_rel(density / (double)(k * fake->n), gold_num(j, v, "density")),
	    1e-15);
	gold_check("coverage", fabs(share(met, real->n) - gold_num(j, v, "coverage")), 1e-15);
	within(real->x, rr, real->n, fake->x, rf, fake->n, real->d, true, in_real, in_fake, met);
	gold_check("precision, inclusive",
	    fabs(share(in_real, fake->n) - gold_num(j, v, "precision_le")), 1e-15);
	gold_check("recall, inclusive", fabs(share(in_fake, real->n) - gold_num(j, v, "recall_le")),
	    1e-15);
	gold_done(title);
	free(rr);
	free(rf);
	free(in_real);
	free(in_fake);
	free(met);
	free(title);
}

static bool
load(struct set *s, const struct safetensors *st, const char *name, const char *side)
{
	char *key = xasprintf("%s_%s", name, side);
	const struct st_tensor *t = NULL;

	if (st_find(st, key)) {
		s->x = gold_f32(st, key, &t);
		s->n = t->dim[0];
		s->d = t->dim[1];
	}
	free(key);
	return t != NULL;
}

/* The features of Inception's set, which stands beside this one. */
static bool
load_folder(struct set *s, const char *file)
{
	char *dir = gold_find("inception"), *path;
	struct st_tensor t;

	if (!dir)
		return false;
	path = path_join(dir, file);
	if (npy_read(&t, path))
		die("%s", errmsg());
	*s = (struct set){ (float *)t.data, t.dim[0], t.dim[1] };
	free(path);
	free(dir);
	return true;
}

static void
one(const struct safetensors *st, const struct json *j, const char *name, int v)
{
	const bool folders = strcmp(name, "inception_folders") == 0;
	struct set real, fake;

	struct arena mem = { 0 };
	int done = 0;

	if (!(folders ? load_folder(&real, "folderA_pool3.npy") &&
	    load_folder(&fake, "folderB_pool3.npy")
	              : load(&real, st, name, "real") && load(&fake, st, name, "fake"))) {
		if (folders)
			gold_skip(name, "no set inception here");
		else
			gold_unknown(name);
		return;
	}
	/* its values of k3, k5, ... beside numbers that describe it */
	for (int i = 0, at = v + 1; i < j->v[v].size; i++, at = j->v[at + 1].next) {
		const char *key = json_str(j, at, &mem);
		int64_t k = key[0] == 'k' ? strtoll(key + 1, NULL, 10) : 0;

		if (k < 1)
			continue;
		if (k >= real.n || k >= fake.n)
			die("%s: %s of %lld and %lld rows", name, key, (long long)real.n,
			    (long long)fake.n);
		with_k(st, j, json_get(j, at + 1, "exact_float64"), name, &real, &fake, k);
		done++;
	}
	if (!done)
		gold_unknown(name);
	arena_release(&mem);
	free(real.x);
	free(fake.x);
}

int
main(void)
{
	return gold_cases("prdc", one);
}
