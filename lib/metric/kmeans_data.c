#include "metric/kmeans_data.h"

#include "base/err.h"
#include "base/mem.h"
#include "metric/linalg.h"
#include "metric/parallel.h"
#include "tensor/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows on the device in pieces of this size, far below what one binding may cover. */
static const size_t piece_bytes = (size_t)32 << 20;
/* Rows of one product of BLAS. */
enum { BLAS_ROWS = 2048 };

/* ---- loading ------------------------------------------------------------------------------ */

struct load {
	struct kdata *t;
	double *sum;   /* [PARTS][d] */
	double *total; /* [PARTS] */
	float *out;    /* rows of the piece that starts at `from`, or NULL */
	int64_t from;
};

static void
add_rows(void *vp, int64_t from, int64_t to, int part)
{
	struct load *l = vp;
	int64_t d = l->t->d;
	double *sum = l->sum + part * d;

	for (int64_t i = from; i < to; i++)
		for (int64_t k = 0; k < d; k++)
			sum[k] += l->t->x[i * d + k];
}

static void
measure_rows(void *vp, int64_t from, int64_t to, int part)
{
	struct load *l = vp;
	struct kdata *t = l->t;

	for (int64_t i = from; i < to; i++) {
		const float *x = t->x + i * t->d;
		double norm[4] = { 0 };
		int64_t k = 0;

		for (; k + 4 <= t->d; k += 4)
			for (int j = 0; j < 4; j++) {
				double v = x[k + j] - t->mean[k + j];

				norm[j] += v * v;
			}
		for (; k < t->d; k++)
			norm[0] += (x[k] - t->mean[k]) * (x[k] - t->mean[k]);
		t->norm[i] = (norm[0] + norm[1]) + (norm[2] + norm[3]);
		l->total[part] += t->norm[i];
	}
}

static void
centre_rows(void *vp, int64_t from, int64_t to, int part)
{
	struct load *l = vp;
	struct kdata *t = l->t;

	(void)part;
	for (int64_t i = from; i < to; i++)
		for (int64_t k = 0; k < t->d; k++)
			l->out[i * t->d + k] = (float)(t->x[(l->from + i) * t->d + k] - t->mean[k]);
}

/* The rows less the mean onto the device. */
static void
upload(struct kdata *t, struct load *l)
{
	t->rows = (int64_t)(piece_bytes / sizeof(float)) / t->d;
	t->rows = t->rows < 1 ? 1 : t->rows > t->n ? t->n : t->rows;
	t->npieces = (int)((t->n + t->rows - 1) / t->rows);
	t->piece = xcalloc((size_t)t->npieces, sizeof(*t->piece));
	l->out = xmalloc((size_t)(t->rows * t->d) * sizeof(*l->out));
	for (int p = 0; p < t->npieces; p++) {
		int64_t rows = p < t->npieces - 1 ? t->rows : t->n - l->from;

		parallel(rows, centre_rows, l);
		t->piece[p] = tensor_hold(tensor_from(F32, 2, (int64_t[]){ rows, t->d }, l->out));
		l->from += rows;
	}
	free(l->out);
}

bool
kdata_device(void)
{
	return !gpu_info()->cpu;
}

int
kdata_open(struct kdata *t, const float *x, int64_t n, int64_t d, bool on_device)
{
	struct load l = { .t = t };
	double total = 0, length = 0;

	*t = (struct kdata){ .x = x, .n = n, .d = d };
	t->mean = xcalloc((size_t)d, sizeof(*t->mean));
	t->norm = xmalloc((size_t)n * sizeof(*t->norm));
	l.sum = xcalloc((size_t)(PARALLEL_PARTS * d), sizeof(*l.sum));
	l.total = xcalloc(PARALLEL_PARTS, sizeof(*l.total));
	parallel(n, add_rows, &l);
	for (int p = 0; p < PARALLEL_PARTS; p++)
		for (int64_t k = 0; k < d; k++)
			t->mean[k] += l.sum[p * d + k] / (double)n;
	parallel(n, measure_rows, &l);
	for (int p = 0; p < PARALLEL_PARTS; p++)
		total += l.total[p];
	for (int64_t k = 0; k < d; k++)
		length += t->mean[k] * t->mean[k];
	t->variance = total / (double)n / (double)d;
	if (isfinite(total) && on_device) {
		upload(t, &l);
	} else if (isfinite(total) && length > 4 * total / (double)n) {
		/* single precision would be spent on the mean */
		l.out = t->own = xmalloc((size_t)(n * d) * sizeof(*t->own));
		parallel(n, centre_rows, &l);
	}
	free(l.sum);
	free(l.total);
	return isfinite(total) ? 0 : err("values that are not finite cannot be clustered");
}

void
kdata_close(struct kdata *t)
{
	for (int p = 0; p < t->npieces; p++)
		tensor_drop(t->piece[p]);
	free(t->piece);
	free(t->own);
	free(t->mean);
	free(t->norm);
}

