/*
 * How far rows lie from the distribution of others: principal components of the reference rows, the
 * squared Mahalanobis distance in these, and the probability that a normal distribution shows one
 * as far (chi-squared with as many degrees of freedom as components).
 *
 *	struct outlier o;
 *	if (outlier_fit(&o, real, n, d, 64)) return -1;
 *	outlier_score(&o, generated, m, d2, p);
 *	outlier_release(&o);
 */
#ifndef METRIC_OUTLIER_H
#define METRIC_OUTLIER_H

#include <stdint.h>

struct outlier {
	int64_t d, k;     /* features, components */
	double *mean;     /* [d] */
	double *axis;     /* [k,d]: components divided by the deviation along them */
};

/* Fits at most k components to x [n,d]: as many as vary, at most n - 1 and d. -1 with a message:
 * fewer than two rows, nothing varies, or values that are not finite. */
int outlier_fit(struct outlier *, const float *x, int64_t n, int64_t d, int64_t k);
/* d2 [n], p [n] of y [n,d]. */
void outlier_score(const struct outlier *, const float *y, int64_t n, double *d2, double *p);
void outlier_release(struct outlier *);

/* The probability that chi-squared with df >= 1 degrees of freedom exceeds x: Q(df/2, x/2), the
 * regularised upper incomplete gamma function (its series below df/2 + 1, Lentz's continued
 * fraction above). */
double chi2_survival(double x, double df);

#endif
