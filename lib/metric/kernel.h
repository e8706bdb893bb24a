/*
 * Distances of two sets of features by kernels, and the Inception Score.
 *
 * The squared maximum mean discrepancy of rows x and y under a kernel k is
 * mean k(x,x') + mean k(y,y') - 2 mean k(x,y); unbiased without the pairs of a row with itself.
 *
 *	KID    k = (x.y/d + 1)^3, unbiased, mean over subsets (Binkowski et al., Demystifying MMD
 *	GANs, 2018) CMMD   k = exp(-|x-y|^2 / (2 sigma^2)) of unit vectors, all pairs, sigma 10,
 *	times 1000 (Jayasumana
 *	       et al., Rethinking FID, 2024)
 */
#ifndef METRIC_KERNEL_H
#define METRIC_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

struct kid {
	/* of the subsets: mean, deviation (divided by n), std / sqrt(subsets) */
	double value, std, se;
	int64_t subsets, size;     /* as done */
};

/* Unbiased, of rows px [m] of x [.,d] and py [m] of y [.,d]; NULL: the first m. m >= 2. */
double kid_of(const float *x, const int64_t *px, const float *y, const int64_t *py, int64_t m,
    int64_t d);
/* The same of all rows. nx, ny >= 2. */
double kid_all(const float *x, int64_t nx, const float *y, int64_t ny, int64_t d);
/* The mean over subsets of `size` rows each, drawn without repetition by (seed, number of the
 * subset). Where that is all there is (size >= nx and ny), all rows once, and std and se are
 * NAN. */
void kid(const float *x, int64_t nx, const float *y, int64_t ny, int64_t d, int64_t subsets,
    int64_t size, uint64_t seed, struct kid *);

/* x [nx,d], y [ny,d], any length but 0: they are divided by it. -1 with a message if one is 0. */
int cmmd(const float *x, int64_t nx, const float *y, int64_t ny, int64_t d, double *value);

/* n values of KID, or with clip of CMMD, of rows that are drawn anew from each set, as many as it
 * has, with repetition (copies of a row are no pair for KID). Only where the kernels of all pairs
 * can be kept. */
bool kernels_fit(int64_t nx, int64_t ny); /* 8192 rows together */
void kernel_bootstrap(const float *x, int64_t nx, const float *y, int64_t ny, int64_t d, bool clip,
    uint64_t seed, int64_t n, double *value);

/* The Inception Score (Salimans et al., 2016): exp of the mean over rows of KL(p(row) || mean p),
 * for each of `splits` runs of rows; mean and deviation (divided by splits) of these. p: [n,c]
 * shares of 1; n >= splits. */
void inception_score(const double *p, int64_t n, int64_t c, int64_t splits, double *mean,
    double *std);
/* softmax of logits [n,c] in double precision. */
void softmax_rows(const float *logits, int64_t n, int64_t c, double *p);
/* Mean over rows of -sum p log p. */
double mean_entropy(const double *p, int64_t n, int64_t c);

#endif
