#include "metric/kernel.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "metric/linalg.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Rows of a block: long enough for BLAS, short enough that little is done twice on the diagonal. */
enum { BLOCK = 256 };
/* KID's subsets overlap where there are few rows: their kernels, all of them, then are kept in this
 * many bytes, instead of being worked out for each subset. */
#define KEPT ((int64_t)1 << 29)

enum which { POLYNOMIAL, GAUSSIAN };
static const double sigma = 10, cmmd_scale = 1000;

/* Rows at .. at + n of x, perhaps picked ones, in double precision; unit: divided by their
 * length. */
static void
gather(double *out, const float *x, const int64_t *pick, int64_t at, int64_t n, int64_t d,
    enum which k)
{
	for (int64_t r = 0; r < n; r++) {
		const float *row = x + (pick ? pick[at + r] : at + r) * d;
		double length = 1;

		if (k == GAUSSIAN) {
			length = 0;
			for (int64_t i = 0; i < d; i++)
				length += (double)row[i] * (double)row[i];
			length = sqrt(length);
		}
		for (int64_t i = 0; i < d; i++)
			out[r * d + i] = (double)row[i] / length;
	}
}

static double
value(double dot, int64_t d, enum which k)
{
	double t;

	if (k == GAUSSIAN) /* |x-y|^2 of unit vectors */
		return exp((dot - 1) / (sigma * sigma));
	t = dot / (double)d + 1;
	return t * t * t;
}

struct rows {
	const float *x;
	const int64_t *pick;
	int64_t n;
};

/* Called for each block of kernels v [m][n] of rows i.. and j.. */
typedef void block_fn(double *v, int64_t i, int64_t m, int64_t j, int64_t n, void *ctx);

/* All pairs of rows; of a set with itself (b NULL) only those of blocks on and above the
 * diagonal. */
static void
each_block(const struct rows *a, const struct rows *b, int64_t d, enum which k, block_fn *fn,
    void *ctx)
{
	double *u = xmalloc((size_t)BLOCK * (size_t)d * sizeof(*u));
	double *v = xmalloc((size_t)BLOCK * (size_t)d * sizeof(*v));
	double *dot = xmalloc((size_t)BLOCK * BLOCK * sizeof(*dot));
	const struct rows *o = b ? b : a;

	for (int64_t i = 0; i < a->n; i += BLOCK) {
		const int64_t m = a->n - i < BLOCK ? a->n - i : BLOCK;

		gather(u, a->x, a->pick, i, m, d, k);
		for (int64_t j = b ? 0 : i; j < o->n; j += BLOCK) {
			const int64_t n = o->n - j < BLOCK ? o->n - j : BLOCK;

			gather(v, o->x, o->pick, j, n, d, k);
			linalg_mul_nt(u, v, dot, m, n, d);
			for (int64_t p = 0; p < m * n; p++)
				dot[p] = value(dot[p], d, k);
			fn(dot, i, m, j, n, ctx);
		}
	}
	free(u);
	free(v);
	free(dot);
}

struct sum {
	bool same;
	double sum;
};

static void
add_block(double *v, int64_t i, int64_t m, int64_t j, int64_t n, void *ctx)
{
	struct sum *s = ctx;
	double part = 0;

	for (int64_t r = 0; r < m; r++) {
		double line = 0;

		for (int64_t c = 0; c < n; c++)
			if (!s->same || i != j || r != c)
				line += v[r * n + c];
		part += line;
	}
	/* blocks off the diagonal stand for their mirror images too */
	s->sum += !s->same || i == j ? part : 2 * part;
}

/* The sum of k over pairs of rows; of a set with itself (b NULL) without the diagonal. */
static double
sum_pairs(const struct rows *a, const struct rows *b, int64_t d, enum which k)
{
	struct sum s = { .same = !b };

	each_block(a, b, d, k, add_block, &s);
	return s.sum;
}

static double
unbiased(const struct rows *a, const struct rows *b, int64_t d)
{
	const double m = (double)a->n, n = (double)b->n;

	return sum_pairs(a, NULL, d, POLYNOMIAL) / (m * (m - 1)) +
	    sum_pairs(b, NULL, d, POLYNOMIAL) / (n * (n - 1)) -
	    2 * sum_pairs(a, b, d, POLYNOMIAL) / (m * n);
}

double
kid_of(const float *x, const int64_t *px, const float *y, const int64_t *py, int64_t m, int64_t d)
{
	return unbiased(&(struct rows){ x, px, m }, &(struct rows){ y, py, m }, d);
}

