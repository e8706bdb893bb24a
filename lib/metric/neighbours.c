#include "metric/neighbours.h"

#include "base/mem.h"
#include "metric/linalg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows of x and of y in one product: 4 MiB of distances. */
enum { ROWS = 512, COLUMNS = 2048 };
/* Neighbours kept beyond the k that are wanted: among these the exact order is found, as a rule. */
enum { SPARE = 8 };

double
distance2(const float *x, const float *y, int64_t d)
{
	double s[8] = { 0 };
	int64_t i = 0;

	for (; i + 8 <= d; i += 8) {
		for (int j = 0; j < 8; j++) {
			double t = (double)x[i + j] - (double)y[i + j];

			s[j] += t * t;
		}
	}
	for (; i < d; i++)
		s[0] += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
	return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

static double *
norms(const float *x, int64_t n, int64_t d)
{
	double *v = xmalloc((size_t)n * sizeof(*v) + 1);

	for (int64_t r = 0; r < n; r++) {
		v[r] = 0;
		for (int64_t i = 0; i < d; i++)
			v[r] += (double)x[r * d + i] * (double)x[r * d + i];
	}
	return v;
}

static double
largest(const double *v, int64_t n)
{
	double most = 0;

	for (int64_t i = 0; i < n; i++)
		most = fmax(most, v[i]);
	return most;
}

/* How far |a|^2 + |b|^2 - 2ab can be from the truth, as a share of |a|^2 + |b|^2: a sum of d
 * products in f32 is off by at most d 2^-24 sum |a_i b_i| to first order, and 2 sum |a_i b_i| <=
 * |a|^2 + |b|^2. */
static double
slack(int64_t d)
{
	return 1.01 * ldexp((double)d + 8, -24);
}

/* ---- the nearest ----------------------------------------------------------------------------- */

static bool
before(const struct neighbour *a, const struct neighbour *b)
{
	return a->d2 < b->d2 || (a->d2 == b->d2 && a->at < b->at);
}

/* Puts v into best [keep], of which *n are there in order; what is last of too many goes. */
static void
insert(struct neighbour *best, int64_t *n, int64_t keep, struct neighbour v)
{
	int64_t i;

	if (*n < keep)
		i = (*n)++;
	else if (before(&v, &best[keep - 1]))
		i = keep - 1;
	else
		return;
	for (; i > 0 && before(&v, &best[i - 1]); i--)
		best[i] = best[i - 1];
	best[i] = v;
}

static int
compare(const void *a, const void *b)
{
	return before(a, b) ? -1 : before(b, a);
}

struct search {
	const float *x, *y;
	int64_t ny, d, k, keep;
	bool others;
};

/* The exact k of row r out of its candidates (n of them, by inexact distances of at most `off`
 * off). */
static void
settle(const struct search *s, int64_t r, struct neighbour *best, int64_t n, double off,
    struct neighbour *out)
{
	const float *row = s->x + r * s->d;
	const double limit = best[s->k - 1].d2 + 2 * off;

	if (n == s->keep && best[n - 1].d2 <= limit && n < s->ny - s->others) {
		/* too many are as near: all rows */
		n = 0;
		for (int64_t c = 0; c < s->ny; c++)
			if (!s->others || c != r)
				insert(best, &n, s->k, (struct neighbour){ c,
				    distance2(row, s->y + c * s->d, s->d) });
	} else {
		for (int64_t i = 0; i < n; i++)
			best[i].d2 = distance2(row, s->y + best[i].at * s->d, s->d);
		qsort(best, (size_t)n, sizeof(*best), compare);
	}
	memcpy(out, best, (size_t)s->k * sizeof(*out));
}

void
nearest(const float *x, int64_t nx, const float *y, int64_t ny, int64_t d, int64_t k, bool others,
    struct neighbour *out)
{
	const struct search s = { x, y, ny, d, k, k + SPARE, others };
	double *nxs = norms(x, nx, d), *nys = others ? nxs : norms(y, ny, d);
	const double most = largest(nys, ny);
	float *dot = xmalloc((size_t)ROWS * COLUMNS * sizeof(*dot));
	struct neighbour *best = xmalloc(ROWS * (size_t)s.keep * sizeof(*best));
	int64_t *have = xmalloc(ROWS * sizeof(*have));

	for (int64_t r0 = 0; r0 < nx; r0 += ROWS) {
		const int64_t m = nx - r0 < ROWS ? nx - r0 : ROWS;

		memset(have, 0, ROWS * sizeof(*have));
		for (int64_t c0 = 0; c0 < ny; c0 += COLUMNS) {
			const int64_t n = ny - c0 < COLUMNS ? ny - c0 : COLUMNS;

			linalg_mul_nt_f32(x + r0 * d, y + c0 * d, dot, m, n, d);
			for (int64_t r = 0; r < m; r++) {
				struct neighbour *b = best + r * s.keep;
				const float *line = dot + r * n;

				for (int64_t c = 0; c < n; c++) {
					const double d2 =
					    nxs[r0 + r] + nys[c0 + c] - 2 * (double)line[c];

					if (have[r] == s.keep && d2 >= b[s.keep - 1].d2)
						continue;
					if (!others || r0 + r != c0 + c)
						insert(b, &have[r], s.keep,
						    (struct neighbour){ c0 + c, d2 });
				}
			}
		}
		for (int64_t r = 0; r < m; r++)
			settle(&s, r0 + r, best + r * s.keep, have[r],
			    slack(d) * (nxs[r0 + r] + most), out + (r0 + r) * k);
	}
	free(dot);
	free(best);
	free(have);
	if (!others)
		free(nys);
	free(nxs);
}

/* ---- radii ----------------------------------------------------------------------------------- */

void
within(const float *x, const double *r2x, int64_t nx, const float *y, const double *r2y, int64_t ny,
    int64_t d, bool inclusive, int64_t *y_in_x, int64_t *x_in_y, int64_t *x_met)
{
	double *nxs = norms(x, nx, d), *nys = norms(y, ny, d);
	float *dot = xmalloc((size_t)ROWS * COLUMNS * sizeof(*dot));
	const double share = slack(d);

	memset(y_in_x, 0, (size_t)ny * sizeof(*y_in_x));
	memset(x_in_y, 0, (size_t)nx * sizeof(*x_in_y));
	memset(x_met, 0, (size_t)nx * sizeof(*x_met));
	for (int64_t r0 = 0; r0 < nx; r0 += ROWS) {
		const int64_t m = nx - r0 < ROWS ? nx - r0 : ROWS;

		for (int64_t c0 = 0; c0 < ny; c0 += COLUMNS) {
			const int64_t n = ny - c0 < COLUMNS ? ny - c0 : COLUMNS;

			linalg_mul_nt_f32(x + r0 * d, y + c0 * d, dot, m, n, d);
			for (int64_t r = r0; r < r0 + m; r++) {
				for (int64_t c = c0; c < c0 + n; c++) {
					const double sum = nxs[r] + nys[c], off = share * sum;
					double d2 = sum - 2 * (double)dot[(r - r0) * n + c - c0];
					bool in_x, in_y;

					if (fabs(d2 - r2x[r]) <= off || fabs(d2 - r2y[c]) <= off)
						d2 = distance2(x + r * d, y + c * d, d);
					in_x = inclusive ? d2 <= r2x[r] : d2 < r2x[r];
					in_y = inclusive ? d2 <= r2y[c] : d2 < r2y[c];
					y_in_x[c] += in_x;
					x_met[r] += in_x;
					x_in_y[r] += in_y;
				}
			}
		}
	}
	free(dot);
	free(nxs);
	free(nys);
}
