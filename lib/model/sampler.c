/*
 * Samplers. Each step is x <- a x + sum of b_i m_i + c noise, with m_i model outputs of this and
 * earlier calls, converted to what the method predicts with. Sources: DDPM Ho 2020; DDIM Song 2021;
 * PNDM Liu 2022 (PLMS part); Euler, Heun and LMS Karras 2022; DPM-Solver++ Lu 2022; UniPC Zhao 2023;
 * LCM Luo 2023; details (rounding of timesteps, last steps) as diffusers 0.27.
 */
#include "model/noise.h"

#include "base/err.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HISTORY = 4 };

struct state {
	float *m[HISTORY];   /* model outputs, the newest first; in the method's form */
	int have;            /* how many of them */
	float *kept;         /* PNDM, Heun: the sample to start again from; UniPC: the last one */
	float *slope;        /* Heun: the first slope */
	double dt;
	int order;           /* UniPC: of the step before */
};

static bool
by_sigma(enum sampler_kind k)
{
	return k == SAMPLER_EULER || k == SAMPLER_EULER_A || k == SAMPLER_HEUN || k == SAMPLER_LMS;
}

static bool
dpmpp(enum sampler_kind k)
{
	return k == SAMPLER_DPMPP_2M || k == SAMPLER_DPMPP_2M_KARRAS || k == SAMPLER_DPMPP_2M_SDE;
}

/* ---- timesteps and sigmas -------------------------------------------------------------------- */

static double
table_sigma(const struct noise_schedule *s, int t)
{
	return sqrt((1 - (double)s->alpha_cum[t]) / (double)s->alpha_cum[t]);
}

static double
sigma_at(const struct noise_schedule *s, double t)
{
	int i = (int)t;
	double f = t - i;

	if (i >= s->n - 1)
		return table_sigma(s, s->n - 1);
	return f == 0 ? table_sigma(s, i) : (1 - f) * table_sigma(s, i) + f * table_sigma(s, i + 1);
}

/* The timestep of a sigma, by linear interpolation of log sigma. */
static double
time_of(const struct noise_schedule *s, double sigma)
{
	double l = log(fmax(sigma, 1e-10)), a, b, w;
	int low = 0;

	while (low < s->n - 2 && log(table_sigma(s, low + 1)) <= l)
		low++;
	a = log(table_sigma(s, low));
	b = log(table_sigma(s, low + 1));
	w = (a - l) / (a - b);
	w = w < 0 ? 0 : w > 1 ? 1 : w;
	return (1 - w) * low + w * (low + 1);
}

static double
karras(double max, double min, int n, int i)
{
	double a = pow(max, 1 / 7.0), b = pow(min, 1 / 7.0);

	return pow(a + (n > 1 ? (double)i / (n - 1) : 0) * (b - a), 7);
}

static enum spacing
spacing_of(const struct sampler *s)
{
	if (s->cfg.spacing != SPACING_DEFAULT)
		return s->cfg.spacing;
	return by_sigma(s->kind) || dpmpp(s->kind) || s->kind == SAMPLER_UNIPC ? SPACING_LINSPACE
	                                                                      : SPACING_LEADING;
}

/* The plain descending timesteps of the method; multistep solvers take n + 1 points less the last. */
static void
plain_times(const struct sampler *s, double *t)
{
	bool more = dpmpp(s->kind) || s->kind == SAMPLER_UNIPC;
	int T = s->cfg.train_steps, n = s->steps, points = n + more;

	for (int i = 0; i < n; i++) {
		int up = points - 1 - i; /* position from the small end */

		switch (spacing_of(s)) {
		case SPACING_LEADING:
			t[i] = (double)up * (T / points) + s->cfg.steps_offset;
			break;
		case SPACING_TRAILING:
			t[i] = rint(T - i * ((double)T / n)) - 1;
			break;
		default:
			t[i] = points > 1 ? (double)up * (T - 1) / (points - 1) : 0;
			/* the sigma methods keep fractions */
			t[i] = by_sigma(s->kind) ? (double)(float)t[i] : rint(t[i]);
		}
	}
}