/* ---- distances ---------------------------------------------------------------------------- */

/* What is added to products: -|c|^2/2, and what the mean's part in them comes to where it is in. */
static float *
biases(const struct kdata *t, const float *c, int64_t k, bool with_mean)
{
	float *b = xmalloc((size_t)k * sizeof(*b));

	for (int64_t i = 0; i < k; i++) {
		double sum = 0;

		for (int64_t j = 0; j < t->d; j++)
			sum += c[i * t->d + j] *
			    (c[i * t->d + j] / 2.0 + (with_mean ? t->mean[j] : 0));
		b[i] = (float)-sum;
	}
	return b;
}

/* Chosen rows, less the mean. */
static void
gather(const struct kdata *t, const int64_t *row, int64_t n, bool centred, float *out)
{
	const float *x = t->own ? t->own : t->x;

	for (int64_t i = 0; i < n; i++, out += t->d) {
		memcpy(out, x + row[i] * t->d, (size_t)t->d * sizeof(*out));
		for (int64_t k = 0; centred && k < t->d; k++)
			out[k] = (float)(out[k] - t->mean[k]);
	}
}

static void
scores_blas(const struct kdata *t, const int64_t *row, int64_t n, const float *c, int64_t k,
    kdata_take *take, void *ctx)
{
	const float *x = t->own ? t->own : t->x;
	float *b = biases(t, c, k, !t->own), *out = xmalloc((size_t)(BLAS_ROWS * k) * sizeof(*out));
	float *some = row ? xmalloc((size_t)(BLAS_ROWS * t->d) * sizeof(*some)) : NULL;

	for (int64_t at = 0; at < n; at += BLAS_ROWS) {
		int64_t m = n - at < BLAS_ROWS ? n - at : BLAS_ROWS;

		if (row)
			gather(t, row + at, m, false, some);
		linalg_mul_nt_f32(row ? some : x + at * t->d, c, out, m, k, t->d);
		for (int64_t i = 0; i < m; i++)
			for (int64_t j = 0; j < k; j++)
				out[i * k + j] += b[j];
		take(ctx, at, m, out);
	}
	free(b);
	free(out);
	free(some);
}

/* Some rows are handed over anew, all lie there. */
static void
scores_device(const struct kdata *t, const int64_t *row, int64_t n, const float *c, int64_t k,
    kdata_take *take, void *ctx)
{
	int pieces = (int)((n + t->rows - 1) / t->rows);
	struct tensor **y = xcalloc((size_t)pieces, sizeof(struct tensor *)), *w, *b;
	float *half = biases(t, c, k, false), *out = xmalloc((size_t)(t->rows * k) * sizeof(*out));
	float *some = row ? xmalloc((size_t)(t->rows * t->d) * sizeof(*some)) : NULL;
	bool grads = grads_set(false);

	scope_open();
	w = tensor_from(F32, 2, (int64_t[]){ k, t->d }, c);
	b = tensor_from(F32, 1, &k, half);
	for (int p = 0; p < pieces; p++) {
		int64_t at = p * t->rows, m = n - at < t->rows ? n - at : t->rows;

		if (row)
			gather(t, row + at, m, true, some);
		y[p] = op_linear(row ? tensor_from(F32, 2, (int64_t[]){ m, t->d }, some)
		    : t->piece[p], w, b);
	}
	gpu_flush();
	for (int p = 0; p < pieces; p++) {
		tensor_get(y[p], out);
		take(ctx, p * t->rows, y[p]->dim[0], out);
	}
	scope_close();
	grads_set(grads);
	free(y);
	free(half);
	free(out);
	free(some);
}

void
kdata_scores(const struct kdata *t, const int64_t *row, int64_t n, const float *c, int64_t k,
    kdata_take *take, void *ctx)
{
	(t->piece ? scores_device : scores_blas)(t, row, n, c, k, take, ctx);
}

struct distances {
	const struct kdata *t;
	const double *center;
	const int32_t *label;
	double *each;
	double sum[PARALLEL_PARTS];
};

static void
add_distances(void *vp, int64_t from, int64_t to, int part)
{
	struct distances *s = vp;
	const struct kdata *t = s->t;

	for (int64_t i = from; i < to; i++) {
		const float *x = t->x + i * t->d;
		const double *c = s->center + s->label[i] * t->d;
		double sum = 0;

		for (int64_t k = 0; k < t->d; k++) {
			double v = x[k] - t->mean[k] - c[k];

			sum += v * v;
		}
		if (s->each)
			s->each[i] = sum;
		s->sum[part] += sum;
	}
}

double
kdata_inertia(const struct kdata *t, const double *center, const int32_t *label, double *each)
{
	struct distances s = { .t = t, .center = center, .label = label, .each = each };
	double sum = 0;

	parallel(t->n, add_distances, &s);
	for (int p = 0; p < PARALLEL_PARTS; p++)
		sum += s.sum[p];
	return sum;
}
