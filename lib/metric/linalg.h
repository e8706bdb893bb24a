/*
 * Dense linear algebra in double precision on all cores, by BLAS and LAPACK. Matrices are row-major
 * and dense; sizes are below 2^31. What these routines compute does not depend on how the program
 * is called: BLAS takes as many threads as the machine has cores (OPENBLAS_NUM_THREADS says
 * otherwise).
 */
#ifndef METRIC_LINALG_H
#define METRIC_LINALG_H

#include <stdint.h>

/* c [m,n] = a [m,k] b [n,k]^T, in double and in single precision. */
void linalg_mul_nt(const double *a, const double *b, double *c, int64_t m, int64_t n, int64_t k);
void linalg_mul_nt_f32(const float *a, const float *b, float *c, int64_t m, int64_t n, int64_t k);
/* The upper triangle of c [d,d] += a [n,d]^T a. */
void linalg_add_gram(const double *a, double *c, int64_t n, int64_t d);
/* The lower triangle from the upper. */
void linalg_mirror(double *c, int64_t d);

/* Eigenvalues w [n], ascending, of the symmetric a [n,n], whose upper triangle is read; a's rows
 * become the eigenvectors, in the same order (dsyevd: divide and conquer). -1 with a message if it
 * does not converge, as with values that are not finite. */
int linalg_eigen(double *a, double *w, int64_t n);
/* The sum of the singular values of a [m,n], which is destroyed (dgesdd). -1 as above. */
int linalg_nuclear(double *a, int64_t m, int64_t n, double *sum);
/* A factor of the positive semidefinite a [n,n] (upper triangle): rows f [rank,n] with f^T f = a,
 * by Cholesky's method with pivots (dpstrf). It stops where what is left of the diagonal is below n
 * * 2^-53 times its largest element, so that a singular matrix has as many rows as its rank. a is
 * destroyed and f has room for n rows. -1 with a message: not positive semidefinite. */
int linalg_factor(double *a, double *f, int64_t n, int64_t *rank);

#endif
