#include "metric/kmeans.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/order.h"
#include "base/rng.h"
#include "metric/kmeans_first.h"
#include "metric/parallel.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Epochs of mini-batches that may bring nothing. */
static const int64_t patience = 10;

/* ---- Lloyd's steps ------------------------------------------------------------------------ */

struct state {
	const struct kdata *t;
	int64_t k;
	float *c;             /* [k,d] less the mean */
	double *center;       /* the same in double */
	double *shift;        /* [k]: how far the means moved last */
	double *sum;          /* [k,d] of the rows as they come */
	double *part;         /* [PARTS][k,d] changes of it */
	int64_t *count;       /* [k] */
	int32_t *label, *old; /* [n]; old -1: in no cluster yet */
	/* Of each row: no more than upper from its mean, no less than lower from all others
	 * (Hamerly, Making k-means even faster, 2010). Rows whose bounds leave no doubt are not
	 * looked at. */
	double *upper, *lower;
	int64_t *doubt, ndoubt; /* the others */
	double slack;         /* squared: what single precision leaves open */
	int64_t changed;
};

static void
take_labels(void *vp, int64_t at, int64_t rows, const float *score)
{
	struct state *s = vp;

	for (int64_t i = 0; i < rows; i++, score += s->k) {
		int64_t row = s->ndoubt < s->t->n ? s->doubt[at + i] : at + i;
		float best = score[0], next = -FLT_MAX;
		int32_t label = 0;

		for (int32_t c = 1; c < s->k; c++) {
			if (score[c] > best) {
				next = best;
				best = score[c];
				label = c;
			} else if (score[c] > next) {
				next = score[c];
			}
		}
		s->changed += s->label[row] != label;
		s->label[row] = label;
		s->upper[row] = sqrt(fmax(0, s->t->norm[row] - 2.0 * best) + s->slack);
		s->lower[row] = sqrt(fmax(0, s->t->norm[row] - 2.0 * next - s->slack));
	}
}

/* Half the way from each mean to the nearest other. */
static double *
half_gaps(const struct state *s)
{
	double *gap = xmalloc((size_t)s->k * sizeof(*gap));
	int64_t d = s->t->d;

	for (int64_t i = 0; i < s->k; i++)
		gap[i] = INFINITY;
	for (int64_t i = 0; i < s->k; i++)
		for (int64_t j = 0; j < i; j++) {
			double sum = 0;

			for (int64_t k = 0; k < d; k++) {
				double v = s->center[i * d + k] - s->center[j * d + k];

				sum += v * v;
			}
			gap[i] = fmin(gap[i], sqrt(sum) / 2);
			gap[j] = fmin(gap[j], sqrt(sum) / 2);
		}
	return gap;
}

/* The rows that may have another nearest mean now. */
static void
find_doubt(struct state *s)
{
	double first = 0, second = 0, *gap;

	s->ndoubt = 0;
	if (s->label[0] < 0) {
		s->ndoubt = s->t->n;
		return;
	}
	for (int64_t c = 0; c < s->k; c++) {
		if (s->shift[c] > first) {
			second = first;
			first = s->shift[c];
		} else {
			second = fmax(second, s->shift[c]);
		}
	}
	gap = half_gaps(s);
	for (int64_t i = 0; i < s->t->n; i++) {
		int32_t l = s->label[i];

		s->upper[i] += s->shift[l];
		s->lower[i] -= s->shift[l] < first ? first : second;
		if (s->upper[i] >= fmax(s->lower[i], gap[l]))
			s->doubt[s->ndoubt++] = i;
	}
	free(gap);
}

/* Each row's nearest mean; returns how many labels changed. */
static int64_t
assign(struct state *s)
{
	const struct kdata *t = s->t;
	double largest = 0, norm;

	for (int64_t c = 0; c < s->k; c++) {
		norm = 0;
		for (int64_t k = 0; k < t->d; k++)
			norm += s->center[c * t->d + k] * s->center[c * t->d + k];
		largest = fmax(largest, norm);
	}
	s->slack = 4e-6 * (t->variance * (double)t->d + largest);
	s->changed = 0;
	find_doubt(s);
	kdata_scores(t, s->ndoubt < t->n ? s->doubt : NULL, s->ndoubt, s->c, s->k, take_labels, s);
	return s->changed;
}