static void
set_lcm_times(struct sampler *s)
{
	int k = s->cfg.train_steps / 50;

	for (int i = 0; i < s->steps; i++)
		s->t[i] = (50 - (int)((double)i * 50 / s->steps)) * k - 1;
}

static void
set_sigmas(struct sampler *s, double *t)
{
	bool k = s->cfg.use_karras_sigmas || s->kind == SAMPLER_DPMPP_2M_KARRAS;
	bool zero = strcmp(s->cfg.final_sigmas, "sigma_min") != 0 || by_sigma(s->kind);
	double max = by_sigma(s->kind) ? sigma_at(&s->sched, t[0]) : table_sigma(&s->sched, s->sched.n - 1);
	double min = by_sigma(s->kind) ? sigma_at(&s->sched, t[s->steps - 1]) : table_sigma(&s->sched, 0);

	for (int i = 0; i < s->steps; i++) {
		if (!k) {
			s->sigma[i] = sigma_at(&s->sched, t[i]);
			continue;
		}
		s->sigma[i] = karras(max, min, s->steps, i);
		t[i] = time_of(&s->sched, s->sigma[i]);
		if (!by_sigma(s->kind))
			t[i] = rint(t[i]);
	}
	s->sigma[s->steps] = zero ? 0 : table_sigma(&s->sched, 0);
}

int
sampler_init(struct sampler *s, const struct noise_config *cfg, enum sampler_kind kind, int steps,
    size_t n)
{
	struct state *st;
	double *t;
	int room = 2 * steps + 2;

	if (steps < 1 || steps > cfg->train_steps)
		return err("%d sampling steps: want 1 to %d", steps, cfg->train_steps);
	if (kind == SAMPLER_PNDM && !cfg->skip_prk_steps)
		return err("PNDM with Runge-Kutta steps (skip_prk_steps false) is not supported");
	if (kind == SAMPLER_PNDM && steps < 2)
		return err("PNDM takes at least 2 steps");
	if (kind == SAMPLER_LCM && (steps > 50 || cfg->train_steps < 50))
		return err("LCM takes at most 50 steps");
	*s = (struct sampler){ .kind = kind, .cfg = *cfg, .steps = steps, .calls = steps, .init_sigma = 1,
		.n = n };
	noise_schedule_init(&s->sched, cfg);
	s->state = st = xcalloc(1, sizeof(*st));
	for (int i = 0; i < HISTORY; i++)
		st->m[i] = xcalloc(n, sizeof(float));
	st->kept = xcalloc(n, sizeof(float));
	st->slope = xcalloc(n, sizeof(float));
	s->t = xcalloc((size_t)room, sizeof(*s->t));
	t = xcalloc((size_t)room, sizeof(*t));
	plain_times(s, t);
	if (by_sigma(kind) || dpmpp(kind) || kind == SAMPLER_UNIPC) {
		s->sigma = xcalloc((size_t)room, sizeof(*s->sigma));
		set_sigmas(s, t);
	}
	memcpy(s->t, t, (size_t)steps * sizeof(*t));
	if (kind == SAMPLER_PNDM) {
		/* the second time is taken twice */
		s->calls = steps + 1;
		memcpy(s->t + 2, t + 1, (size_t)(steps - 1) * sizeof(*t));
	} else if (kind == SAMPLER_HEUN) {
		s->calls = 2 * steps - 1;
		for (int i = steps - 1; i > 0; i--) {
			s->t[2 * i] = s->t[2 * i - 1] = t[i];
			s->sigma[2 * i] = s->sigma[2 * i - 1] = s->sigma[i];
		}
		s->sigma[2 * steps - 1] = 0;
	} else if (kind == SAMPLER_LCM) {
		set_lcm_times(s);
	}
	if (by_sigma(kind))
		s->init_sigma = spacing_of(s) == SPACING_LEADING ? sqrt(s->sigma[0] * s->sigma[0] + 1)
		                                                : s->sigma[0];
	free(t);
	return 0;
}

void
sampler_begin(struct sampler *s, int skip)
{
	s->begin = s->kind == SAMPLER_HEUN ? 2 * skip : skip;
	if (s->kind == SAMPLER_PNDM && skip > 0) {
		/* the second time of those left is taken twice */
		s->t[skip] = s->t[skip + 1];
		if (skip + 2 <= s->steps)
			s->t[skip + 1] = s->t[skip + 2];
		else
			s->calls = skip + 1; /* one step is left, and nothing to average */
	}
}

