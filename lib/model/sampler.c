/* Samplers: which timesteps and sigmas they go through, as diffusers 0.27. The steps are
 * sampler_step.c's. */
#include "model/sampler_state.h"

#include "base/err.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* The plain descending timesteps of the method; multistep solvers take n + 1 points less the
 * last. */
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
	double max = by_sigma(s->kind) ? sigma_at(&s->sched, t[0])
	    : table_sigma(&s->sched, s->sched.n - 1);
	double min = by_sigma(s->kind) ? sigma_at(&s->sched, t[s->steps - 1])
	    : table_sigma(&s->sched, 0);

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
	struct sampler_state *st;
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
	*s = (struct sampler){ .kind = kind, .cfg = *cfg, .steps = steps, .calls = steps,
		.init_sigma = 1, .n = n };
	noise_schedule_init(&s->sched, cfg);
	/* no signal at all at the last time is an infinite sigma: a little is left, as diffusers
	 * leaves it */
	if (cfg->rescale_betas_zero_snr && kind != SAMPLER_DDPM && kind != SAMPLER_DDIM &&
	    kind != SAMPLER_LCM)
		s->sched.alpha_cum[s->sched.n - 1] = 0x1p-24f;
	s->state = st = xcalloc(1, sizeof(*st));
	for (int i = 0; i < SAMPLER_HISTORY; i++)
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
		s->init_sigma = spacing_of(s) == SPACING_LEADING
		    ? sqrt(s->sigma[0] * s->sigma[0] + 1)
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
	struct sampler_state *st = s->state;

	noise_schedule_release(&s->sched);
	for (int i = 0; st && i < SAMPLER_HISTORY; i++)
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

/* ---- noise ----------------------------------------------------------------------------------- */

double
sampler_alpha(const struct sampler *s, double t)
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
		a = sampler_alpha(s, s->t[s->begin]);
		keep = sqrt(a);
		add = sqrt(1 - a);
	}
	for (size_t i = 0; i < s->n; i++)
		x[i] = (float)(keep * x0[i] + add * noise[i]);
}
