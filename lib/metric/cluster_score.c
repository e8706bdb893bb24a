#include "metric/cluster_score.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "metric/linalg.h"
#include "metric/neighbours.h"
#include "metric/parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* At most `most` of n rows (0: all), in order; each as likely as any. *m: how many. Caller
 * frees. */
static int64_t *
choose(int64_t n, int64_t most, uint64_t seed, int64_t *m)
{
	int64_t *row, left = most && most < n ? most : n;
	struct rng r;

	*m = 0;
	row = xmalloc((size_t)left * sizeof(*row));
	rng_init(&r, seed, rng_stream("sample", NULL));
	for (int64_t i = 0; i < n && left; i++)
		if (left == n - i || (int64_t)rng_below(&r, (uint64_t)(n - i)) < left) {
			row[(*m)++] = i;
			left--;
		}
	return row;
}

/* ---- silhouette --------------------------------------------------------------------------- */

struct silhouette {
	const float *x;
	const int32_t *label;
	const int64_t *row, *size;
	int64_t m, d, k;
	double sum[PARALLEL_PARTS];
};

static void
add_silhouettes(void *vp, int64_t from, int64_t to, int part)
{
	struct silhouette *s = vp;
	double *far = xmalloc((size_t)s->k * sizeof(*far));

	for (int64_t i = from; i < to; i++) {
		const float *x = s->x + s->row[i] * s->d;
		int32_t own = s->label[s->row[i]];
		double a, b = INFINITY;

		if (s->size[own] < 2)
			continue;
		memset(far, 0, (size_t)s->k * sizeof(*far));
		for (int64_t j = 0; j < s->m; j++)
			far[s->label[s->row[j]]] +=
			    sqrt(distance2(x, s->x + s->row[j] * s->d, s->d));
		a = far[own] / (double)(s->size[own] - 1);
		for (int64_t c = 0; c < s->k; c++)
			if (c != own && s->size[c])
				b = fmin(b, far[c] / (double)s->size[c]);
		if (isfinite(b) && fmax(a, b) > 0)
			s->sum[part] += (b - a) / fmax(a, b);
	}
	free(far);
}

double
score_silhouette(const float *x, int64_t n, int64_t d, const int32_t *label, int64_t k,
    int64_t sample, uint64_t seed)
{
	struct silhouette s = { .x = x, .label = label, .d = d, .k = k };
	int64_t *row = choose(n, sample, seed, &s.m), *size = xcalloc((size_t)k, sizeof(*size));
	double sum = 0;

	for (int64_t i = 0; i < s.m; i++)
		size[label[row[i]]]++;
	s.row = row;
	s.size = size;
	parallel(s.m, add_silhouettes, &s);
	for (int p = 0; p < PARALLEL_PARTS; p++)
		sum += s.sum[p];
	free(row);
	free(size);
	return sum / (double)s.m;
}

/* ---- means and variances of clusters ------------------------------------------------------ */

struct moments_of {
	int64_t k, d, *size;
	double *mean, *std; /* [k,d]; deviations of the population */
};

static void
moments_open(struct moments_of *c, const float *x, int64_t n, int64_t d, const int32_t *label,
    int64_t k)
{
	*c = (struct moments_of){ .k = k, .d = d, .size = xcalloc((size_t)k, sizeof(*c->size)),
		.mean = xcalloc((size_t)(k * d), sizeof(*c->mean)),
		.std = xcalloc((size_t)(k * d), sizeof(*c->std)) };
	for (int64_t i = 0; i < n; i++) {
		double *m = c->mean + label[i] * d;

		c->size[label[i]]++;
		for (int64_t f = 0; f < d; f++)
			m[f] += x[i * d + f];
	}
	for (int64_t i = 0; i < k * d; i++)
		c->mean[i] /= c->size[i / d] ? (double)c->size[i / d] : 1;
	for (int64_t i = 0; i < n; i++) {
		const double *m = c->mean + label[i] * d;
		double *v = c->std + label[i] * d;

		for (int64_t f = 0; f < d; f++)
			v[f] += (x[i * d + f] - m[f]) * (x[i * d + f] - m[f]);
	}
	for (int64_t i = 0; i < k * d; i++)
		c->std[i] = sqrt(c->std[i] / (c->size[i / d] ? (double)c->size[i / d] : 1));
}

