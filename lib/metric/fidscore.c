#include "metric/fidscore.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/order.h"
#include "base/rng.h"
#include "metric/feature_moments.h"
#include "metric/kernel.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const fid_metric_name[FID_METRICS] = { "fid", "fid_infinity", "kid", "inception_score",
	"precision", "recall", "density", "coverage", "authpct", "cmmd" };

enum { INFINITY_POINTS = 15, INFINITY_FROM = 5000 };

int
fid_metric_find(const char *name)
{
	for (int m = 0; m < FID_METRICS; m++)
		if (strcmp(name, fid_metric_name[m]) == 0)
			return m;
	if (strcmp(name, "is") == 0)
		return FID_IS;
	if (strcmp(name, "fd") == 0)
		return FID_DISTANCE;
	return err("no metric '%s'; there are " FID_NAMES, name);
}

bool
fid_metric_of_moments(enum fid_metric m)
{
	return m == FID_DISTANCE;
}

void
fid_list_release(struct fid_list *l)
{
	free(l->v);
	*l = (struct fid_list){ 0 };
}

void
fset_pick_group(const struct fset *from, int group, struct fset *to)
{
	*to = (struct fset){ .name = from->name, .d = from->d, .c = from->c };
	for (int64_t i = 0; i < from->n; i++)
		to->n += from->row[i].group == group;
	to->x = xmalloc((size_t)to->n * (size_t)to->d * sizeof(*to->x) + 1);
	if (from->p)
		to->p = xmalloc((size_t)to->n * (size_t)to->c * sizeof(*to->p) + 1);
	for (int64_t i = 0, at = 0; i < from->n; i++) {
		if (from->row[i].group != group)
			continue;
		memcpy(to->x + at * to->d, from->x + i * to->d, (size_t)to->d * sizeof(*to->x));
		if (from->p)
			memcpy(to->p + at * to->c, from->p + i * to->c,
			    (size_t)to->c * sizeof(*to->p));
		at++;
	}
}

/* ---- is there enough ------------------------------------------------------------------------- */

static int
need(const struct fset *s, int64_t n, enum fid_metric m, const char *why)
{
	if (s->has_moments && !fid_metric_of_moments(m))
		return err("%s: %s needs features, not statistics", s->name, fid_metric_name[m]);
	if (s->n >= n || (s->has_moments && !s->moments.n))
		return 0;
	return err("%s: %" PRId64 " image%s; %s needs %" PRId64 "%s", s->name, s->n,
	    s->n == 1 ? "" : "s", fid_metric_name[m], n, why);
}

int
fid_check(const struct fset *real, const struct fset *gen, const struct fid_how *how,
    enum fid_metric m)
{
	char why[64] = "";

	switch (m) {
	case FID_INFINITY:
		return need(real, 2, m, "") || need(gen, 2 * INFINITY_POINTS, m, "") ? -1 : 0;
	case FID_DISTANCE:
	case FID_KID:
		return need(real, 2, m, "") || need(gen, 2, m, "") ? -1 : 0;
	case FID_IS:
		if (!gen->has_moments && !gen->p)
			return err("%s: no probabilities of classes for the inception_score",
			    gen->name);
		snprintf(why, sizeof(why), " for %" PRId64 " splits (--splits)", how->splits);
		return need(gen, how->splits, m, why);
	case FID_AUTHPCT:
		return need(real, 2, m, "") || need(gen, 1, m, "") ? -1 : 0;
	case FID_CMMD:
		return need(real, 1, m, "") || need(gen, 1, m, "") ? -1 : 0;
	default:
		snprintf(why, sizeof(why), " for %" PRId64 " neighbours (--neighbours)", how->k);
		return need(real, how->k + 1, m, why) || need(gen, how->k + 1, m, why) ? -1 : 0;
	}
}

/* ---- resampling ------------------------------------------------------------------------------ */

/* The middle 95 % of v [n], put around the value: a resampled set has fewer different images, so
 * that its distances are larger all in all, and only their spread says something. v is sorted. */
