/*
 * The part of the self-test that is not a function of inputs alone: random numbers, optimisers,
 * running means, gradients that add up, conversions of type, weights without values of their own.
 */
#include "nn/selftest_table.h"

#include "base/mem.h"
#include "base/rng.h"
#include "nn/ema.h"
#include "nn/optim.h"
#include "tensor/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 5003 };

/* The error of got[0..n) relative to the largest of want; NaN counts as infinite. */
static double
distance(const float *got, const double *want, int64_t n)
{
	double worst = 0, largest = 1e-30;

	for (int64_t i = 0; i < n; i++)
		largest = fmax(largest, fabs(want[i]));
	for (int64_t i = 0; i < n; i++) {
		double e = fabs(got[i] - want[i]) / largest;

		worst = e <= worst ? worst : e >= 0 ? e : HUGE_VAL;
	}
	return worst;
}

static double
tensor_distance(const struct tensor *t, const double *want)
{
	float *got = xmalloc((size_t)t->n * sizeof(*got));
	double e;

	tensor_get(t, got);
	e = distance(got, want, t->n);
	free(got);
	return e;
}

/* Four random words of the block that element i is in. */
static void
words(uint64_t seed, int64_t i, uint32_t third, uint32_t out[4])
{
	const uint32_t ctr[4] = { (uint32_t)(i / 4), 0, third, 0 };
	const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };

	philox4x32(out, ctr, key);
}

/* Values of a storage type, as it holds them. */
static struct tensor *
noise(enum dtype dt, int64_t n, uint64_t stream, float *host)
{
	struct tensor *t;
	struct rng r;

	rng_init(&r, 3, stream);
	for (int64_t i = 0; i < n; i++)
		host[i] = (float)rng_normal(&r);
	t = tensor_from(dt, 1, &n, host);
	tensor_get(t, host);
	return t;
}

/* ---- checks, each the error of one dtype ----------------------------------------------------- */

static double
uniform(enum dtype dt)
{
	double *want = xmalloc(N * sizeof(*want)), e;

	(void)dt;
	for (int64_t i = 0; i < N; i++) {
		uint32_t w[4];

		words(77, i, 0, w);
		want[i] = (w[i % 4] >> 8) * 0x1p-24;
	}
	e = tensor_distance(op_uniform(1, (int64_t[]){ N }, 77), want);
	free(want);
	return e;
}

/* Box and Muller's pairs, an angle as a quarter and what is left. */
static double
normal(enum dtype dt)
{
	double *want = xmalloc(N * sizeof(*want)), e;

	(void)dt;
	for (int64_t i = 0; i < N; i++) {
		uint32_t w[4], *p;
		double r, a;

		words(77, i, 0, w);
		p = w + i % 4 / 2 * 2;
		r = sqrt(-2 * log(((p[0] >> 8) + 1) * 0x1p-24));
		a = ((double)(p[1] >> 6 & 0xFFFFFF) - 0x800000) * 0x1p-23 * 0.78539816339744831 +
		    (p[1] >> 30) * 1.5707963267948966;
		want[i] = i % 2 ? r * sin(a) : r * cos(a);
	}
	e = tensor_distance(op_normal(1, (int64_t[]){ N }, 77), want);
	free(want);
	return e;
}

static double
dropout(enum dtype dt)
{
	float *x = xmalloc(N * sizeof(*x));
	double *want = xmalloc(N * sizeof(*want)), e;
	struct tensor *t = noise(dt, N, 1, x);

	for (int64_t i = 0; i < N; i++) {
		uint32_t w[4];

		words(99, i, 1, w);
		want[i] = w[i % 4] >> 30 ? x[i] / 0.75 : 0;
	}
	e = tensor_distance(op_dropout(t, 0.25, 99), want);
	free(x);
	free(want);
	return e;
}

