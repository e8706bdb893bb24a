#include "metric/feature_moments.h"

#include "base/err.h"
#include "data/npz.h"
#include "metric/frechet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *
text_of(const struct npz *z, const char *name, struct fset *s)
{
	const struct st_tensor *t = npz_find(z, name);

	return t && t->dtype == ST_U8 ? arena_strndup(&s->mem, t->data, (size_t)t->n) : "";
}

static int
take_moments(struct fset *s, const struct npz *z)
{
	const struct st_tensor *mu = npz_find(z, "mu"), *sigma = npz_find(z, "sigma"),
	                       *n = npz_find(z, "n");
	double *mean, count = 0;
	int rc = 0;

	if (!mu || !sigma || mu->ndim != 1 || sigma->ndim != 2 || mu->n < 1 ||
	    sigma->dim[0] != mu->n || sigma->dim[1] != mu->n)
		return err("want a vector mu and a square matrix sigma of the same size");
	if (n && n->n == 1)
		st_get_f64(n, &count);
	if (!(count >= 0 && count < 0x1p53))
		return err("n is %g", count);
	s->d = mu->n;
	s->n = (int64_t)count;
	mean = xmalloc((size_t)s->d * sizeof(*mean));
	s->sigma = xmalloc((size_t)sigma->n * sizeof(*s->sigma));
	st_get_f64(mu, mean);
	st_get_f64(sigma, s->sigma);
	for (int64_t i = 0; i < mu->n && !rc; i++)
		if (!isfinite(mean[i]))
			rc = err("mu is not finite");
	for (int64_t i = 0; i < sigma->n && !rc; i++)
		if (!isfinite(s->sigma[i]))
			rc = err("sigma is not finite");
	s->has_moments = true;
	moments_init(&s->moments, s->d);
	moments_set(&s->moments, s->n, mean, s->sigma);
	free(mean);
	s->source = (struct fset_source){ text_of(z, "network", s), text_of(z, "preprocess", s),
		text_of(z, "weights", s) };
	return rc;
}

int
fset_read_moments(struct fset *s, const char *path)
{
	struct npz z;
	int rc;

	*s = (struct fset){ .name = path };
	if (npz_read(&z, path))
		return -1;
	rc = take_moments(s, &z);
	npz_release(&z);
	if (!rc)
		return 0;
	fset_release(s);
	return err_prefix("%s", path);
}

int
fset_write_moments(const struct moments *m, const struct fset_source *source, const char *path)
{
	double *sigma = xmalloc((size_t)m->d * (size_t)m->d * sizeof(*sigma));
	const struct st_tensor t[] = {
		{ .name = "mu", .dtype = ST_F64, .ndim = 1, .dim = { m->d }, .n = m->d,
		    .data = m->mean },
		{ .name = "sigma", .dtype = ST_F64, .ndim = 2, .dim = { m->d, m->d },
		    .n = m->d * m->d, .data = sigma },
		{ .name = "n", .dtype = ST_I64, .n = 1, .data = &m->n },
		{ .name = "network", .dtype = ST_U8, .ndim = 1,
		    .dim = { (int64_t)strlen(source->network) },
		    .n = (int64_t)strlen(source->network), .data = source->network },
		{ .name = "preprocess", .dtype = ST_U8, .ndim = 1,
		    .dim = { (int64_t)strlen(source->preprocess) },
		    .n = (int64_t)strlen(source->preprocess), .data = source->preprocess },
		{ .name = "weights", .dtype = ST_U8, .ndim = 1,
		    .dim = { (int64_t)strlen(source->weights) },
		    .n = (int64_t)strlen(source->weights), .data = source->weights },
	};
	int rc;

	moments_sigma(m, 1, sigma);
	rc = npz_write(path, t, sizeof(t) / sizeof(t[0]));
	free(sigma);
	return rc;
}

int
fset_gauss(const struct fset *s, int ddof, struct gauss *g)
{
	if (!s->has_moments)
		return gauss_from_rows(g, s->x, NULL, s->n, s->d, ddof);
	if (!s->moments.n)
		return ddof == 1 ? gauss_from_sigma(g, s->moments.mean, s->sigma, s->d)
		                 : err("%s does not say of how many images it is", s->name);
	return gauss_from_moments(g, &s->moments, ddof);
}
