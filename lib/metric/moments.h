/*
 * Mean and covariance of rows, gathered block by block in double precision, and merged: what shards
 * gathered together is what one run gathers (Chan, Golub and LeVeque, 1983), to rounding.
 *
 *	struct moments m;
 *	moments_init(&m, d);
 *	moments_add(&m, rows, n);              as often as there are rows
 *	moments_merge(&m, &other);
 *	moments_release(&m);
 *
 * Memory: d * d * 8 bytes.
 */
#ifndef METRIC_MOMENTS_H
#define METRIC_MOMENTS_H

#include <stdint.h>

struct moments {
	int64_t n, d;
	double *mean;  /* [d] */
	double *m2;    /* [d,d], upper triangle: sum of (x - mean)(x - mean)^T */
};

void moments_init(struct moments *, int64_t d);
/* x: [n,d]; pick: the n rows of x that are meant, or NULL for the first n. */
void moments_add(struct moments *, const float *x, const int64_t *pick, int64_t n);
void moments_merge(struct moments *, const struct moments *other); /* of the same d */
/* mean and covariance of n rows as another program has them (sigma: [d,d], divided by n-1). */
void moments_set(struct moments *, int64_t n, const double *mean, const double *sigma);
/* The covariance [d,d], whole, divided by n - ddof (0 where that is not positive). */
void moments_sigma(const struct moments *, int ddof, double *sigma);
void moments_release(struct moments *);

#endif
