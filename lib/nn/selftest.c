#include "nn/selftest.h"

#include "base/mem.h"
#include "base/rng.h"
#include "nn/selftest_table.h"
#include "tensor/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rounds to what the storage type can hold, by way of the device. */
static struct tensor *
draw(const struct selftest_in *in, enum dtype dt, uint64_t stream, double **host)
{
	int64_t n = selftest_count(in);
	float *f = xcalloc((size_t)n, sizeof(*f));
	int32_t *ids = xcalloc((size_t)n, sizeof(*ids));
	struct rng r;
	struct tensor *t;

	rng_init(&r, 1, stream);
	for (int64_t i = 0; i < n; i++) {
		double x = rng_normal(&r);

		f[i] = (float)(in->kind == POSITIVE ? 0.5 + fabs(x) : in->kind == PARAM ? 1 + 0.3 *
		    x : x);
		ids[i] = in->kind == IDS ? (int32_t)rng_below(&r, (uint64_t)in->ids) : 0;
	}
	if (in->kind == IDS) {
		t = tensor_from(I32, in->ndim, in->dim, ids);
	} else {
		t = tensor_from(in->kind == PARAM ? F32 : dt, in->ndim, in->dim, f);
		tensor_get(t, f);
		t->requires_grad = true;
	}
	*host = xcalloc((size_t)n, sizeof(**host));
	for (int64_t i = 0; i < n; i++)
		(*host)[i] = in->kind == IDS ? ids[i] : f[i];
	free(f);
	free(ids);
	return t;
}

static double
finite_or_inf(double e)
{
	return e >= 0 ? e : HUGE_VAL;
}

/* |<gx,d> - <gy, df>| over the sizes of both. */
static double
gradient_error(const struct selftest_check *c, int which, double **x, const double *gy,
    const float *gx, int64_t nout)
{
	const double h = 1e-4;
	int64_t n = selftest_count(&c->in[which]);
	double *d = xcalloc((size_t)n, sizeof(*d)), *keep = x[which];
	double *plus = xcalloc((size_t)nout, sizeof(*plus)),
	       *minus = xcalloc((size_t)nout, sizeof(*minus));
	double *moved = xcalloc((size_t)n, sizeof(*moved));
	double got = 0, want = 0, size = 0;
	struct rng r;

	rng_init(&r, 2, (uint64_t)which);
	for (int64_t i = 0; i < n; i++) {
		d[i] = rng_normal(&r);
		got += d[i] * gx[i];
		size += fabs(d[i] * gx[i]);
	}
	x[which] = moved;
	for (int64_t i = 0; i < n; i++)
		moved[i] = keep[i] + h * d[i];
	c->ref(c, x, plus);
	for (int64_t i = 0; i < n; i++)
		moved[i] = keep[i] - h * d[i];
	c->ref(c, x, minus);
	x[which] = keep;
	for (int64_t i = 0; i < nout; i++)
		want += gy[i] * (plus[i] - minus[i]) / (2 * h);
	free(d);
	free(plus);
	free(minus);
	free(moved);
	return finite_or_inf(fabs(got - want) / (size > 0 ? size : 1));
}

static int
run_check(const struct selftest_check *c, enum dtype dt,
    void (*fn)(const struct selftest_result *, void *), void *ctx)
{
	struct selftest_result r =
	    { c->op, dt, false, 0, dt == F32 ? 1e-5 : dt == F16 ? 2e-3 : 2e-2, false };
	struct tensor *in[SELFTEST_MAXIN], *gx[SELFTEST_MAXIN], *out, *gy;
	double *x[SELFTEST_MAXIN], *want, *seed, largest = 1e-30;
	float *got;
	int failed = 0;

	scope_open();
	grads_set(c->gradient);
	for (int i = 0; i < c->nin; i++)
		in[i] = draw(&c->in[i], dt, (uint64_t)i, &x[i]);
	out = c->run(in);
	want = xcalloc((size_t)out->n, sizeof(*want));
	got = xcalloc((size_t)out->n, sizeof(*got));
	c->ref(c, x, want);
	tensor_get(out, got);
	for (int64_t i = 0; i < out->n; i++)
		largest = fmax(largest, fabs(want[i]));
	for (int64_t i = 0; i < out->n; i++) {
		double e = finite_or_inf(fabs(got[i] - want[i]) / largest);

		r.error = e > r.error ? e : r.error;
	}
	r.ok = r.error <= r.bound;
	failed += !r.ok;
	fn(&r, ctx);
	if (c->gradient) {
		struct selftest_in shape = { out->ndim, { 0 }, NORMAL, 0 };
		struct tensor *wrt[SELFTEST_MAXIN];
		int from[SELFTEST_MAXIN], n = 0;

		memcpy(shape.dim, out->dim, (size_t)(out->ndim < 4 ? out->ndim : 4) *
		    sizeof(*out->dim));
		gy = draw(&shape, out->dtype, 99, &seed);
		gy->requires_grad = false;
		for (int i = 0; i < c->nin; i++)
			if (c->in[i].kind != IDS) {
				from[n] = i;
				wrt[n++] = in[i];
			}
		grad_of(out, gy, wrt, n, false, gx);
		r.gradient = true;
		r.error = 0;
		for (int i = 0; i < n; i++) {
			float *g = xcalloc((size_t)wrt[i]->n, sizeof(*g));
			double e;

			if (gx[i])
				tensor_get(gx[i], g);
			e = gradient_error(c, from[i], x, seed, g, out->n);
			r.error = e > r.error ? e : r.error;
			free(g);
		}
		r.ok = r.error <= r.bound;
		failed += !r.ok;
		fn(&r, ctx);
		free(seed);
	}
	for (int i = 0; i < c->nin; i++)
		free(x[i]);
	free(want);
	free(got);
	scope_close();
	return failed;
}

int
selftest(void (*fn)(const struct selftest_result *, void *), void *ctx)
{
	bool grads = grads_on();
	int failed = 0;

	for (int dt = F32; dt <= (gpu_info()->f16 ? BF16 : F32); dt++) {
		for (size_t i = 0; i < selftest_nchecks; i++)
			failed += run_check(&selftest_checks[i], (enum dtype)dt, fn, ctx);
		failed += selftest_state((enum dtype)dt, fn, ctx);
	}
	grads_set(grads);
	return failed;
}
