#include "metric/linalg.h"

#include "base/err.h"
#include "base/mem.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* LAPACK and BLAS as Fortran has them: column-major, so that a row-major matrix is its transpose.
 * The lengths of the character arguments, which come last, are those of one letter each. */
void dgemm_(const char *, const char *, const int *, const int *, const int *, const double *,
    const double *, const int *, const double *, const int *, const double *, double *, const int *,
    size_t, size_t);
void sgemm_(const char *, const char *, const int *, const int *, const int *, const float *,
    const float *, const int *, const float *, const int *, const float *, float *, const int *,
    size_t, size_t);
void dsyrk_(const char *, const char *, const int *, const int *, const double *, const double *,
    const int *, const double *, double *, const int *, size_t, size_t);
void dsyevd_(const char *, const char *, const int *, double *, const int *, double *, double *,
    const int *, int *, const int *, int *, size_t, size_t);
void dgesdd_(const char *, const int *, const int *, double *, const int *, double *, double *,
    const int *, double *, const int *, double *, const int *, int *, int *, size_t);
void dpstrf_(const char *, const int *, double *, const int *, int *, int *, const double *,
    double *, int *, size_t);

static int
dim(int64_t n)
{
	if (n < 0 || n > INT_MAX)
		die("a matrix of %lld rows or columns", (long long)n);
	return (int)n;
}

void
linalg_mul_nt(const double *a, const double *b, double *c, int64_t m, int64_t n, int64_t k)
{
	const int mi = dim(m), ni = dim(n), ki = dim(k);
	const double one = 1, zero = 0;

	if (m && n)
		dgemm_("T", "N", &ni, &mi, &ki, &one, b, &ki, a, &ki, &zero, c, &ni, 1, 1);
}

void
linalg_mul_nt_f32(const float *a, const float *b, float *c, int64_t m, int64_t n, int64_t k)
{
	const int mi = dim(m), ni = dim(n), ki = dim(k);
	const float one = 1, zero = 0;

	if (m && n)
		sgemm_("T", "N", &ni, &mi, &ki, &one, b, &ki, a, &ki, &zero, c, &ni, 1, 1);
}

void
linalg_add_gram(const double *a, double *c, int64_t n, int64_t d)
{
	const int ni = dim(n), di = dim(d);
	const double one = 1;

	if (n && d)
		dsyrk_("L", "N", &di, &ni, &one, a, &di, &one, c, &di, 1, 1);
}

void
linalg_mirror(double *c, int64_t d)
{
	for (int64_t i = 0; i < d; i++)
		for (int64_t j = 0; j < i; j++)
			c[i * d + j] = c[j * d + i];
}

int
linalg_eigen(double *a, double *w, int64_t n)
{
	const int ni = dim(n), query = -1;
	int info, isize, lwork, liwork, *iwork;
	double size, *work;

	if (!n)
		return 0;
	dsyevd_("V", "L", &ni, a, &ni, w, &size, &query, &isize, &query, &info, 1, 1);
	lwork = (int)size;
	liwork = isize;
	work = xmalloc((size_t)lwork * sizeof(*work));
	iwork = xmalloc((size_t)liwork * sizeof(*iwork));
	dsyevd_("V", "L", &ni, a, &ni, w, work, &lwork, iwork, &liwork, &info, 1, 1);
	free(work);
	free(iwork);
	if (info || !isfinite(w[0]) || !isfinite(w[n - 1]))
		return err("the eigenvalues of a matrix of %d rows do not converge", ni);
	return 0;
}

int
linalg_nuclear(double *a, int64_t m, int64_t n, double *sum)
{
	const int mi = dim(m), ni = dim(n), query = -1, one = 1;
	const int64_t k = m < n ? m : n;
	int info, lwork, *iwork;
	double size, none, *s, *work;

	*sum = 0;
	if (!k)
		return 0;
	s = xmalloc((size_t)k * sizeof(*s));
	iwork = xmalloc(8 * (size_t)k * sizeof(*iwork));
	dgesdd_("N", &ni, &mi, a, &ni, s, &none, &one, &none, &one, &size, &query, iwork, &info, 1);
	lwork = (int)size;
	work = xmalloc((size_t)lwork * sizeof(*work));
	dgesdd_("N", &ni, &mi, a, &ni, s, &none, &one, &none, &one, work, &lwork, iwork, &info, 1);
	for (int64_t i = k; i > 0; i--)
		*sum += s[i - 1];
	free(work);
	free(iwork);
	free(s);
	if (info || !isfinite(*sum))
		return err("the singular values of a matrix of %d by %d do not converge", mi, ni);
	return 0;
}

int
linalg_factor(double *a, double *f, int64_t n, int64_t *rank)
{
	const int ni = dim(n);
	const double tolerance = -1; /* LAPACK's own: see the header */
	double *work = xmalloc(2 * (size_t)n * sizeof(*work) + 1), most = 0, least = 0;
	int *pivot = xmalloc((size_t)n * sizeof(*pivot) + 1), r = 0, info = 0;

	for (int64_t i = 0; i < n; i++) {
		most = fmax(most, a[i * n + i]);
		least = fmin(least, a[i * n + i]);
	}
	/* P^T a P = L L^T in LAPACK's lower triangle, which is our upper: row k of it is column k
	 * of L */
	if (most > 0)
		dpstrf_("L", &ni, a, &ni, pivot, &r, &tolerance, work, &info, 1);
	for (int64_t k = 0; k < r; k++) {
		double *row = f + k * n;

		memset(row, 0, (size_t)n * sizeof(*row));
		for (int64_t i = k; i < n; i++)
			row[pivot[i] - 1] = a[k * n + i];
	}
	free(work);
	free(pivot);
	*rank = r;
	/* info 1 only says that the rank is not full */
	if (info < 0 || least < -1e-8 * most || !isfinite(most))
		return err("the covariance is not positive semidefinite");
	return 0;
}
