/*
 * The Fréchet distance of two normal distributions (Dowson and Landau, 1982; Heusel et al., GANs
 * trained by a two time-scale update rule, 2017):
 *
 *	|mu1 - mu2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)
 *
 * With S1 = F1^T F1 and S2 = F2^T F2, S1 S2 has the eigenvalues of (F1 F2^T)(F1 F2^T)^T, so the
 * last trace is the sum of the singular values of F1 F2^T. Nothing is squared on the way, so this
 * is exact to rounding where S1 S2 is singular too: with fewer rows than features the centred rows
 * themselves are the factor, and the matrix is no larger than n1 by n2.
 *
 *	struct gauss a, b;
 *	gauss_from_rows(&a, x, NULL, n, d, 1)
 *	gauss_from_sigma(&b, mu, sigma, d)
 *	frechet(&a, &b, &f)
 *	gauss_release(&a); gauss_release(&b);
 */
#ifndef METRIC_FRECHET_H
#define METRIC_FRECHET_H

#include "metric/moments.h"

#include <stddef.h>

struct gauss {
	int64_t d, rank;
	double *mu;    /* [d] */
	double *f;     /* [rank,d]: f^T f is the covariance */
	double trace;
};

struct frechet {
	double mean_term, trace1, trace2, tr_sqrt, distance;
};

/* Of n >= 1 rows of x [.,d]; pick: which rows, or NULL for the first n. ddof 1 divides by n-1, 0 by
 * n. The covariance of one row is 0. -1 with a message if values are not finite. */
int gauss_from_rows(struct gauss *, const float *x, const int64_t *pick, int64_t n, int64_t d,
    int ddof);
/* Of moments, or of a mean [d] and a covariance [d,d]. -1 with a message if that is none. */
int gauss_from_moments(struct gauss *, const struct moments *, int ddof);
int gauss_from_sigma(struct gauss *, const double *mu, const double *sigma, int64_t d);
void gauss_release(struct gauss *);

/* Both of the same d. A distance that rounding makes negative is 0. -1 with a message. */
int frechet(const struct gauss *, const struct gauss *, struct frechet *);

#endif
