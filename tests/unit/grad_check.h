/*
 * For tests of ops: random tensors, comparison with a reference, and gradients by central
 * differences.
 *
 *	struct tensor *in[] = { random_tensor(F32, 1, -1, 1, 5, 3), random_tensor(F32, 2, -1, 1, 3)
 *	}; near("op_mul", op_mul(in[0], in[1]), want, 1e-6);
 *	check_grad("op_mul", fn, NULL, in, 2, 1e-3);     d sum(r * fn(in)) / d in, r random
 *	check_grad_twice("op_mul", fn, NULL, in, 2, 1e-3);
 *
 * Each prints what it saw beside its bound. A scope must be open.
 */
#ifndef TESTS_GRAD_CHECK_H
#define TESTS_GRAD_CHECK_H

#include "base/mem.h"
#include "base/rng.h"
#include "tensor/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct tensor *grad_fn(void *ctx, struct tensor **in, int n);

static inline int
check_setup(void **state)
{
	(void)state;
	gpu_open(NULL);
	return 0;
}

/* The same with what *state names switched off (PHANTOM_DISABLE). */
static inline int
check_setup_without(void **state)
{
	setenv("PHANTOM_DISABLE", *state, 1);
	return check_setup(state);
}

static inline int
check_teardown(void **state)
{
	(void)state;
	gpu_close();
	return 0;
}

/* Uniform in [lo, hi). */
static inline void
fill_random(float *x, int64_t n, uint64_t seed, double lo, double hi)
{
	struct rng r;

	rng_init(&r, seed, rng_stream("test", NULL));
	for (int64_t i = 0; i < n; i++)
		x[i] = (float)(lo + (hi - lo) * rng_double(&r));
}

static inline struct tensor *
random_tensor_of(enum dtype dtype, uint64_t seed, double lo, double hi, int ndim,
    const int64_t *dim)
{
	int64_t n = 1;
	struct tensor *t;
	float *x;

	for (int i = 0; i < ndim; i++)
		n *= dim[i];
	x = xmalloc((size_t)n * sizeof(*x));
	fill_random(x, n, seed, lo, hi);
	t = tensor_from(dtype, ndim, dim, x);
	free(x);
	return t;
}
#define random_tensor(dtype, seed, lo, hi, ...) \
	random_tensor_of((dtype), (seed), (lo), (hi), \
	    (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[]){ __VA_ARGS__ })

/* A tensor's values as floats, whatever its type; caller frees. */
static inline float *
values(struct tensor *t)
{
	float *x = xmalloc((size_t)t->n * sizeof(*x));

	tensor_get(t->dtype == I32 || t->dtype == U8 ? op_cast(t, F32) : t, x);
	return x;
}

/* What storing in dtype does to a value: the relative error allowed on top of a bound. */
static inline double
dtype_eps(enum dtype d)
{
	return d == F16 ? 0x1p-11 : d == BF16 ? 0x1p-8 : 0;
}

/* |got - want| at most tol times max(|want|, floor), for each value. Prints the largest share. */
static inline void
near_above(const char *what, struct tensor *got, const double *want, double tol, double floor)
{
	float *g = values(got);
	double worst = 0;
	int64_t at = 0;

	for (int64_t i = 0; i < got->n; i++) {
		double scale = fabs(want[i]) > floor ? fabs(want[i]) : floor;
		double e = fabs((double)g[i] - want[i]) / scale;

		if ((double)g[i] == want[i] || (isnan(g[i]) && isnan(want[i])))
			continue;
		if (!(e <= worst)) {
			worst = e;
			at = i;
		}
	}
	print_message("# %s %s: off by %.2g of %.2g\n", what, tensor_shape(got), worst, tol);
	if (!(worst <= tol)) {
		print_message("# value %lld: %.9g, want %.9g\n", (long long)at, g[at], want[at]);
		fail();
	}
	free(g);
}

