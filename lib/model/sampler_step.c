/*
 * Samplers' steps. Each is x <- a x + sum of b_i m_i + c noise, with m_i model outputs of this and
 * earlier calls, converted to what the method predicts with. Sources: DDPM Ho 2020; DDIM Song 2021;
 * PNDM Liu 2022 (PLMS part); Euler, Heun and LMS Karras 2022; DPM-Solver++ Lu 2022; UniPC Zhao
 * 2023; LCM Luo 2023; details (rounding of timesteps, last steps) as diffusers 0.27.
 */
#include "model/sampler_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The clean sample that an output stands for, with x = alpha x0 + sigma eps. */
static double
clean(const struct sampler *s, double alpha, double sigma, double out, double x)
{
	switch (s->cfg.prediction) {
	case PREDICT_EPSILON:
		return (x - sigma * out) / alpha;
	case PREDICT_V:
		return alpha * x - sigma * out;
	default:
		return out;
	}
}

/* The history moves on; a place for the newest is returned. */
static float *
push(struct sampler_state *st)
{
	float *last = st->m[SAMPLER_HISTORY - 1];

	memmove(st->m + 1, st->m, (SAMPLER_HISTORY - 1) * sizeof(*st->m));
	st->m[0] = last;
	if (st->have < SAMPLER_HISTORY)
		st->have++;
	return last;
}

static void
ancestral(struct sampler *s, int call, const float *out, float *x, sampler_noise_fn *draw,
    void *ctx)
{
	struct sampler_state *st = s->state;
	double t = s->t[call], a = sampler_alpha(s, t),
	       p = sampler_alpha(s, t - s->cfg.train_steps / s->steps);
	double var = (1 - p) / (1 - a) * (1 - a / p), noise = 0, cx, c0;
	bool ddim = s->kind == SAMPLER_DDIM;

	if (ddim && s->cfg.eta > 0)
		noise = s->cfg.eta * sqrt(var);
	else if (!ddim && t > 0)
		noise = sqrt(fmax(var, 1e-20));
	if (noise > 0)
		draw(st->slope, s->n, ctx);
	for (size_t i = 0; i < s->n; i++) {
		double x0 = clean(s, sqrt(a), sqrt(1 - a), out[i], x[i]);

		if (s->cfg.clip_sample)
			x0 = fmax(-1, fmin(1, x0));
		if (ddim) {
			double eps = s->cfg.prediction == PREDICT_V ? sqrt(a) * out[i] +
			    sqrt(1 - a) * x[i] : s->cfg.prediction == PREDICT_EPSILON ? out[i]
			    : (x[i] - sqrt(a) * x0) / sqrt(1 - a);

			x[i] = (float)(sqrt(p) * x0 + sqrt(1 - p - noise * noise) * eps);
		} else {
			c0 = sqrt(p) * (1 - a / p) / (1 - a);
			cx = sqrt(a / p) * (1 - p) / (1 - a);
			x[i] = (float)(c0 * x0 + cx * x[i]);
		}
		if (noise > 0)
			x[i] += (float)(noise * st->slope[i]);
	}
}

static void
pndm(struct sampler *s, int call, const float *out, float *x)
{
	/* Adams-Bashforth of as many outputs as there are; the second call averages instead */
	static const double ab[4][4] = { { 1 }, { 1.5, -0.5 }, { 23 / 12.0, -16 / 12.0, 5 / 12.0 },
		{ 55 / 24.0, -59 / 24.0, 37 / 24.0, -9 / 24.0 } };
	struct sampler_state *st = s->state;
	int ratio = s->cfg.train_steps / s->steps;
	bool first = call == s->begin, again = call == s->begin + 1;
	double t = again ? s->t[call] + ratio : s->t[call], prev = again ? s->t[call] : t - ratio;
	double a = sampler_alpha(s, t), p = sampler_alpha(s, prev);
	double cx = sqrt(p / a), cm = -(p - a) / (a * sqrt(1 - p) + sqrt(a * (1 - a) * p));

	if (first)
		memcpy(st->kept, x, s->n * sizeof(*x));
	if (again)
		memcpy(x, st->kept, s->n * sizeof(*x));
	else
		memcpy(push(st), out, s->n * sizeof(*out));
	for (size_t i = 0; i < s->n; i++) {
		double m = 0;

		if (again)
			m = 0.5 * ((double)out[i] + st->m[0][i]);
		else
			for (int k = 0; k < st->have; k++)
				m += ab[st->have - 1][k] * st->m[k][i];
		if (s->cfg.prediction == PREDICT_V)
			m = sqrt(a) * m + sqrt(1 - a) * x[i];
		x[i] = (float)(cx * x[i] + cm * m);
	}
}