/* To every other type and back. 16 bits of either kind hold 7 bits of each other's values. */
static double
casts(enum dtype dt)
{
	float *x = xmalloc(N * sizeof(*x));
	double *want = xmalloc(N * sizeof(*want)), e;
	struct tensor *t = noise(dt, N, 2, x);

	for (int64_t i = 0; i < N; i++)
		want[i] = x[i];
	e = dt == F32 ? 0 : tensor_distance(op_cast(op_cast(t, dt == F16 ? BF16 : F16), F32), want);
	t = op_cast(op_cast(op_cast(op_affine(op_clamp(t, -1, 1), 100, 120), F32), U8), F32);
	t = op_cast(op_cast(op_cast(t, I32), F32), dt);
	tensor_get(t, x);
	/* whole numbers up to 220, which bf16 holds in steps of 1 */
	for (int64_t i = 0; i < N; i++)
		e = fmax(e, x[i] >= 20 && x[i] <= 220 && x[i] == floorf(x[i]) ? 0 : HUGE_VAL);
	free(x);
	free(want);
	return e;
}

/* F32 by weights of 16 bits, which products widen where they can. */
static double
widened(enum dtype dt)
{
	enum { ROWS = 7, IN = 96, OUT = 64 };
	float *x = xmalloc(ROWS * IN * sizeof(*x)), *w = xmalloc(OUT * IN * sizeof(*w));
	double *want = xcalloc(ROWS * OUT, sizeof(*want)), e;
	struct tensor *tx = noise(F32, ROWS * IN, 7, x), *tw = noise(dt, OUT * IN, 8, w);

	for (int r = 0; r < ROWS; r++)
		for (int o = 0; o < OUT; o++)
			for (int i = 0; i < IN; i++)
				want[r * OUT + o] += (double)x[r * IN + i] * w[o * IN + i];
	tw = op_view(tw, OUT, IN);
	if (op_widens(OUT, IN)) {
		struct tensor *shell = tensor_shell(dt, 2, tw->dim);

		tensor_pack(shell, tw);
		tw = shell;
	} else {
		tw = op_cast(tw, F32);
	}
	e = tensor_distance(op_linear(op_view(tx, ROWS, IN), tw, NULL), want);
	free(x);
	free(w);
	free(want);
	return e;
}

/* Gradients of two losses add up; NaN checks find nothing in good numbers. */
static double
accumulate(enum dtype dt)
{
	float *a = xmalloc(N * sizeof(*a)), *b = xmalloc(N * sizeof(*b));
	double *want = xmalloc(N * sizeof(*want)), e;
	struct tensor *ta = noise(dt, N, 3, a), *tb = noise(dt, N, 4, b);
	struct tensor *sum = tensor_full(F32, 1, (int64_t[]){ N }, 0);

	for (int64_t i = 0; i < N; i++)
		want[i] = (double)a[i] + b[i];
	tensor_accumulate(sum, ta, true);
	tensor_check(true);
	op_affine(ta, 2, 1);
	tensor_check(false);
	tensor_accumulate(sum, tb, false);
	e = tensor_distance(sum, want);
	free(a);
	free(b);
	free(want);
	return e;
}

/* d/dx <d/dx sum(max_pool(x)^2), r> = 2 r times the number of windows whose largest value x is. */
static double
max_pool_twice(enum dtype dt, int64_t C)
{
	const int64_t H = 6, W = 5, OH = 3, OW = 3, n = H * W * C;
	float *x = xmalloc((size_t)n * sizeof(*x)), *r = xmalloc((size_t)n * sizeof(*r));
	double *want = xcalloc((size_t)n, sizeof(*want)), e;
	struct tensor *tx = noise(dt, n, 5, x), *tr = noise(dt, n, 6, r), *y, *g, *h;

	tx = op_reshape(tx, 4, (int64_t[]){ 1, H, W, C });
	tr = op_reshape(tr, 4, (int64_t[]){ 1, H, W, C });
	tx->requires_grad = true;
	for (int64_t o = 0; o < OH * OW * C; o++) {
		int64_t c = o % C, ox = o / C % OW, oy = o / C / OW, best = -1;

		for (int64_t t = 0; t < 9; t++) {
			int64_t iy = 2 * oy + t / 3 - 1, ix = 2 * ox + t % 3 - 1,
			        at = (iy * W + ix) * C + c;

			if (iy >= 0 && iy < H && ix >= 0 && ix < W && (best < 0 || x[at] > x[best]))
				best = at;
		}
		want[best] += 2 * r[best];
	}
	y = op_max_pool2d(tx, 3, 2, 1);
	grad_of(op_sum_all(op_square(y)), NULL, &tx, 1, true, &g);
	grad_of(op_sum_all(op_mul(g, tr)), NULL, &tx, 1, false, &h);
	e = tensor_distance(h, want);
	free(x);
	free(r);
	free(want);
	return e;
}