/* The floor is the mean magnitude of what is wanted: right for sums, where errors do not scale with
 * each value. */
static inline void
near(const char *what, struct tensor *got, const double *want, double tol)
{
	double mean = 0;

	for (int64_t i = 0; i < got->n; i++)
		mean += fabs(want[i]) / (double)got->n;
	near_above(what, got, want, tol, mean > 0 ? mean : 1e-30);
}

/* sum(r * t) in double precision, r random and fixed. */
static inline double
weighed(struct tensor *t, uint64_t seed)
{
	float *x = values(t), *r = xmalloc((size_t)t->n * sizeof(*r));
	double s = 0;

	fill_random(r, t->n, seed, -1, 1);
	for (int64_t i = 0; i < t->n; i++)
		s += (double)x[i] * r[i];
	free(x);
	free(r);
	return s;
}

struct grad_case {
	grad_fn *fn;
	void *ctx;
	struct tensor **in;
	int n;
	bool twice;
};

enum { GRAD_SEED = 77 };

/* sum(r y) as a tensor on the tape. */
static inline struct tensor *
weighed_op(struct tensor *y, uint64_t seed)
{
	struct tensor *r = random_tensor_of(F32, seed, -1, 1, y->ndim, y->dim);

	return op_sum_all(op_mul(y->dtype == F32 ? y : op_cast(y, F32), r));
}

/* The scalar that is differentiated: sum(r fn(in)) or, for the second order, sum(r grad of
 * that). */
static inline struct tensor *
grad_case_loss(const struct grad_case *c, struct tensor **in)
{
	struct tensor *y = weighed_op(c->fn(c->ctx, in, c->n), GRAD_SEED), *g[NODE_MAXIN],
	              *sum = NULL;

	if (!c->twice)
		return y;
	grad_of(y, NULL, in, c->n, true, g);
	for (int i = 0; i < c->n; i++)
		if (g[i])
			sum = sum ? op_add(sum, weighed_op(g[i], GRAD_SEED + 1 + (uint64_t)i))
			          : weighed_op(g[i], GRAD_SEED + 1 + (uint64_t)i);
	return sum ? sum : tensor_scalar(0);
}

/* The same number in double precision, with input `which` moved by step * d. */
static inline double
grad_case_at(const struct grad_case *c, int which, const float *d, double step)
{
	struct tensor *in[NODE_MAXIN], *y, *g[NODE_MAXIN];
	double s = 0;
	float *x;

	scope_open();
	for (int i = 0; i < c->n; i++) {
		in[i] = tensor_detach(c->in[i]);
		in[i]->requires_grad = c->in[i]->requires_grad;
	}
	x = values(c->in[which]);
	for (int64_t i = 0; i < c->in[which]->n; i++)
		x[i] = (float)((double)x[i] + step * d[i]);
	in[which] = tensor_from(c->in[which]->dtype, c->in[which]->ndim, c->in[which]->dim, x);
	in[which]->requires_grad = c->in[which]->requires_grad;
	free(x);
	if (!c->twice) {
		s = weighed(c->fn(c->ctx, in, c->n), GRAD_SEED);
	} else {
		y = weighed_op(c->fn(c->ctx, in, c->n), GRAD_SEED);
		grad_of(y, NULL, in, c->n, false, g);
		for (int i = 0; i < c->n; i++)
			if (g[i])
				s += weighed(g[i], GRAD_SEED + 1 + (uint64_t)i);
	}
	scope_close();
	return s;
}