/* x0 of a model that sees x / sqrt(sigma^2 + 1). */
static double
clean_sigma(const struct sampler *s, double sigma, double out, double x)
{
	double d = sigma * sigma + 1;

	switch (s->cfg.prediction) {
	case PREDICT_EPSILON:
		return x - sigma * out;
	case PREDICT_V:
		return -sigma / sqrt(d) * out + x / d;
	default:
		return out;
	}
}

static void
euler(struct sampler *s, int call, const float *out, float *x, sampler_noise_fn *draw, void *ctx)
{
	struct sampler_state *st = s->state;
	double from = s->sigma[call], to = s->sigma[call + 1], up = 0;

	if (s->kind == SAMPLER_EULER_A) {
		up = sqrt(to * to * (from * from - to * to) / (from * from));
		to = sqrt(to * to - up * up);
		draw(st->slope, s->n, ctx);
	}
	for (size_t i = 0; i < s->n; i++) {
		double d = (x[i] - clean_sigma(s, from, out[i], x[i])) / from;

		x[i] = (float)(x[i] + d * (to - from) + (up > 0 ? up * st->slope[i] : 0));
	}
}

static void
heun(struct sampler *s, int call, const float *out, float *x)
{
	struct sampler_state *st = s->state;
	double sigma = s->sigma[call];

	if (call % 2 == 0) {
		st->dt = s->sigma[call + 1] - sigma;
		memcpy(st->kept, x, s->n * sizeof(*x));
	}
	for (size_t i = 0; i < s->n; i++) {
		double d = (x[i] - clean_sigma(s, sigma, out[i], x[i])) / sigma;

		if (call % 2 == 0) {
			st->slope[i] = (float)d;
			x[i] = (float)(x[i] + d * st->dt);
		} else {
			x[i] = (float)(st->kept[i] + 0.5 * (st->slope[i] + d) * st->dt);
		}
	}
}

/* Integral of the Lagrange polynomial j of the last `order` sigmas over the step: three Gauss
 * points are exact for its degree. */
static double
lms_weight(const struct sampler *s, int call, int order, int j)
{
	static const double at[] = { -0.7745966692414834, 0, 0.7745966692414834 };
	static const double weight[] = { 5 / 9.0, 8 / 9.0, 5 / 9.0 };
	double a = s->sigma[call], b = s->sigma[call + 1], sum = 0;

	for (int g = 0; g < 3; g++) {
		double tau = 0.5 * (a + b) + 0.5 * (b - a) * at[g], p = 1;

		for (int k = 0; k < order; k++)
			if (k != j)
				p *= (tau - s->sigma[call - k]) /
				    (s->sigma[call - j] - s->sigma[call - k]);
		sum += weight[g] * p;
	}
	return 0.5 * (b - a) * sum;
}

static void
lms(struct sampler *s, int call, const float *out, float *x)
{
	struct sampler_state *st = s->state;
	float *d = push(st);
	double w[SAMPLER_HISTORY], sigma = s->sigma[call];

	for (int k = 0; k < st->have; k++)
		w[k] = lms_weight(s, call, st->have, k);
	for (size_t i = 0; i < s->n; i++) {
		double sum = 0;

		d[i] = (float)((x[i] - clean_sigma(s, sigma, out[i], x[i])) / sigma);
		for (int k = 0; k < st->have; k++)
			sum += w[k] * st->m[k][i];
		x[i] = (float)(x[i] + sum);
	}
}

/* Variance-preserving form of a sigma: x = alpha x0 + sig eps; lambda = log(alpha / sig). */
struct vp {
	double alpha, sig, lambda;
};

static struct vp
vp_of(const struct sampler *s, int i)
{
	double sigma = s->sigma[i], alpha = 1 / sqrt(sigma * sigma + 1);

	return (struct vp){ alpha, sigma * alpha, -log(sigma) };
}

static void
dpm(struct sampler *s, int call, const float *out, float *x, sampler_noise_fn *draw, void *ctx)
{
	struct sampler_state *st = s->state;
	struct vp to = vp_of(s, call + 1), from = vp_of(s, call);
	bool zero = s->sigma[s->steps] == 0, sde = s->kind == SAMPLER_DPMPP_2M_SDE;
	bool last = call == s->steps - 1 && (zero || (s->cfg.lower_order_final && s->steps < 15));
	double h = to.lambda - from.lambda, e = exp(-h), cx, c0, noise = 0, half = 0;
	float *m = push(st);

	if (sde) {
		cx = to.sig / from.sig * e;
		c0 = to.alpha * (1 - e * e);
		noise = to.sig * sqrt(1 - e * e);
		draw(st->slope, s->n, ctx);
	} else {
		cx = to.sig / from.sig;
		c0 = to.alpha * (1 - e);
	}
	if (st->have > 1 && !last) {
		struct vp before = vp_of(s, call - 1);

		half = 0.5 * h / (from.lambda - before.lambda);
	}
	for (size_t i = 0; i < s->n; i++) {
		double d;

		m[i] = (float)clean(s, from.alpha, from.sig, out[i], x[i]);
		d = half != 0 ? m[i] + half * ((double)m[i] - st->m[1][i]) : m[i];
		x[i] = (float)(cx * x[i] + c0 * d + (noise > 0 ? noise * st->slope[i] : 0));
	}
}

