#include "metric/kmeans_first.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct spread {
	const struct kdata *t;
	double *near;   /* [n]: squared distance to the nearest chosen so far */
	double *far;    /* [trials][n]: the same with each candidate chosen too */
	double gain[16];
	int64_t trials;
};

static void
take_spread(void *vp, int64_t from, int64_t rows, const float *score)
{
	struct spread *s = vp;

	for (int64_t i = 0; i < rows; i++)
		for (int64_t j = 0; j < s->trials; j++) {
			double d2 =
			    fmax(0, s->t->norm[from + i] - 2 * (double)score[i * s->trials + j]);

			d2 = fmin(d2, s->near[from + i]);
			s->far[j * s->t->n + from + i] = d2;
			s->gain[j] += d2;
		}
}

static void
copy_row(const struct kdata *t, int64_t row, float *out)
{
	for (int64_t k = 0; k < t->d; k++)
		out[k] = (float)(t->x[row * t->d + k] - t->mean[k]);
}

/* A row with probability proportional to near. */
static int64_t
draw_row(const struct spread *s, double total, struct rng *r)
{
	double at = rng_double(r) * total, sum = 0;

	for (int64_t i = 0; i < s->t->n; i++) {
		sum += s->near[i];
		if (sum > at)
			return i;
	}
	return s->t->n - 1;
}

void
kmeans_spread(const struct kdata *t, float *c, int64_t k, struct rng *r)
{
	struct spread s = { .t = t, .trials = 2 + (int64_t)log((double)k) };
	float *candidate;
	double total = INFINITY;

	s.trials = s.trials > 16 ? 16 : s.trials;
	s.near = xmalloc((size_t)t->n * sizeof(*s.near));
	s.far = xmalloc((size_t)(s.trials * t->n) * sizeof(*s.far));
	candidate = xmalloc((size_t)(s.trials * t->d) * sizeof(*candidate));
	for (int64_t i = 0; i < t->n; i++)
		s.near[i] = INFINITY;
	for (int64_t m = 0; m < k; m++) {
		int64_t trials = m ? s.trials : 1, best = 0, was = s.trials;

		for (int64_t j = 0; j < trials; j++)
			copy_row(t, m ? draw_row(&s, total, r)
			    : (int64_t)rng_below(r, (uint64_t)t->n), candidate + j * t->d);
		memset(s.gain, 0, sizeof(s.gain));
		s.trials = trials;
		kdata_scores(t, NULL, t->n, candidate, trials, take_spread, &s);
		s.trials = was;
		for (int64_t j = 1; j < trials; j++)
			if (s.gain[j] < s.gain[best])
				best = j;
		total = s.gain[best];
		memcpy(s.near, s.far + best * t->n, (size_t)t->n * sizeof(*s.near));
		memcpy(c + m * t->d, candidate + best * t->d, (size_t)t->d * sizeof(*c));
	}
	free(s.near);
	free(s.far);
	free(candidate);
}