static void
interval(double *v, int64_t n, struct fid_value *out)
{
	double at[2] = { 0.025 * (double)(n - 1), 0.975 * (double)(n - 1) }, q[2], mean = 0;

	qsort(v, (size_t)n, sizeof(*v), order_doubles);
	for (int64_t i = 0; i < n; i++)
		mean += v[i] / (double)n;
	for (int i = 0; i < 2; i++) {
		int64_t k = (int64_t)at[i];

		q[i] = v[k] + (k + 1 < n ? (at[i] - (double)k) * (v[k + 1] - v[k]) : 0);
	}
	out->low = out->value + q[0] - mean;
	out->high = out->value + q[1] - mean;
}

/* n numbers below n, each on its own. */
static void
resample(struct rng *r, int64_t *pick, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		pick[i] = (int64_t)rng_below(r, (uint64_t)n);
}

static void
start(struct rng *r, const struct fid_how *how, const char *what, int64_t number)
{
	rng_init(r, how->seed, rng_stream(what, NULL) + (uint64_t)number);
}

/* The mean of v [n] and the interval of means of resampled v. */
static void
mean_of(const double *v, int64_t n, const struct fid_how *how, struct fid_value *out)
{
	double *mean = xmalloc((size_t)how->bootstrap * sizeof(*mean) + 1), sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += v[i];
	out->value = sum / (double)n;
	for (int64_t b = 0; b < how->bootstrap; b++) {
		struct rng r;

		start(&r, how, "bootstrap", b);
		mean[b] = 0;
		for (int64_t i = 0; i < n; i++)
			mean[b] += v[rng_below(&r, (uint64_t)n)] / (double)n;
	}
	if (how->bootstrap)
		interval(mean, how->bootstrap, out);
	free(mean);
}

/* ---- Fréchet --------------------------------------------------------------------------------- */

/* The distance of rows picked from each (NULL: all, or the moments). */
static int
distance(const struct fset *real, const int64_t *pr, const struct gauss *whole,
    const struct fset *gen, const int64_t *pg, int64_t ng, int ddof, double *value)
{
	struct gauss a = { 0 }, b = { 0 };
	struct frechet f;
	int rc = 0;

	if (pr)
		rc = gauss_from_rows(&a, real->x, pr, real->n, real->d, ddof);
	if (!rc)
		rc = pg ? gauss_from_rows(&b, gen->x, pg, ng, gen->d, ddof)
		    : fset_gauss(gen, ddof, &b);
	if (!rc)
		rc = frechet(pr ? &a : whole, &b, &f);
	gauss_release(&a);
	gauss_release(&b);
	*value = rc ? NAN : f.distance;
	return rc;
}

static int
frechet_value(const struct fset *real, const struct fset *gen, const struct fid_how *how,
    struct fid_value *out)
{
	double *v = xmalloc((size_t)how->bootstrap * sizeof(*v) + 1);
	int64_t *pr = xmalloc((size_t)real->n * sizeof(*pr) + 1);
	int64_t *pg = xmalloc((size_t)gen->n * sizeof(*pg) + 1);
	struct gauss whole;
	int rc;

	out->singular = (real->n && real->n <= real->d) || (gen->n && gen->n <= gen->d);
	rc = fset_gauss(real, how->ddof, &whole);
	if (!rc)
		rc = distance(real, NULL, &whole, gen, NULL, 0, how->ddof, &out->value);
	for (int64_t b = 0; !rc && gen->x && b < how->bootstrap; b++) {
		struct rng r;

		start(&r, how, "bootstrap fid", b);
		resample(&r, pg, gen->n);
		if (real->x)
			resample(&r, pr, real->n);
		rc = distance(real, real->x ? pr : NULL, &whole, gen, pg, gen->n, how->ddof, &v[b]);
	}
	if (!rc && gen->x && how->bootstrap)
		interval(v, how->bootstrap, out);
	gauss_release(&whole);
	free(v);
	free(pr);
	free(pg);
	return rc;
}

static int
infinity_value(const struct fset *real, const struct fset *gen, const struct fid_how *how,
    struct fid_value *out)
{
	int64_t first = gen->n / 10 < 2 ? 2 : gen->n / 10, *pick =
	    xmalloc((size_t)gen->n * sizeof(*pick));
	double sx = 0, sy = 0, sxx = 0, sxy = 0;
	const double n = INFINITY_POINTS;
	struct gauss whole;
	int rc = fset_gauss(real, how->ddof, &whole);