/* UniPC, order 2, B(h) = e^h - 1 (bh2), predicting x0. b[k] of the paper's equation for order 1,
 * 2. */
static void
unipc_b(double h, double b[2])
{
	double hh = -h, phi1 = expm1(hh), phi = phi1 / hh - 1;

	b[0] = phi / phi1;
	b[1] = (phi / hh - 0.5) * 2 / phi1;
}

/* Corrects x, reached from `kept` by the last step, with the output m at x. */
static void
unipc_correct(struct sampler *s, int call, const float *m, float *x)
{
	struct sampler_state *st = s->state;
	struct vp to = vp_of(s, call), from = vp_of(s, call - 1);
	double h = to.lambda - from.lambda, phi1 = expm1(-h), b[2], w0 = 0, w1 = 0.5, r = 1;

	if (st->order == 2) {
		/* [1 1; r 1] [w0; w1] = b */
		r = (vp_of(s, call - 2).lambda - from.lambda) / h;
		unipc_b(h, b);
		w0 = (b[1] - b[0]) / (r - 1);
		w1 = b[0] - w0;
	}
	for (size_t i = 0; i < s->n; i++) {
		double m0 = st->m[0][i], d = w0 != 0 ? w0 * (st->m[1][i] - m0) / r : 0;

		x[i] = (float)(to.sig / from.sig * st->kept[i] - to.alpha * phi1 * m0 -
		    to.alpha * phi1 * (d + w1 * (m[i] - m0)));
	}
}

static void
unipc(struct sampler *s, int call, const float *out, float *x)
{
	struct sampler_state *st = s->state;
	struct vp to = vp_of(s, call + 1), from = vp_of(s, call);
	double phi1 = expm1(-(to.lambda - from.lambda)), r = 1;
	int order = st->have + 1 < 2 ? 1 : 2;

	for (size_t i = 0; i < s->n; i++)
		st->slope[i] = (float)clean(s, from.alpha, from.sig, out[i], x[i]);
	if (st->have > 0)
		unipc_correct(s, call, st->slope, x);
	memcpy(push(st), st->slope, s->n * sizeof(*x));
	if (s->cfg.lower_order_final && s->steps - call < order)
		order = s->steps - call;
	if (order == 2)
		r = (vp_of(s, call - 1).lambda - from.lambda) / (to.lambda - from.lambda);
	memcpy(st->kept, x, s->n * sizeof(*x));
	for (size_t i = 0; i < s->n; i++) {
		double m0 = st->m[0][i], d = order == 2 ? 0.5 * (st->m[1][i] - m0) / r : 0;

		x[i] = (float)(to.sig / from.sig * x[i] - to.alpha * phi1 * (m0 + d));
	}
	st->order = order;
}

static void
lcm(struct sampler *s, int call, const float *out, float *x, sampler_noise_fn *draw, void *ctx)
{
	struct sampler_state *st = s->state;
	bool last = call == s->steps - 1;
	double t = s->t[call], a = sampler_alpha(s, t),
	    p = last ? 1 : sampler_alpha(s, s->t[call + 1]);
	double scaled = t * 10, c_skip = 0.25 / (scaled * scaled + 0.25);
	double c_out = scaled / sqrt(scaled * scaled + 0.25);

	if (!last)
		draw(st->slope, s->n, ctx);
	for (size_t i = 0; i < s->n; i++) {
		double d = c_out * clean(s, sqrt(a), sqrt(1 - a), out[i], x[i]) + c_skip * x[i];

		x[i] = (float)(last ? d : sqrt(p) * d + sqrt(1 - p) * st->slope[i]);
	}
}

void
sampler_step(struct sampler *s, int call, const float *out, float *x, sampler_noise_fn *draw,
    void *ctx)
{
	switch (s->kind) {
	case SAMPLER_DDPM:
	case SAMPLER_DDIM:
		ancestral(s, call, out, x, draw, ctx);
		break;
	case SAMPLER_PNDM:
		pndm(s, call, out, x);
		break;
	case SAMPLER_EULER:
	case SAMPLER_EULER_A:
		euler(s, call, out, x, draw, ctx);
		break;
	case SAMPLER_HEUN:
		heun(s, call, out, x);
		break;
	case SAMPLER_LMS:
		lms(s, call, out, x);
		break;
	case SAMPLER_DPMPP_2M:
	case SAMPLER_DPMPP_2M_KARRAS:
	case SAMPLER_DPMPP_2M_SDE:
		dpm(s, call, out, x, draw, ctx);
		break;
	case SAMPLER_UNIPC:
		unipc(s, call, out, x);
		break;
	case SAMPLER_LCM:
		lcm(s, call, out, x, draw, ctx);
		break;
	}
}
