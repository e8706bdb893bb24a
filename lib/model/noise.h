/*
 * Noise schedules and samplers, as diffusers' schedulers, in plain C on the CPU: a latent is small.
 * Tables are f32 as there, coefficients double.
 *
 *	struct sampler s;
 *	if (sampler_init(&s, &cfg, SAMPLER_EULER, 20, n)) ...
 *	for (i in n) x[i] = noise * s.init_sigma;
 *	for (int k = 0; k < s.calls; k++) {
 *		sampler_scale(&s, k, x, in);          model input
 *		model(in, s.t[k]) -> out
 *		sampler_step(&s, k, out, x, draw, ctx);
 *	}
 */
#ifndef MODEL_NOISE_H
#define MODEL_NOISE_H

#include "data/json.h"

#include <stdbool.h>
#include <stddef.h>

enum sampler_kind {
	SAMPLER_DDPM,
	SAMPLER_DDIM,
	SAMPLER_PNDM,
	SAMPLER_EULER,
	SAMPLER_EULER_A,
	SAMPLER_HEUN,
	SAMPLER_DPMPP_2M,
	SAMPLER_DPMPP_2M_KARRAS,
	SAMPLER_DPMPP_2M_SDE,
	SAMPLER_UNIPC,
	SAMPLER_LCM,
	SAMPLER_LMS
};
#define SAMPLERS \
	"ddpm|ddim|pndm|euler|euler-a|heun|dpmpp-2m|dpmpp-2m-karras|dpmpp-2m-sde|unipc|lcm|lms"
enum prediction { PREDICT_EPSILON, PREDICT_V, PREDICT_SAMPLE };
enum spacing { SPACING_DEFAULT, SPACING_LEADING, SPACING_LINSPACE, SPACING_TRAILING };

/* scheduler_config.json. "Making one class from another's file passes only keys written in the
 * file": has_* says which were. */
struct noise_config {
	char class_name[64];
	int train_steps;
	double beta_start, beta_end;
	char beta_schedule[32];
	enum prediction prediction;
	enum spacing spacing;
	int steps_offset;
	bool set_alpha_to_one, has_set_alpha_to_one, skip_prk_steps, clip_sample, use_karras_sigmas;
	bool rescale_betas_zero_snr, lower_order_final;
	double eta;                /* DDIM: 0 is deterministic; not in the file */
	char final_sigmas[16];     /* "zero", "sigma_min", "" for the class's default (zero) */
};
int noise_config_get(struct noise_config *, const struct json *, int v);
int noise_config_read(struct noise_config *, const char *path);
/* The sampler of the file's own class; -1 with a message if it is not known. */
int noise_config_sampler(const struct noise_config *);

/* Training side: tables over train_steps. Arrays are owned. */
struct noise_schedule {
	int n;
	float *beta, *alpha_cum; /* f32, as diffusers */
};
void noise_schedule_init(struct noise_schedule *, const struct noise_config *);
void noise_schedule_release(struct noise_schedule *);
double noise_snr(const struct noise_schedule *, int t);

struct sampler {
	enum sampler_kind kind;
	struct noise_config cfg;
	struct noise_schedule sched;
	int steps, calls;      /* model calls: PNDM makes steps + 1, Heun 2 steps - 1 */
	double *t;             /* [calls] timesteps for the model */
	double *sigma;         /* [steps + 1] where the method has them, or NULL */
	double init_sigma;
	int begin;             /* the first call: after 0 for a start from an image */
	size_t n;              /* values of one latent batch */
	void *state;
};
/* Called for fresh standard normal noise, n values. */
typedef void sampler_noise_fn(float *out, size_t n, void *ctx);

int sampler_init(struct sampler *, const struct noise_config *, enum sampler_kind, int steps,
    size_t n);
void sampler_release(struct sampler *);
/* Leaves out the first `skip` steps: calls then go from s->begin. */
void sampler_begin(struct sampler *, int skip);
/* The noisy latents of the first call, of a clean x0. */
void sampler_add_noise(const struct sampler *, const float *x0, const float *noise, float *x);
void sampler_scale(const struct sampler *, int call, const float *x, float *in);
/* out: the model's output of this call; x: latents, updated. */
void sampler_step(struct sampler *, int call, const float *out, float *x, sampler_noise_fn *draw,
    void *ctx);

#endif