	first = first > INFINITY_FROM ? INFINITY_FROM : first;
	for (int k = 0; !rc && k < INFINITY_POINTS; k++) {
		const int64_t size = first + (gen->n - first) * k / (INFINITY_POINTS - 1);
		double y = 0;
		struct rng r;

		start(&r, how, "fid_infinity", k);
		for (int64_t i = 0; i < gen->n; i++)
			pick[i] = i;
		for (int64_t i = 0; i < size; i++) {
			int64_t j = i + (int64_t)rng_below(&r, (uint64_t)(gen->n - i)), t = pick[i];

			pick[i] = pick[j];
			pick[j] = t;
		}
		rc = distance(real, NULL, &whole, gen, pick, size, how->ddof, &y);
		sx += 1 / (double)size;
		sy += y;
		sxx += 1 / (double)size / (double)size;
		sxy += y / (double)size;
	}
	out->value = sy / n - (n * sxy - sx * sy) / (n * sxx - sx * sx) * sx / n;
	out->parts = INFINITY_POINTS;
	out->size = first;
	gauss_release(&whole);
	free(pick);
	return rc;
}

/* ---- neighbours ------------------------------------------------------------------------------ */

void
fid_nearest(const struct fset *real, const struct fset *gen, struct neighbour *near,
    bool *authentic)
{
	struct neighbour *own;

	nearest(gen->x, gen->n, real->x, real->n, real->d, 1, false, near);
	if (!authentic)
		return;
	own = xmalloc((size_t)real->n * sizeof(*own));
	nearest(real->x, real->n, real->x, real->n, real->d, 1, true, own);
	for (int64_t i = 0; i < gen->n; i++)
		authentic[i] = near[i].d2 > own[near[i].at].d2;
	free(own);
}

static void
authpct(const struct fset *real, const struct fset *gen, const struct fid_how *how,
    struct fid_value *out)
{
	struct neighbour *near = xmalloc((size_t)gen->n * sizeof(*near));
	bool *authentic = xmalloc((size_t)gen->n * sizeof(*authentic));
	double *v = xmalloc((size_t)gen->n * sizeof(*v));

	fid_nearest(real, gen, near, authentic);
	for (int64_t i = 0; i < gen->n; i++)
		v[i] = authentic[i] ? 100 : 0;
	mean_of(v, gen->n, how, out);
	free(near);
	free(authentic);
	free(v);
}

static double *
radii(const struct fset *s, int64_t k)
{
	struct neighbour *near = xmalloc((size_t)s->n * (size_t)k * sizeof(*near));
	double *r2 = xmalloc((size_t)s->n * sizeof(*r2));

	nearest(s->x, s->n, s->x, s->n, s->d, k, true, near);
	for (int64_t i = 0; i < s->n; i++)
		r2[i] = near[i * k + k - 1].d2;
	free(near);
	return r2;
}

/* Each image's part in the four metrics; their means are the values. */
struct parts {
	double *precision, *density;  /* [gen n] */
	double *recall, *coverage;    /* [real n] */
};

static void
find_parts(const struct fset *real, const struct fset *gen, const struct fid_how *how,
    struct parts *p)
{
	const size_t nr = (size_t)real->n, ng = (size_t)gen->n;
	double *rr = radii(real, how->k), *rg = radii(gen, how->k);
	int64_t *in_real = xmalloc(ng * sizeof(*in_real)), *in_gen = xmalloc(nr * sizeof(*in_gen)),
	    *met = xmalloc(nr * sizeof(*met));

	within(real->x, rr, real->n, gen->x, rg, gen->n, real->d, how->inclusive, in_real, in_gen,
	    met);
	*p = (struct parts){ xmalloc(ng * sizeof(double)), xmalloc(ng * sizeof(double)),
		xmalloc(nr * sizeof(double)), xmalloc(nr * sizeof(double)) };
	for (size_t i = 0; i < ng; i++) {
		p->precision[i] = in_real[i] > 0;
		p->density[i] = (double)in_real[i]; /* to be divided by k */
	}
	for (size_t i = 0; i < nr; i++) {
		p->recall[i] = in_gen[i] > 0;
		p->coverage[i] = met[i] > 0;
	}
	free(rr);
	free(rg);
	free(in_real);
	free(in_gen);
	free(met);
}

