/*
 * k-means: rows parted into k clusters so that the sum of squared distances to the clusters' means
 * (the inertia) is small (Lloyd, Least squares quantization in PCM, 1982), from means spread over
 * the data (Arthur and Vassilvitskii, k-means++, 2007; the best of several candidates at each
 * step).
 *
 *	struct kmeans m;
 *	if (kmeans_fit(&m, x, n, d, &(struct kmeans_opts){ .k = 33, .runs = 10, .iterations = 300,
 *	    .tolerance = 1e-4 })) return -1;
 *	... m.label[i], m.center, m.inertia ...
 *	kmeans_release(&m);
 *
 * Distances are worked out on the device, which must be open; means and sums on the host in double
 * precision. What comes out depends on data and seed alone, not on the number of threads.
 */
#ifndef METRIC_KMEANS_H
#define METRIC_KMEANS_H

#include <stdint.h>

struct kmeans_opts {
	int64_t k;
	int64_t runs;        /* from other first means each; the one of least inertia is taken */
	int64_t iterations;  /* at most (epochs, with batch) */
	/* ends when the means' squared shifts sum to less than this times the mean variance of the
	 * features (with batch: inertia gains less, relatively) */
	double tolerance;
	/* 0: whole data each time; else rows of a step (Sculley, Web-scale k-means clustering,
	 * 2010) */
	int64_t batch;
	uint64_t seed;
	const float *first;  /* [k,d]: begin there, once; NULL: k-means++ */
	void (*progress)(void *, int64_t run, int64_t iteration); /* or NULL */
	void *ctx;
};

struct kmeans {
	int64_t n, d, k;
	float *center;       /* [k,d] */
	int32_t *label;      /* [n] */
	int64_t *size;       /* [k] rows of each cluster */
	double inertia;
	int64_t iterations;  /* of the run that was taken */
};

/* x [n,d]. -1 with a message: more clusters than rows, values that are not finite. */
int kmeans_fit(struct kmeans *, const float *x, int64_t n, int64_t d, const struct kmeans_opts *);
/* Labels and inertia of x [n,d] for means that are known, center [k,d]. */
int kmeans_assign(struct kmeans *, const float *x, int64_t n, int64_t d, const float *center,
    int64_t k);
void kmeans_release(struct kmeans *);

#endif
