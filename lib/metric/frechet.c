#include "metric/frechet.h"

#include "base/err.h"
#include "base/mem.h"
#include "metric/linalg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void
gauss_release(struct gauss *g)
{
	free(g->mu);
	free(g->f);
	*g = (struct gauss){ 0 };
}

int
gauss_from_sigma(struct gauss *g, const double *mu, const double *sigma, int64_t d)
{
	const size_t all = (size_t)d * (size_t)d;
	double *s = xmalloc(all * sizeof(*s));
	int rc;

	*g = (struct gauss){ .d = d };
	g->mu = xmalloc((size_t)d * sizeof(*g->mu));
	memcpy(g->mu, mu, (size_t)d * sizeof(*mu));
	g->f = xmalloc(all * sizeof(*g->f));
	memcpy(s, sigma, all * sizeof(*s));
	for (int64_t i = 0; i < d; i++)
		g->trace += s[i * d + i];
	rc = isfinite(g->trace) ? linalg_factor(s, g->f, d, &g->rank)
	                        : err("the covariance is not finite");
	free(s);
	if (rc)
		gauss_release(g);
	return rc;
}

int
gauss_from_moments(struct gauss *g, const struct moments *m, int ddof)
{
	double *sigma = xmalloc((size_t)m->d * (size_t)m->d * sizeof(*sigma));
	int rc;

	moments_sigma(m, ddof, sigma);
	rc = gauss_from_sigma(g, m->mean, sigma, m->d);
	free(sigma);
	return rc;
}

/* Fewer rows than features: the rows less their mean, divided by the root of n - ddof. */
static int
from_few(struct gauss *g, const float *x, const int64_t *pick, int64_t n, int64_t d, int ddof)
{
	const double by = n > ddof ? 1 / sqrt((double)(n - ddof)) : 0;

	*g = (struct gauss){ .d = d, .rank = n };
	g->mu = xcalloc((size_t)d, sizeof(*g->mu));
	g->f = xmalloc((size_t)n * (size_t)d * sizeof(*g->f));
	for (int64_t r = 0; r < n; r++)
		for (int64_t i = 0; i < d; i++)
			g->mu[i] += (double)x[(pick ? pick[r] : r) * d + i];
	for (int64_t i = 0; i < d; i++)
		g->mu[i] /= (double)n;
	for (int64_t r = 0; r < n; r++) {
		for (int64_t i = 0; i < d; i++) {
			double c = ((double)x[(pick ? pick[r] : r) * d + i] - g->mu[i]) * by;

			g->f[r * d + i] = c;
			g->trace += c * c;
		}
	}
	if (isfinite(g->trace))
		return 0;
	gauss_release(g);
	return err("the features are not finite");
}

int
gauss_from_rows(struct gauss *g, const float *x, const int64_t *pick, int64_t n, int64_t d,
    int ddof)
{
	struct moments m;
	int rc;

	if (n <= d)
		return from_few(g, x, pick, n, d, ddof);
	moments_init(&m, d);
	moments_add(&m, x, pick, n);
	rc = gauss_from_moments(g, &m, ddof);
	moments_release(&m);
	return rc;
}

int
frechet(const struct gauss *a, const struct gauss *b, struct frechet *f)
{
	double *m = xmalloc((size_t)a->rank * (size_t)b->rank * sizeof(*m) + 1);
	int rc;

	*f = (struct frechet){ .trace1 = a->trace, .trace2 = b->trace };
	for (int64_t i = 0; i < a->d; i++)
		f->mean_term += (a->mu[i] - b->mu[i]) * (a->mu[i] - b->mu[i]);
	linalg_mul_nt(a->f, b->f, m, a->rank, b->rank, a->d);
	rc = linalg_nuclear(m, a->rank, b->rank, &f->tr_sqrt);
	free(m);
	f->distance = fmax(0, f->mean_term + f->trace1 + f->trace2 - 2 * f->tr_sqrt);
	return rc;
}