/* Two dense directions and a few single elements of each input. */
static inline void
check_grad_case(const char *what, const struct grad_case *c, double tol)
{
	const double h = 0.01;
	double worst = 0;
	bool req[NODE_MAXIN];

	for (int i = 0; i < c->n; i++) {
		req[i] = c->in[i]->requires_grad;
		c->in[i]->requires_grad = c->in[i]->dtype == F32;
		c->in[i]->grad = tensor_drop(c->in[i]->grad);
	}
	scope_open();
	if (grad_case_loss(c, c->in)->requires_grad)
		backward(grad_case_loss(c, c->in));
	scope_close();
	for (int i = 0; i < c->n; i++) {
		int64_t n = c->in[i]->n;
		float *d = xmalloc((size_t)n * sizeof(*d)), *g = xcalloc((size_t)n, sizeof(*g));
		double scale = 0;

		if (!c->in[i]->requires_grad) {
			free(d);
			free(g);
			continue;
		}
		if (c->in[i]->grad)
			tensor_get(c->in[i]->grad, g);
		for (int64_t j = 0; j < n; j++)
			scale += (double)g[j] * g[j];
		scale = sqrt(scale / (double)n) + 1e-3;
		for (int k = 0; k < 8; k++) {
			double want, got = 0, norm = 0;

			memset(d, 0, (size_t)n * sizeof(*d));
			if (k < 2)
				fill_random(d, n, (uint64_t)(100 * i + k), -1, 1);
			else
				d[(k * 7919 + i) % n] = 1;
			for (int64_t j = 0; j < n; j++) {
				got += (double)g[j] * d[j];
				norm += (double)d[j] * d[j];
			}
			/* error of order h^4 */
			want = (8 * (grad_case_at(c, i, d, h) - grad_case_at(c, i, d, -h)) -
			           (grad_case_at(c, i, d, 2 * h) - grad_case_at(c, i, d, -2 * h))) /
			    (12 * h);
			if (!(fabs(got - want) / (scale * sqrt(norm)) <= worst))
				worst = fabs(got - want) / (scale * sqrt(norm));
		}
		free(d);
		free(g);
	}
	for (int i = 0; i < c->n; i++) {
		c->in[i]->requires_grad = req[i];
		c->in[i]->grad = tensor_drop(c->in[i]->grad);
	}
	print_message("# %s %s of %s: off by %.2g of %.2g\n", c->twice ? "second gradient"
	    : "gradient", what, tensor_shape(c->in[0]), worst, tol);
	assert_true(worst <= tol);
}

/* tol: relative to the root mean square of the gradient; 2e-3 suits functions of moderate curvature
 * (rounding of f32 over the step is about 1e-4). Inputs that are not F32 are held fixed. */
static inline void
check_grad(const char *what, grad_fn *fn, void *ctx, struct tensor **in, int n, double tol)
{
	check_grad_case(what, &(struct grad_case){ fn, ctx, in, n, false }, tol);
}

static inline void
check_grad_twice(const char *what, grad_fn *fn, void *ctx, struct tensor **in, int n, double tol)
{
	check_grad_case(what, &(struct grad_case){ fn, ctx, in, n, true }, tol);
}

/* The fused backward pass of fn for the gradient gy against the one that is composed of other ops;
 * gradients but the first are F32. Observed: 1e-6, and 16-bit rounding of the first. */
static inline void
check_fused(grad_fn *fn, void *ctx, struct tensor **in, int n, struct tensor *gy)
{
	struct tensor *y, *composed[NODE_MAXIN], *fused[NODE_MAXIN];

	for (int i = 0; i < n; i++)
		in[i]->requires_grad = true;
	y = fn(ctx, in, n);
	grad_of(y, gy, in, n, true, composed);
	grad_of(y, gy, in, n, false, fused);
	for (int i = 0; i < n; i++) {
		float *want = values(composed[i]);
		double *w = xmalloc((size_t)composed[i]->n * sizeof(*w));

		for (int64_t j = 0; j < composed[i]->n; j++)
			w[j] = want[j];
		near("fused against composed", fused[i], w,
		    1e-5 + (i ? 0 : 8 * dtype_eps(gy->dtype)));
		free(want);
		free(w);
	}
}

/* Bytes of device memory in use. */
static inline uint64_t
live_bytes(void)
{
	struct gpu_mem_stat s;

	gpu_mem(&s);
	return s.live_all;
}

#endif