static double
max_pool_twice_4(enum dtype dt)
{
	return max_pool_twice(dt, 8);
}

static double
max_pool_twice_odd(enum dtype dt)
{
	return max_pool_twice(dt, 3);
}

/* ---- optimisers ------------------------------------------------------------------------------ */

/* Two steps, clipped to half the gradient's norm, on a tensor of N values and one of 7, and the
 * running mean after each: the change of values (mean false) or the mean's, against torch's
 * formulas. */
static double
steps(enum optim_kind kind, double momentum, bool mean)
{
	const struct optim_conf c = { .kind = kind, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
		.weight_decay = 0.01, .momentum = momentum };
	const double lr = 1e-2;
	const int64_t n[] = { N, 7 };
	struct params ps;
	struct tensor *w[2];
	struct optim o;
	struct ema ema;
	float *v[2], *g[2];
	double *p[2], *m[2], *s[2], *avg[2], *start[2], norm = 0, worst = 0;

	params_init(&ps, F32, true);
	for (int k = 0; k < 2; k++)
		params_add(&ps, &w[k], PARAM_PLAIN, 1, &n[k], "w%d", k);
	params_ready(&ps);
	for (int k = 0; k < 2; k++) {
		size_t size = (size_t)n[k];

		v[k] = xmalloc(size * sizeof(**v));
		g[k] = xmalloc(size * sizeof(**g));
		p[k] = xmalloc(size * sizeof(**p));
		m[k] = xcalloc(size, sizeof(**m));
		s[k] = xcalloc(size, sizeof(**s));
		avg[k] = xmalloc(size * sizeof(**avg));
		start[k] = xmalloc(size * sizeof(**start));
		noise(F32, n[k], 10 + (uint64_t)k, v[k]);
		noise(F32, n[k], 20 + (uint64_t)k, g[k]);
		/* 8-bit moments hold what is near a block's largest */
		for (int64_t i = 0; i < n[k]; i++)
			g[k][i] += g[k][i] < 0 ? -0.5f : 0.5f;
		params_put(params_find(&ps, k ? "w1" : "w0"), v[k]);
		for (int64_t i = 0; i < n[k]; i++) {
			start[k][i] = avg[k][i] = p[k][i] = v[k][i];
			norm += (double)g[k][i] * g[k][i];
		}
	}
	norm = sqrt(norm);
	optim_init(&o, &c, (struct params *[]){ &ps }, 1);
	ema_init(&ema, (struct params *[]){ &ps }, 1, false);
	for (int t = 1; t <= 2; t++) {
		struct tensor *loss = NULL;

		scope_open();
		params_zero_grad(&ps);
		for (int k = 0; k < 2; k++) {
			struct tensor *l =
			    op_sum_all(op_mul(w[k], tensor_from(F32, 1, &n[k], g[k])));

			loss = loss ? op_add(loss, l) : l;
		}
		backward(loss);
		optim_clip(&o, norm / 2, 1);
		optim_step(&o, lr);
		ema_update(&ema, 0.9);
		scope_close();
		for (int k = 0; k < 2; k++)
			for (int64_t i = 0; i < n[k]; i++) {
				double d = g[k][i] / 2;

				if (kind == OPTIM_SGD) {
					m[k][i] = momentum * m[k][i] + d + c.weight_decay * p[k][i];
					p[k][i] -= lr * m[k][i];
				} else {
					if (kind == OPTIM_ADAM)
						d += c.weight_decay * p[k][i];
					else
						p[k][i] *= 1 - lr * c.weight_decay;
					m[k][i] = 0.9 * m[k][i] + 0.1 * d;
					s[k][i] = 0.999 * s[k][i] + 0.001 * d * d;
					p[k][i] -= lr / (1 - pow(0.9, t)) * m[k][i] /
					    (sqrt(s[k][i] / (1 - pow(0.999, t))) + c.eps);
				}
				avg[k][i] += 0.1 * (p[k][i] - avg[k][i]);
			}
	}
	if (mean)
		ema_swap(&ema);
	for (int k = 0; k < 2; k++) {
		double *want = mean ? avg[k] : p[k];

		params_get(params_find(&ps, k ? "w1" : "w0"), v[k]);
		for (int64_t i = 0; i < n[k]; i++) {
			v[k][i] -= (float)start[k][i];
			want[i] -= start[k][i];
		}
		worst = fmax(worst, distance(v[k], want, n[k]));
		free(v[k]);
		free(g[k]);
		free(p[k]);
		free(m[k]);
		free(s[k]);
		free(avg[k]);
		free(start[k]);
	}
	ema_release(&ema);
	optim_release(&o);
	params_release(&ps);
	return worst;
}