double
kid_all(const float *x, int64_t nx, const float *y, int64_t ny, int64_t d)
{
	return unbiased(&(struct rows){ x, NULL, nx }, &(struct rows){ y, NULL, ny }, d);
}

/* The first m of a shuffled 0 .. n-1 into pick [n]. */
static void
draw(struct rng *r, int64_t *pick, int64_t n, int64_t m)
{
	for (int64_t i = 0; i < n; i++)
		pick[i] = i;
	for (int64_t i = 0; i < m; i++) {
		int64_t j = i + (int64_t)rng_below(r, (uint64_t)(n - i)), t = pick[i];

		pick[i] = pick[j];
		pick[j] = t;
	}
}

struct kept {
	double *v;     /* [n][width] */
	int64_t width;
	bool same;
};

static void
keep_block(double *v, int64_t i, int64_t m, int64_t j, int64_t n, void *ctx)
{
	struct kept *k = ctx;

	for (int64_t r = 0; r < m; r++) {
		for (int64_t c = 0; c < n; c++) {
			k->v[(i + r) * k->width + j + c] = v[r * n + c];
			if (k->same)
				k->v[(j + c) * k->width + i + r] = v[r * n + c];
		}
	}
}

static struct kept
keep_all(const struct rows *a, const struct rows *b, int64_t d, enum which which)
{
	struct kept k = { .width = b ? b->n : a->n, .same = !b };

	k.v = xmalloc((size_t)a->n * (size_t)k.width * sizeof(*k.v));
	each_block(a, b, d, which, keep_block, &k);
	return k;
}

/* The sum over pairs of picked rows, without the diagonal of a set with itself. */
static double
sum_kept(const struct kept *k, const int64_t *pa, const int64_t *pb, int64_t m)
{
	double sum = 0;

	for (int64_t i = 0; i < m; i++) {
		const double *row = k->v + pa[i] * k->width;
		double line = 0;

		for (int64_t j = 0; j < m; j++)
			line += row[pb[j]];
		sum += k->same ? line - row[pa[i]] : line;
	}
	return sum;
}

bool
kernels_fit(int64_t nx, int64_t ny)
{
	return nx + ny < 1 << 20 && (nx + ny) * (nx + ny) <= KEPT / (int64_t)sizeof(double);
}

void
kid(const float *x, int64_t nx, const float *y, int64_t ny, int64_t d, int64_t subsets,
    int64_t size, uint64_t seed, struct kid *k)
{
	const struct rows a = { x, NULL, nx }, b = { y, NULL, ny };
	const bool keep = kernels_fit(nx, ny);
	struct kept xx = { 0 }, yy = { 0 }, xy = { 0 };
	int64_t *px, *py;
	double sum = 0, squares = 0;

	if (size >= nx && size >= ny) {
		*k = (struct kid){ kid_all(x, nx, y, ny, d), NAN, NAN, 1, nx < ny ? nx : ny };
		return;
	}
	size = size > nx ? nx : size;
	size = size > ny ? ny : size;
	*k = (struct kid){ .subsets = subsets, .size = size };
	if (keep) {
		xx = keep_all(&a, NULL, d, POLYNOMIAL);
		yy = keep_all(&b, NULL, d, POLYNOMIAL);
		xy = keep_all(&a, &b, d, POLYNOMIAL);
	}
	px = xmalloc((size_t)nx * sizeof(*px));
	py = xmalloc((size_t)ny * sizeof(*py));
	for (int64_t s = 0; s < subsets; s++) {
		const double pairs = (double)size * (double)(size - 1),
		             all = (double)size * (double)size;
		struct rng r;
		double v;

		rng_init(&r, seed, rng_stream("kid", NULL) + (uint64_t)s);
		draw(&r, px, nx, size);
		draw(&r, py, ny, size);
		v = keep ? (sum_kept(&xx, px, px, size) + sum_kept(&yy, py, py, size)) / pairs -
		        2 * sum_kept(&xy, px, py, size) / all
		         : kid_of(x, px, y, py, size, d);
		sum += v;
		squares += v * v;
	}
	k->value = sum / (double)subsets;
	k->std = sqrt(fmax(0, squares / (double)subsets - k->value * k->value));
	k->se = k->std / sqrt((double)subsets);
	free(xx.v);
	free(yy.v);
	free(xy.v);
	free(px);
	free(py);
}