/* ---- all ------------------------------------------------------------------------------------- */

static void
score_value(const struct fset *gen, const struct fid_how *how, struct fid_value *out)
{
	double *v = xmalloc((size_t)how->bootstrap * sizeof(*v) + 1), std;
	double *p = how->bootstrap ? xmalloc((size_t)gen->n * (size_t)gen->c * sizeof(*p)) : NULL;

	inception_score(gen->p, gen->n, gen->c, how->splits, &out->value, &out->std);
	out->parts = how->splits;
	for (int64_t b = 0; b < how->bootstrap; b++) {
		struct rng r;

		start(&r, how, "bootstrap inception_score", b);
		for (int64_t i = 0; i < gen->n; i++)
			memcpy(p + i * gen->c,
			    gen->p + (int64_t)rng_below(&r, (uint64_t)gen->n) * gen->c,
			    (size_t)gen->c * sizeof(*p));
		inception_score(p, gen->n, gen->c, how->splits, &v[b], &std);
	}
	if (how->bootstrap)
		interval(v, how->bootstrap, out);
	free(v);
	free(p);
}

static void
kernel_interval(const struct fset *real, const struct fset *gen, const struct fid_how *how,
    struct fid_value *out)
{
	double *v;

	if (!how->bootstrap || !kernels_fit(real->n, gen->n))
		return;
	v = xmalloc((size_t)how->bootstrap * sizeof(*v));
	kernel_bootstrap(real->x, real->n, gen->x, gen->n, real->d, out->metric == FID_CMMD,
	    how->seed, how->bootstrap, v);
	interval(v, how->bootstrap, out);
	free(v);
}

static int
one(const struct fset *real, const struct fset *gen, const struct fid_how *how, struct parts *p,
    struct fid_value *out)
{
	struct kid k;

	switch (out->metric) {
	case FID_DISTANCE:
		return frechet_value(real, gen, how, out);
	case FID_INFINITY:
		return infinity_value(real, gen, how, out);
	case FID_KID:
		kid(real->x, real->n, gen->x, gen->n, real->d, how->kid_subsets, how->kid_size,
		    how->seed, &k);
		out->value = k.value;
		out->std = k.std;
		out->se = k.se;
		out->parts = k.subsets;
		out->size = k.size;
		kernel_interval(real, gen, how, out);
		return 0;
	case FID_IS:
		score_value(gen, how, out);
		return 0;
	case FID_AUTHPCT:
		authpct(real, gen, how, out);
		return 0;
	case FID_CMMD:
		if (cmmd(real->x, real->n, gen->x, gen->n, real->d, &out->value))
			return -1;
		kernel_interval(real, gen, how, out);
		return 0;
	default:
		if (!p->precision)
			find_parts(real, gen, how, p);
		out->k = how->k;
		if (out->metric == FID_PRECISION || out->metric == FID_DENSITY)
			mean_of(out->metric == FID_PRECISION ? p->precision : p->density, gen->n,
			    how, out);
		else
			mean_of(out->metric == FID_RECALL ? p->recall : p->coverage, real->n, how,
			    out);
		if (out->metric == FID_DENSITY) {
			out->value /= (double)how->k;
			out->low /= (double)how->k;
			out->high /= (double)how->k;
		}
		return 0;
	}
}

int
fid_scores(const struct fset *real, const struct fset *gen, const struct fid_how *how,
    const char *group, struct fid_list *list)
{
	struct parts p = { 0 };
	int bad = 0;

	for (int m = 0; m < FID_METRICS; m++) {
		struct fid_value v = { (enum fid_metric)m, group, NAN, NAN, NAN, NAN, NAN, gen->n,
		    real->n,
			0, 0, 0, false };

		if (!how->want[m])
			continue;
		if (fid_check(real, gen, how, v.metric) || one(real, gen, how, &p, &v)) {
			warn(group ? "%s: %s" : "%s%s", group ? group : "", errmsg());
			v.value = NAN;
			bad++;
		}
		list->v = xgrow(list->v, &list->cap, list->n + 1, sizeof(*list->v));
		list->v[list->n++] = v;
	}
	free(p.precision);
	free(p.density);
	free(p.recall);
	free(p.coverage);
	return bad;
}