static double
sgd(enum dtype dt)
{
	(void)dt;
	return steps(OPTIM_SGD, 0.9, false);
}

static double
sgd_plain(enum dtype dt)
{
	(void)dt;
	return steps(OPTIM_SGD, 0, false);
}

static double
adam(enum dtype dt)
{
	(void)dt;
	return steps(OPTIM_ADAM, 0, false);
}

static double
adamw(enum dtype dt)
{
	(void)dt;
	return steps(OPTIM_ADAMW, 0, false);
}

static double
adamw8(enum dtype dt)
{
	(void)dt;
	return steps(OPTIM_ADAMW8, 0, false);
}

static double
ema(enum dtype dt)
{
	(void)dt;
	return steps(OPTIM_ADAMW, 0, true);
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* Bounds by dtype, 0 where it has none of its own. Changes of weights near 1 by 1e-2 are read from
 * floats: 1e-5 of them is a rounding. 8 bits hold moments to some percent. */
static const struct {
	const char *op;
	double (*error)(enum dtype);
	double bound[3];
} checks[] = {
	{ "uniform", uniform, { 1e-7, 0, 0 } },
	{ "normal", normal, { 1e-5, 0, 0 } },
	{ "dropout", dropout, { 1e-6, 2e-3, 2e-2 } },
	{ "cast", casts, { 1e-7, 2e-2, 2e-2 } },
	{ "linear, weights widened", widened, { 0, 1e-5, 0 } },
	{ "accumulate", accumulate, { 1e-6, 1e-6, 1e-6 } },
	{ "max_pool2d, twice", max_pool_twice_4, { 1e-5, 2e-3, 2e-2 } },
	{ "max_pool2d, twice, odd", max_pool_twice_odd, { 1e-5, 2e-3, 2e-2 } },
	{ "SGD without momentum", sgd_plain, { 1e-4, 0, 0 } },
	{ "SGD", sgd, { 1e-4, 0, 0 } },
	{ "Adam", adam, { 1e-4, 0, 0 } },
	{ "AdamW", adamw, { 1e-4, 0, 0 } },
	{ "AdamW, 8 bits", adamw8, { 5e-2, 0, 0 } },
	{ "running mean", ema, { 1e-3, 0, 0 } },
};

int
selftest_state(enum dtype dt, void (*fn)(const struct selftest_result *, void *), void *ctx)
{
	int failed = 0;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct selftest_result r =
		    { checks[i].op, dt, false, 0, checks[i].bound[dt], false };

		if (r.bound == 0)
			continue;
		scope_open();
		grads_set(true);
		r.error = checks[i].error(dt);
		r.ok = r.error <= r.bound;
		failed += !r.ok;
		fn(&r, ctx);
		scope_close();
	}
	return failed;
}