static void
moments_close(struct moments_of *c)
{
	free(c->size);
	free(c->mean);
	free(c->std);
}

static double
length(const double *v, int64_t d)
{
	double sum = 0;

	for (int64_t f = 0; f < d; f++)
		sum += v[f] * v[f];
	return sqrt(sum);
}

static double
distance2_mean(const float *x, const double *m, int64_t d)
{
	double sum = 0;

	for (int64_t f = 0; f < d; f++)
		sum += (x[f] - m[f]) * (x[f] - m[f]);
	return sum;
}

void
score_compactness(const float *x, int64_t n, int64_t d, const int32_t *label, int64_t k,
    struct compactness *out)
{
	struct moments_of c;

	moments_open(&c, x, n, d, label, k);
	for (int64_t i = 0; i < k; i++) {
		double l = length(c.std + i * d, d);

		out[i] = (struct compactness){ .n = c.size[i], .mean_variance = l * l / (double)d };
	}
	for (int64_t i = 0; i < n; i++)
		out[label[i]].max_distance2 = fmax(out[label[i]].max_distance2,
		    distance2_mean(x + i * d, c.mean + label[i] * d, d));
	moments_close(&c);
}

/* ---- S_Dbw -------------------------------------------------------------------------------- */

struct sdbw {
	const float *x;
	const int32_t *label;
	int64_t n, d, k;
	struct moments_of m;
	int64_t *middle;  /* [k]: the row nearest to the mean */
	double *density;  /* [k] */
};

/* Rows of clusters a and b within reach [d] of point v [d] in every feature. */
static int64_t
rows_near(const struct sdbw *s, int64_t a, int64_t b, const double *v, const double *reach)
{
	int64_t count = 0;

	for (int64_t i = 0; i < s->n; i++) {
		const float *x = s->x + i * s->d;
		int64_t f = 0;

		if (s->label[i] != a && s->label[i] != b)
			continue;
		while (f < s->d && fabs(x[f] - v[f]) <= reach[f])
			f++;
		count += f == s->d;
	}
	return count;
}

/* The density about one cluster's middle (b = a), or about a point between two. */
static double
density_of(const struct sdbw *s, int64_t a, int64_t b)
{
	static const double lambda = 0.7;
	const float *ca = s->x + s->middle[a] * s->d, *cb = s->x + s->middle[b] * s->d;
	double na = (double)s->m.size[a], nb = (double)s->m.size[b], n = a == b ? na : na + nb;
	double *v = xmalloc((size_t)s->d * sizeof(*v)),
	       *reach = xmalloc((size_t)s->d * sizeof(*reach));
	double da = s->density[a], db = s->density[b];
	int64_t count;

	for (int64_t f = 0; f < s->d; f++) {
		reach[f] = 1.96 * (s->m.std[a * s->d + f] + s->m.std[b * s->d + f]) / 2 / sqrt(n);
		v[f] = a == b ? ca[f] : lambda * (ca[f] * nb + cb[f] * na) / n +
		    (1 - lambda) * (ca[f] * da + cb[f] * db) / (da + db);
	}
	count = rows_near(s, a, b, v, reach);
	free(v);
	free(reach);
	return (double)count;
}

