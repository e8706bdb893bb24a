/* What k-means needs of its data: distances of all rows, or of some, from a few points. */
#ifndef METRIC_KMEANS_DATA_H
#define METRIC_KMEANS_DATA_H

#include "tensor/tensor.h"

#include <stdint.h>

/* The device holds the rows less their mean, in pieces; or, where the device is the CPU itself, the
 * products are BLAS's, which work on the rows where they lie (or on a copy less the mean, where
 * that is large). */
struct kdata {
	const float *x;        /* [n,d] */
	int64_t n, d;
	double *mean;          /* [d] */
	double *norm;          /* [n]: squared length less the mean */
	double variance;       /* mean of the features' */
	float *own;            /* [n,d] less the mean, or NULL */
	struct tensor **piece; /* or NULL */
	int64_t rows;          /* of a piece */
	int npieces;
};

/* -1 with a message if values are not finite; close it then too. */
int kdata_open(struct kdata *, const float *x, int64_t n, int64_t d, bool on_device);
/* Is the device the faster place here? */
bool kdata_device(void);
void kdata_close(struct kdata *);

/* x.c - |c|^2/2 for points c [k,d] (less the mean): the larger, the nearer. row [n]: only these
 * rows, NULL: all n. take is called for [at, at + rows) of row, in order, with score [rows,k]. */
typedef void kdata_take(void *ctx, int64_t at, int64_t rows, const float *score);
void kdata_scores(const struct kdata *, const int64_t *row, int64_t n, const float *c, int64_t k,
    kdata_take *, void *ctx);
/* The sum of the rows' squared distances from center [k,d] (less the mean) of their label, from the
 * differences in double precision; each [n] or NULL. */
double kdata_inertia(const struct kdata *, const double *center, const int32_t *label,
    double *each);

#endif
