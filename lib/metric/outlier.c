#include "metric/outlier.h"

#include "base/err.h"
#include "base/mem.h"
#include "metric/linalg.h"
#include "metric/moments.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 256, MAX_TERMS = 100000 };

void
outlier_release(struct outlier *o)
{
	free(o->mean);
	free(o->axis);
	*o = (struct outlier){ 0 };
}

static double *
centred(const float *x, int64_t n, int64_t d, const double *mean)
{
	double *c = xmalloc((size_t)n * (size_t)d * sizeof(*c) + 1);

	for (int64_t r = 0; r < n; r++)
		for (int64_t i = 0; i < d; i++)
			c[r * d + i] = (double)x[r * d + i] - mean[i];
	return c;
}

/* Axes v / root(w) from the last of `size` eigenvalues, those that are more than rounding. */
static int64_t
varying(const double *w, int64_t size, int64_t k)
{
	int64_t some = 0;

	while (some < k && some < size &&
	    w[size - 1 - some] > (double)size * DBL_EPSILON * w[size - 1] && w[size - 1 - some] > 0)
		some++;
	return some;
}

/* By the covariance [d,d]: w, v are its eigenvalues and vectors. */
static int
fit_many(struct outlier *o, const float *x, int64_t n, int64_t k)
{
	const int64_t d = o->d;
	struct moments m;
	double *v = xmalloc((size_t)d * (size_t)d * sizeof(*v)),
	       *w = xmalloc((size_t)d * sizeof(*w));
	int rc;

	moments_init(&m, d);
	moments_add(&m, x, NULL, n);
	memcpy(o->mean, m.mean, (size_t)d * sizeof(*o->mean));
	moments_sigma(&m, 1, v);
	moments_release(&m);
	rc = linalg_eigen(v, w, d);
	o->k = rc ? 0 : varying(w, d, k);
	for (int64_t a = 0; a < o->k; a++)
		for (int64_t i = 0; i < d; i++)
			o->axis[a * d + i] = v[(d - 1 - a) * d + i] / sqrt(w[d - 1 - a]);
	free(v);
	free(w);
	return rc;
}

/* Fewer rows than features: x x^T [n,n] has the same eigenvalues (times n-1), and x^T u are the
 * axes. */
static int
fit_few(struct outlier *o, const float *x, int64_t n, int64_t k)
{
	const int64_t d = o->d;
	double *c, *u = xmalloc((size_t)n * (size_t)n * sizeof(*u)),
	           *w = xmalloc((size_t)n * sizeof(*w));
	int rc;

	for (int64_t i = 0; i < d; i++)
		o->mean[i] = 0;
	for (int64_t r = 0; r < n; r++)
		for (int64_t i = 0; i < d; i++)
			o->mean[i] += (double)x[r * d + i] / (double)n;
	c = centred(x, n, d, o->mean);
	linalg_mul_nt(c, c, u, n, n, d);
	rc = linalg_eigen(u, w, n);
	o->k = rc ? 0 : varying(w, n, k < n - 1 ? k : n - 1);
	for (int64_t a = 0; a < o->k; a++) {
		const double *ua = u + (n - 1 - a) * n;
		/* the vector x^T u has length root(w); the variance along it is w / (n-1) */
		const double by = sqrt((double)(n - 1)) / w[n - 1 - a];

		memset(o->axis + a * d, 0, (size_t)d * sizeof(*o->axis));
		for (int64_t r = 0; r < n; r++)
			for (int64_t i = 0; i < d; i++)
				o->axis[a * d + i] += ua[r] * by * c[r * d + i];
	}
	free(c);
	free(u);
	free(w);
	return rc;
}

int
outlier_fit(struct outlier *o, const float *x, int64_t n, int64_t d, int64_t k)
{
	*o = (struct outlier){ .d = d };
	if (n < 2)
		return err("%lld images have no principal components", (long long)n);
	k = k < d ? k : d;
	o->mean = xmalloc((size_t)d * sizeof(*o->mean));
	o->axis = xmalloc((size_t)k * (size_t)d * sizeof(*o->axis));
	if (n > d ? fit_many(o, x, n, k) : fit_few(o, x, n, k)) {
		outlier_release(o);
		return -1;
	}
	if (!o->k) {
		outlier_release(o);
		return err("the features do not vary");
	}
	return 0;
}

void
outlier_score(const struct outlier *o, const float *y, int64_t n, double *d2, double *p)
{
	double *z = xmalloc(BLOCK * (size_t)o->k * sizeof(*z));

	for (int64_t at = 0; at < n; at += BLOCK) {
		const int64_t rows = n - at < BLOCK ? n - at : BLOCK;
		double *c = centred(y + at * o->d, rows, o->d, o->mean);

		linalg_mul_nt(c, o->axis, z, rows, o->k, o->d);
		for (int64_t r = 0; r < rows; r++) {
			d2[at + r] = 0;
			for (int64_t a = 0; a < o->k; a++)
				d2[at + r] += z[r * o->k + a] * z[r * o->k + a];
			p[at + r] = chi2_survival(d2[at + r], (double)o->k);
		}
		free(c);
	}
	free(z);
}

/* ---- chi-squared ----------------------------------------------------------------------------- */

/* P(a, x), by x^a e^-x / Gamma(a+1) (1 + x/(a+1) + x^2/((a+1)(a+2)) + ...) */
static double
lower_gamma(double a, double x)
{
	double term = 1, sum = 1;

	for (int i = 1; i < MAX_TERMS && term > sum * 1e-17; i++)
		sum += term *= x / (a + i);
	return sum * exp(a * log(x) - x - lgamma(a + 1));
}

/* Q(a, x), by x^a e^-x / Gamma(a) (1/(x+1-a- 1(1-a)/(x+3-a- 2(2-a)/(x+5-a- ...)))) */
static double
upper_gamma(double a, double x)
{
	const double tiny = 1e-300;
	double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;

	for (int i = 1; i < MAX_TERMS; i++) {
		const double an = -i * (i - a);
		double delta;

		b += 2;
		d = an * d + b;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = b + an / c;
		c = fabs(c) < tiny ? tiny : c;
		delta = d * c;
		h *= delta;
		if (fabs(delta - 1) < 1e-16)
			break;
	}
	return h * exp(a * log(x) - x - lgamma(a));
}

double
chi2_survival(double x, double df)
{
	const double a = df / 2, half = x / 2;

	if (half <= 0)
		return 1;
	return half < a + 1 ? 1 - lower_gamma(a, half) : upper_gamma(a, half);
}
