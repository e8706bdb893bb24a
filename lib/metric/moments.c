#include "metric/moments.h"

#include "base/mem.h"
#include "metric/linalg.h"

#include <stdlib.h>
#include <string.h>

/* Rows that are centred on their own mean and added in one product: long enough for BLAS, short
 * enough to stay in the cache. */
enum { BLOCK = 256 };

void
moments_init(struct moments *m, int64_t d)
{
	*m = (struct moments){ .d = d };
	m->mean = xcalloc((size_t)d, sizeof(*m->mean));
	m->m2 = xcalloc((size_t)d * (size_t)d, sizeof(*m->m2));
}

void
moments_release(struct moments *m)
{
	free(m->mean);
	free(m->m2);
	*m = (struct moments){ 0 };
}

/* Takes in the mean of n more rows whose own m2 is in m->m2 already:
 * m2 += delta delta^T n0 n / (n0 + n), mean += delta n / (n0 + n). */
static void
shift(struct moments *m, const double *mean, int64_t n)
{
	const double n0 = (double)m->n, n1 = (double)n, all = n0 + n1, share = n0 * n1 / all;
	double *delta = xmalloc((size_t)m->d * sizeof(*delta));

	for (int64_t i = 0; i < m->d; i++)
		delta[i] = mean[i] - m->mean[i];
	if (m->n)
		for (int64_t i = 0; i < m->d; i++)
			for (int64_t j = i; j < m->d; j++)
				m->m2[i * m->d + j] += share * delta[i] * delta[j];
	for (int64_t i = 0; i < m->d; i++)
		m->mean[i] += delta[i] * (n1 / all);
	m->n += n;
	free(delta);
}

void
moments_add(struct moments *m, const float *x, const int64_t *pick, int64_t n)
{
	double *block = xmalloc((size_t)BLOCK * (size_t)m->d * sizeof(*block));
	double *mean = xmalloc((size_t)m->d * sizeof(*mean));

	for (int64_t at = 0; at < n; at += BLOCK) {
		const int64_t rows = n - at < BLOCK ? n - at : BLOCK;

		memset(mean, 0, (size_t)m->d * sizeof(*mean));
		for (int64_t r = 0; r < rows; r++) {
			const float *row = x + (pick ? pick[at + r] : at + r) * m->d;

			for (int64_t i = 0; i < m->d; i++)
				mean[i] += (double)row[i];
		}
		for (int64_t i = 0; i < m->d; i++)
			mean[i] /= (double)rows;
		for (int64_t r = 0; r < rows; r++) {
			const float *row = x + (pick ? pick[at + r] : at + r) * m->d;

			for (int64_t i = 0; i < m->d; i++)
				block[r * m->d + i] = (double)row[i] - mean[i];
		}
		linalg_add_gram(block, m->m2, rows, m->d);
		shift(m, mean, rows);
	}
	free(block);
	free(mean);
}

void
moments_merge(struct moments *m, const struct moments *other)
{
	if (!other->n)
		return;
	for (int64_t i = 0; i < m->d; i++)
		for (int64_t j = i; j < m->d; j++)
			m->m2[i * m->d + j] += other->m2[i * m->d + j];
	shift(m, other->mean, other->n);
}

void
moments_set(struct moments *m, int64_t n, const double *mean, const double *sigma)
{
	const size_t d = (size_t)m->d;

	m->n = n;
	memcpy(m->mean, mean, d * sizeof(*mean));
	for (size_t i = 0; i < d * d; i++)
		m->m2[i] = sigma[i] * (double)(n - 1);
}

void
moments_sigma(const struct moments *m, int ddof, double *sigma)
{
	const size_t all = (size_t)m->d * (size_t)m->d;
	const double by = (double)(m->n - ddof);

	for (size_t i = 0; i < all; i++)
		sigma[i] = by > 0 ? m->m2[i] / by : 0;
	linalg_mirror(sigma, m->d);
}