static void
move_rows(void *vp, int64_t from, int64_t to, int part)
{
	struct state *s = vp;
	int64_t d = s->t->d;
	double *sum = s->part + part * s->k * d;

	memset(sum, 0, (size_t)(s->k * d) * sizeof(*sum));
	for (int64_t i = from; i < to; i++) {
		const float *x = s->t->x + i * d;
		double *in = sum + s->label[i] * d, *out = s->old[i] < 0 ? NULL : sum + s->old[i] *
		    d;

		if (s->label[i] == s->old[i])
			continue;
		for (int64_t k = 0; k < d; k++)
			in[k] += x[k];
		for (int64_t k = 0; out && k < d; k++)
			out[k] -= x[k];
	}
}

/* The sums follow the rows that changed clusters. */
static void
update_sums(struct state *s)
{
	size_t n = (size_t)(s->k * s->t->d);

	parallel(s->t->n, move_rows, s);
	for (int p = 0; p < PARALLEL_PARTS; p++)
		for (size_t i = 0; i < n; i++)
			s->sum[i] += s->part[(size_t)p * n + i];
	memset(s->count, 0, (size_t)s->k * sizeof(*s->count));
	for (int64_t i = 0; i < s->t->n; i++)
		s->count[s->label[i]]++;
	memcpy(s->old, s->label, (size_t)s->t->n * sizeof(*s->old));
}

/* An empty cluster takes the row that is farthest from its own mean. sum, count: of this step
 * only. */
static void
fill_empty(struct state *s, double *sum, int64_t *count)
{
	double *each = NULL;
	int64_t d = s->t->d;

	for (int64_t c = 0; c < s->k; c++) {
		int64_t row, from;

		if (count[c])
			continue;
		if (!each) {
			each = xmalloc((size_t)s->t->n * sizeof(*each));
			kdata_inertia(s->t, s->center, s->label, each);
		}
		row = order_largest(each, s->t->n);
		each[row] = -1;
		from = s->label[row];
		for (int64_t k = 0; k < d; k++) {
			sum[c * d + k] = s->t->x[row * d + k];
			sum[from * d + k] -= s->t->x[row * d + k];
		}
		count[c] = 1;
		count[from]--;
	}
	free(each);
}

/* New means of the labelled rows; returns the sum of their squared shifts. */
static double
move_means(struct state *s)
{
	size_t bytes = (size_t)(s->k * s->t->d) * sizeof(double);
	double *sum = xmalloc(bytes), total = 0;
	int64_t *count = xmalloc((size_t)s->k * sizeof(*count)), d = s->t->d;

	memcpy(sum, s->sum, bytes);
	memcpy(count, s->count, (size_t)s->k * sizeof(*count));
	fill_empty(s, sum, count);
	for (int64_t c = 0; c < s->k; c++) {
		double shift = 0;

		for (int64_t k = 0; count[c] > 0 && k < d; k++) {
			double m = sum[c * d + k] / (double)count[c] - s->t->mean[k],
			       v = m - s->center[c * d + k];

			shift += v * v;
			s->center[c * d + k] = m;
			s->c[c * d + k] = (float)m;
		}
		s->shift[c] = sqrt(shift);
		total += shift;
	}
	free(sum);
	free(count);
	return total;
}

static void
state_open(struct state *s, const struct kdata *t, int64_t k)
{
	size_t n = (size_t)(k * t->d);

	*s = (struct state){ .t = t, .k = k };
	s->c = xmalloc(n * sizeof(*s->c));
	s->center = xmalloc(n * sizeof(*s->center));
	s->sum = xmalloc(n * sizeof(*s->sum));
	s->part = xmalloc(PARALLEL_PARTS * n * sizeof(*s->part));
	s->shift = xcalloc((size_t)k, sizeof(*s->shift));
	s->upper = xmalloc((size_t)t->n * sizeof(*s->upper));
	s->lower = xmalloc((size_t)t->n * sizeof(*s->lower));
	s->doubt = xmalloc((size_t)t->n * sizeof(*s->doubt));
	s->count = xcalloc((size_t)k, sizeof(*s->count));
	s->label = xmalloc((size_t)t->n * sizeof(*s->label));
	s->old = xmalloc((size_t)t->n * sizeof(*s->old));
}