void
sampler_release(struct sampler *s)
{
	struct state *st = s->state;

	noise_schedule_release(&s->sched);
	for (int i = 0; st && i < HISTORY; i++)
		free(st->m[i]);
	if (st) {
		free(st->kept);
		free(st->slope);
	}
	free(st);
	free(s->t);
	free(s->sigma);
	*s = (struct sampler){ 0 };
}

void
sampler_scale(const struct sampler *s, int call, const float *x, float *in)
{
	double f = by_sigma(s->kind) ? 1 / sqrt(s->sigma[call] * s->sigma[call] + 1) : 1;

	for (size_t i = 0; i < s->n; i++)
		in[i] = (float)(x[i] * f);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static double
alpha_at(const struct sampler *s, double t)
{
	bool one = s->cfg.has_set_alpha_to_one ? s->cfg.set_alpha_to_one : s->kind == SAMPLER_DDIM;

	if (t >= 0)
		return s->sched.alpha_cum[(int)t];
	return s->kind == SAMPLER_DDPM || one ? 1 : (double)s->sched.alpha_cum[0];
}

void
sampler_add_noise(const struct sampler *s, const float *x0, const float *noise, float *x)
{
	double keep = 1, add, a;

	if (s->sigma) {
		add = s->sigma[s->begin];
		if (!by_sigma(s->kind)) {
			keep = 1 / sqrt(add * add + 1);
			add *= keep;
		}
	} else {
		a = alpha_at(s, s->t[s->begin]);
		keep = sqrt(a);
		add = sqrt(1 - a);
	}
	for (size_t i = 0; i < s->n; i++)
		x[i] = (float)(keep * x0[i] + add * noise[i]);
}

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
push(struct state *st)
{
	float *last = st->m[HISTORY - 1];

	memmove(st->m + 1, st->m, (HISTORY - 1) * sizeof(*st->m));
	st->m[0] = last;
	if (st->have < HISTORY)
		st->have++;
	return last;
}

static void
ancestral(struct sampler *s, int call, const float *out, float *x, sampler_noise_fn *draw, void *ctx)
{
	struct state *st = s->state;
	double t = s->t[call], a = alpha_at(s, t), p = alpha_at(s, t - s->cfg.train_steps / s->steps);
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
			double eps = s->cfg.prediction == PREDICT_V ? sqrt(a) * out[i] + sqrt(1 - a) * x[i]
			    : s->cfg.prediction == PREDICT_EPSILON ? out[i]
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
	struct state *st = s->state;
	int ratio = s->cfg.train_steps / s->steps;
	bool first = call == s->begin, again = call == s->begin + 1;
	double t = again ? s->t[call] + ratio : s->t[call], prev = again ? s->t[call] : t - ratio;
	double a = alpha_at(s, t), p = alpha_at(s, prev);
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
	struct state *st = s->state;
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
	struct state *st = s->state;
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

/* Integral of the Lagrange polynomial j of the last `order` sigmas over the step: three Gauss points
 * are exact for its degree. */
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
				p *= (tau - s->sigma[call - k]) / (s->sigma[call - j] - s->sigma[call - k]);
		sum += weight[g] * p;
	}
	return 0.5 * (b - a) * sum;
}

static void
lms(struct sampler *s, int call, const float *out, float *x)
{
	struct state *st = s->state;
	float *d = push(st);
	double w[HISTORY], sigma = s->sigma[call];

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
	struct state *st = s->state;
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

/* UniPC, order 2, B(h) = e^h - 1 (bh2), predicting x0. b[k] of the paper's equation for order 1, 2. */
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
	struct state *st = s->state;
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
	struct state *st = s->state;
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
	struct state *st = s->state;
	bool last = call == s->steps - 1;
	double t = s->t[call], a = alpha_at(s, t), p = last ? 1 : alpha_at(s, s->t[call + 1]);
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
sampler_step(struct sampler *s, int call, const float *out, float *x, sampler_noise_fn *draw, void *ctx)
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