/* How much clusters scatter beside the whole. */
static double
scatter(const struct sdbw *s)
{
	int32_t *one = xcalloc((size_t)s->n, sizeof(*one));
	struct moments_of all;
	double sum = 0;

	moments_open(&all, s->x, s->n, s->d, one, 1);
	for (int64_t c = 0; c < s->k; c++)
		sum += (double)(s->n - s->m.size[c]) / (double)s->n *
		    length(s->m.std + c * s->d, s->d);
	sum /= length(all.std, s->d) * (double)(s->k - 1);
	moments_close(&all);
	free(one);
	return sum;
}

static void
find_middles(struct sdbw *s)
{
	double *best = xmalloc((size_t)s->k * sizeof(*best));

	for (int64_t c = 0; c < s->k; c++)
		best[c] = INFINITY;
	for (int64_t i = 0; i < s->n; i++) {
		int32_t c = s->label[i];
		double d2 = distance2_mean(s->x + i * s->d, s->m.mean + c * s->d, s->d);

		if (d2 < best[c]) {
			best[c] = d2;
			s->middle[c] = i;
		}
	}
	free(best);
}

int
score_sdbw(const float *x, int64_t n, int64_t d, const int32_t *label, int64_t k, double *out)
{
	struct sdbw s = { .x = x, .label = label, .n = n, .d = d, .k = k };
	double between = 0;
	int none = 0, ret = 0;

	moments_open(&s.m, x, n, d, label, k);
	s.middle = xcalloc((size_t)k, sizeof(*s.middle));
	s.density = xcalloc((size_t)k, sizeof(*s.density));
	find_middles(&s);
	for (int64_t c = 0; c < k; c++) {
		s.density[c] = density_of(&s, c, c);
		none += s.density[c] <= 0;
	}
	if (none > 1)
		ret = err("S_Dbw: %d of %lld clusters have no density", none, (long long)k);
	for (int64_t a = 0; a < k && !ret; a++)
		for (int64_t b = 0; b < k; b++)
			if (a != b)
				between += density_of(&s, a, b) / fmax(s.density[a], s.density[b]);
	*out = scatter(&s) + between / (double)(k * (k - 1));
	moments_close(&s.m);
	free(s.middle);
	free(s.density);
	return ret;
}

/* ---- a map -------------------------------------------------------------------------------- */

static void
turn_positive(double *axis, int64_t d)
{
	int64_t best = 0;

	for (int64_t f = 1; f < d; f++)
		if (fabs(axis[f]) > fabs(axis[best]))
			best = f;
	if (axis[best] > 0)
		return;
	for (int64_t f = 0; f < d; f++)
		axis[f] = -axis[f];
}

int
map_rows(const float *x, int64_t n, int64_t d, int64_t sample, uint64_t seed, double *out)
{
	int64_t m, *row = choose(n, sample, seed, &m);
	double *mean = xcalloc((size_t)d, sizeof(*mean)),
	       *a = xmalloc((size_t)(m * d) * sizeof(*a));
	double *cov = xcalloc((size_t)(d * d), sizeof(*cov)), *w = xmalloc((size_t)d * sizeof(*w));
	int ret;

	for (int64_t i = 0; i < m; i++)
		for (int64_t f = 0; f < d; f++)
			mean[f] += x[row[i] * d + f] / (double)m;
	for (int64_t i = 0; i < m; i++)
		for (int64_t f = 0; f < d; f++)
			a[i * d + f] = x[row[i] * d + f] - mean[f];
	linalg_add_gram(a, cov, m, d);
	ret = linalg_eigen(cov, w, d);
	for (int c = 0; c < 2 && !ret; c++) {
		double *axis = d > c ? cov + (d - 1 - c) * d : NULL;

		if (axis)
			turn_positive(axis, d);
		for (int64_t i = 0; i < n; i++) {
			out[i * 2 + c] = 0;
			for (int64_t f = 0; axis && f < d; f++)
				out[i * 2 + c] += (x[i * d + f] - mean[f]) * axis[f];
		}
	}
	free(row);
	free(mean);
	free(a);
	free(cov);
	free(w);
	return ret;
}