/* From the means in s->c. */
static void
state_reset(struct state *s)
{
	size_t n = (size_t)(s->k * s->t->d);

	memset(s->sum, 0, n * sizeof(*s->sum));
	for (size_t i = 0; i < n; i++)
		s->center[i] = s->c[i];
	for (int64_t i = 0; i < s->t->n; i++)
		s->label[i] = s->old[i] = -1;
}

static void
state_close(struct state *s)
{
	free(s->c);
	free(s->center);
	free(s->sum);
	free(s->shift);
	free(s->upper);
	free(s->lower);
	free(s->doubt);
	free(s->part);
	free(s->count);
	free(s->label);
	free(s->old);
}

static int64_t
lloyd(struct state *s, const struct kmeans_opts *o, int64_t run)
{
	double tolerance = o->tolerance * s->t->variance;

	for (int64_t it = 1; it <= o->iterations; it++) {
		int64_t changed = assign(s);
		double shift;

		if (o->progress)
			o->progress(o->ctx, run, it);
		update_sums(s);
		shift = move_means(s);
		if (!changed)
			return it;
		if (shift <= tolerance || it == o->iterations) {
			assign(s);
			return it;
		}
	}
	return 0;
}

/* ---- mini-batches ------------------------------------------------------------------------- */

/* Rows drawn at random, as data of their own. */
static void
sample(const struct kdata *t, int64_t n, struct rng *r, float *out)
{
	for (int64_t i = 0; i < n; i++)
		memcpy(out + i * t->d, t->x + (int64_t)rng_below(r, (uint64_t)t->n) * t->d,
		    (size_t)t->d * sizeof(*out));
}

struct nearest {
	int32_t *label;
	int64_t k;
};

static void
take_nearest(void *vp, int64_t at, int64_t rows, const float *score)
{
	struct nearest *a = vp;

	for (int64_t i = 0; i < rows; i++, score += a->k) {
		int32_t best = 0;

		for (int32_t c = 1; c < a->k; c++)
			if (score[c] > score[best])
				best = c;
		a->label[at + i] = best;
	}
}

/* One step: each mean moves towards the batch's rows that it is nearest to, the less the more rows
 * it has seen. Returns the batch's inertia before. The means here are those of the rows as they
 * come. */
static double
step(struct state *s, const float *rows, int64_t n, int64_t *seen)
{
	struct nearest a = { .label = s->label, .k = s->k };
	int64_t d = s->t->d;
	struct kdata b;
	double inertia = 0;

	kdata_open(&b, rows, n, d, kdata_device());
	for (int64_t i = 0; i < s->k * d; i++)
		s->c[i] = (float)(s->center[i] - b.mean[i % d]);
	kdata_scores(&b, NULL, n, s->c, s->k, take_nearest, &a);
	for (int64_t i = 0; i < n; i++) {
		int32_t c = s->label[i];
		double rate = 1.0 / (double)++seen[c];

		for (int64_t k = 0; k < d; k++) {
			double v = rows[i * d + k] - s->center[c * d + k];

			inertia += v * v;
			s->center[c * d + k] += rate * v;
		}
	}
	kdata_close(&b);
	return inertia;
}

/* From the means in s->c; leaves them and the labels of all rows. */
static int64_t
mini_batches(struct state *s, const struct kmeans_opts *o, int64_t run, struct rng *r)
{
	const struct kdata *t = s->t;
	int64_t steps = (t->n + o->batch - 1) / o->batch,
	        *seen = xcalloc((size_t)s->k, sizeof(*seen)), it = 0;
	float *rows = xmalloc((size_t)(o->batch * t->d) * sizeof(*rows));
	double least = INFINITY;
	int64_t since = 0; /* epochs without gain */

	for (int64_t i = 0; i < s->k * t->d; i++)
		s->center[i] = s->c[i] + t->mean[i % t->d];
	while (it < o->iterations && since < patience) {
		double sum = 0;

		it++;
		for (int64_t i = 0; i < steps; i++) {
			sample(t, o->batch, r, rows);
			sum += step(s, rows, o->batch, seen);
		}
		if (o->progress)
			o->progress(o->ctx, run, it);
		since = sum < least * (1 - o->tolerance) ? 0 : since + 1;
		least = fmin(least, sum);
	}
	for (int64_t i = 0; i < s->k * t->d; i++) {
		s->center[i] -= t->mean[i % t->d];
		s->c[i] = (float)s->center[i];
	}
	for (int64_t i = 0; i < t->n; i++)
		s->label[i] = -1;
	/* one step with all rows takes out what the last batches left to chance */
	assign(s);
	update_sums(s);
	move_means(s);
	assign(s);
	free(rows);
	free(seen);
	return it;
}