int
cmmd(const float *x, int64_t nx, const float *y, int64_t ny, int64_t d, double *out)
{
	const struct rows a = { x, NULL, nx }, b = { y, NULL, ny };
	const double m = (double)nx, n = (double)ny;

	for (int64_t r = 0; r < nx + ny; r++) {
		const float *row = r < nx ? x + r * d : y + (r - nx) * d;
		int64_t i = 0;

		while (i < d && row[i] == 0)
			i++;
		if (i == d)
			return err("a feature vector without length has no direction");
	}
	/* the diagonals are ones */
	*out = cmmd_scale * ((sum_pairs(&a, NULL, d, GAUSSIAN) + m) / (m * m) +
	    (sum_pairs(&b, NULL, d, GAUSSIAN) + n) / (n * n) -
	    2 * sum_pairs(&a, &b, d, GAUSSIAN) / (m * n));
	return 0;
}

/* ---- resampling ------------------------------------------------------------------------------ */

/* How often each of n rows is drawn in n draws. */
static void
weigh(struct rng *r, double *w, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		w[i] = 0;
	for (int64_t i = 0; i < n; i++)
		w[rng_below(r, (uint64_t)n)]++;
}

/* The mean of kernels of rows weighed by u and v; of a set with itself and without bias, copies of
 * a row do not meet. */
static double
weighed(const struct kept *k, const double *u, int64_t n, const double *v, bool biased)
{
	double sum = 0, pairs = 0;

	for (int64_t i = 0; i < n; i++) {
		const double *row = k->v + i * k->width;
		double line = 0, some = 0;

		for (int64_t j = 0; u[i] > 0 && j < k->width; j++) {
			line += v[j] * row[j];
			some += v[j];
		}
		if (k->same && !biased) {
			line -= v[i] * row[i];
			some -= v[i];
		}
		sum += u[i] * line;
		pairs += u[i] * some;
	}
	return sum / pairs;
}

void
kernel_bootstrap(const float *x, int64_t nx, const float *y, int64_t ny, int64_t d, bool clip,
    uint64_t seed, int64_t n, double *value)
{
	const struct rows a = { x, NULL, nx }, b = { y, NULL, ny };
	const enum which which = clip ? GAUSSIAN : POLYNOMIAL;
	struct kept xx = keep_all(&a, NULL, d, which), yy = keep_all(&b, NULL, d, which),
	            xy = keep_all(&a, &b, d, which);
	double *u = xmalloc((size_t)nx * sizeof(*u)), *v = xmalloc((size_t)ny * sizeof(*v));

	for (int64_t k = 0; k < n; k++) {
		struct rng r;

		rng_init(&r, seed, rng_stream("bootstrap kernel", NULL) + (uint64_t)k);
		weigh(&r, u, nx);
		weigh(&r, v, ny);
		value[k] = (clip ? cmmd_scale : 1) * (weighed(&xx, u, nx, u, clip) +
		    weighed(&yy, v, ny, v, clip) - 2 * weighed(&xy, u, nx, v, clip));
	}
	free(xx.v);
	free(yy.v);
	free(xy.v);
	free(u);
	free(v);
}

/* ---- probabilities --------------------------------------------------------------------------- */

void
inception_score(const double *p, int64_t n, int64_t c, int64_t splits, double *mean, double *std)
{
	double *all = xmalloc((size_t)c * sizeof(*all)), sum = 0, squares = 0;

	for (int64_t s = 0; s < splits; s++) {
		const int64_t from = s * n / splits, to = (s + 1) * n / splits;
		double kl = 0, score;

		for (int64_t k = 0; k < c; k++) {
			all[k] = 0;
			for (int64_t r = from; r < to; r++)
				all[k] += p[r * c + k];
			all[k] /= (double)(to - from);
		}
		for (int64_t r = from; r < to; r++)
			for (int64_t k = 0; k < c; k++)
				if (p[r * c + k] > 0)
					kl += p[r * c + k] * (log(p[r * c + k]) - log(all[k]));
		score = exp(kl / (double)(to - from));
		sum += score;
		squares += score * score;
	}
	*mean = sum / (double)splits;
	*std = sqrt(fmax(0, squares / (double)splits - *mean * *mean));
	free(all);
}

void
softmax_rows(const float *logits, int64_t n, int64_t c, double *p)
{
	for (int64_t r = 0; r < n; r++) {
		const float *l = logits + r * c;
		double most = -INFINITY, sum = 0;

		for (int64_t k = 0; k < c; k++)
			most = fmax(most, (double)l[k]);
		for (int64_t k = 0; k < c; k++)
			sum += p[r * c + k] = exp((double)l[k] - most);
		for (int64_t k = 0; k < c; k++)
			p[r * c + k] /= sum;
	}
}

double
mean_entropy(const double *p, int64_t n, int64_t c)
{
	double sum = 0;

	for (int64_t i = 0; i < n * c; i++)
		if (p[i] > 0)
			sum -= p[i] * log(p[i]);
	return sum / (double)n;
}