/* ---- runs --------------------------------------------------------------------------------- */

/* k-means++ on a part of the data is enough for mini-batches. */
static void
first_means(struct state *s, const struct kmeans_opts *o, struct rng *r)
{
	const struct kdata *t = s->t;
	int64_t n = 3 * (o->batch > o->k ? o->batch : o->k);
	struct kdata part;
	float *rows;

	if (o->first) {
		for (int64_t i = 0; i < o->k * t->d; i++)
			s->c[i] = (float)(o->first[i] - t->mean[i % t->d]);
		return;
	}
	if (!o->batch || n >= t->n) {
		kmeans_spread(t, s->c, o->k, r);
		return;
	}
	rows = xmalloc((size_t)(n * t->d) * sizeof(*rows));
	sample(t, n, r, rows);
	kdata_open(&part, rows, n, t->d, kdata_device());
	kmeans_spread(&part, s->c, o->k, r);
	for (int64_t i = 0; i < o->k * t->d; i++)
		s->c[i] = (float)(s->c[i] + part.mean[i % t->d] - t->mean[i % t->d]);
	kdata_close(&part);
	free(rows);
}

/* The state as a result, if it is better than what there is. */
static void
keep_best(struct kmeans *m, const struct state *s, int64_t iterations)
{
	double inertia = kdata_inertia(s->t, s->center, s->label, NULL);

	if (m->center && !(inertia < m->inertia))
		return;
	if (!m->center) {
		m->center = xmalloc((size_t)(m->k * m->d) * sizeof(*m->center));
		m->label = xmalloc((size_t)m->n * sizeof(*m->label));
		m->size = xmalloc((size_t)m->k * sizeof(*m->size));
	}
	m->inertia = inertia;
	m->iterations = iterations;
	for (int64_t i = 0; i < m->k * m->d; i++)
		m->center[i] = (float)(s->center[i] + s->t->mean[i % m->d]);
	memcpy(m->label, s->label, (size_t)m->n * sizeof(*m->label));
	memset(m->size, 0, (size_t)m->k * sizeof(*m->size));
	for (int64_t i = 0; i < m->n; i++)
		m->size[m->label[i]]++;
}

int
kmeans_fit(struct kmeans *m, const float *x, int64_t n, int64_t d, const struct kmeans_opts *o)
{
	struct state s;
	struct kdata t;
	int64_t runs = o->first ? 1 : o->runs;

	*m = (struct kmeans){ .n = n, .d = d, .k = o->k };
	if (o->k < 1 || o->k > n)
		return err("%lld clusters of %lld rows", (long long)o->k, (long long)n);
	if (kdata_open(&t, x, n, d, kdata_device())) {
		kdata_close(&t);
		return -1;
	}
	state_open(&s, &t, o->k);
	for (int64_t run = 0; run < runs; run++) {
		struct rng r;
		int64_t it;

		rng_init(&r, o->seed + (uint64_t)run, rng_stream("k-means", NULL));
		first_means(&s, o, &r);
		state_reset(&s);
		it = o->batch && o->batch < n ? mini_batches(&s, o, run, &r) : lloyd(&s, o, run);
		keep_best(m, &s, it);
	}
	state_close(&s);
	kdata_close(&t);
	return 0;
}

int
kmeans_assign(struct kmeans *m, const float *x, int64_t n, int64_t d, const float *center,
    int64_t k)
{
	struct state s;
	struct kdata t;
	int ret;

	*m = (struct kmeans){ .n = n, .d = d, .k = k };
	ret = kdata_open(&t, x, n, d, kdata_device());
	if (!ret) {
		state_open(&s, &t, k);
		for (int64_t i = 0; i < k * d; i++)
			s.c[i] = (float)(center[i] - t.mean[i % d]);
		state_reset(&s);
		assign(&s);
		keep_best(m, &s, 0);
		state_close(&s);
	}
	kdata_close(&t);
	return ret;
}

void
kmeans_release(struct kmeans *m)
{
	free(m->center);
	free(m->label);
	free(m->size);
	*m = (struct kmeans){ 0 };
}
