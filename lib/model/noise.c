/* Noise schedules: scheduler_config.json, and the tables that training and samplers share. */
#include "model/noise.h"

#include "base/err.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
get_text(const struct json *j, int obj, const char *key, char *out, size_t size)
{
	struct arena mem = { 0 };
	int v = json_get(j, obj, key);
	const char *s;

	if (v < 0 || j->v[v].type == JSON_NULL)
		return 0;
	s = json_str(j, v, &mem);
	if (s && strlen(s) < size)
		strcpy(out, s);
	arena_release(&mem);
	return s && strlen(out) < size ? 0 : err("%s: not a word", key);
}

int
noise_config_get(struct noise_config *c, const struct json *j, int v)
{
	char prediction[32] = "epsilon", spacing[32] = "";
	double steps = 1000, offset = 0;

	*c = (struct noise_config){ .beta_start = 0.0001, .beta_end = 0.02,
		.beta_schedule = "linear", .clip_sample = true, .lower_order_final = true };
	if (get_text(j, v, "_class_name", c->class_name, sizeof(c->class_name)) ||
	    get_text(j, v, "beta_schedule", c->beta_schedule, sizeof(c->beta_schedule)) ||
	    get_text(j, v, "prediction_type", prediction, sizeof(prediction)) ||
	    get_text(j, v, "timestep_spacing", spacing, sizeof(spacing)) ||
	    get_text(j, v, "final_sigmas_type", c->final_sigmas, sizeof(c->final_sigmas)) ||
	    json_member_num(j, v, "num_train_timesteps", &steps) ||
	    json_member_num(j, v, "steps_offset", &offset) ||
	    json_member_num(j, v, "beta_start", &c->beta_start) ||
	    json_member_num(j, v, "beta_end", &c->beta_end) ||
	    json_member_bool(j, v, "set_alpha_to_one", &c->set_alpha_to_one) ||
	    json_member_bool(j, v, "skip_prk_steps", &c->skip_prk_steps) ||
	    json_member_bool(j, v, "clip_sample", &c->clip_sample) ||
	    json_member_bool(j, v, "use_karras_sigmas", &c->use_karras_sigmas) ||
	    json_member_bool(j, v, "rescale_betas_zero_snr", &c->rescale_betas_zero_snr) ||
	    json_member_bool(j, v, "lower_order_final", &c->lower_order_final))
		return -1;
	c->has_set_alpha_to_one = json_get(j, v, "set_alpha_to_one") >= 0;
	if (!(steps >= 1 && steps <= 100000) || !(offset >= 0 && offset <= steps))
		return err("num_train_timesteps %g, steps_offset %g", steps, offset);
	c->train_steps = (int)steps;
	c->steps_offset = (int)offset;
	if (!(c->beta_start > 0 && c->beta_end < 1 && c->beta_start <= c->beta_end))
		return err("beta_start %g, beta_end %g", c->beta_start, c->beta_end);
	if (strcmp(prediction, "epsilon") == 0)
		c->prediction = PREDICT_EPSILON;
	else if (strcmp(prediction, "v_prediction") == 0)
		c->prediction = PREDICT_V;
	else if (strcmp(prediction, "sample") == 0)
		c->prediction = PREDICT_SAMPLE;
	else
		return err("prediction_type '%s'", prediction);
	if (!*spacing)
		c->spacing = SPACING_DEFAULT;
	else if (strcmp(spacing, "leading") == 0)
		c->spacing = SPACING_LEADING;
	else if (strcmp(spacing, "linspace") == 0)
		c->spacing = SPACING_LINSPACE;
	else if (strcmp(spacing, "trailing") == 0)
		c->spacing = SPACING_TRAILING;
	else
		return err("timestep_spacing '%s'", spacing);
	if (strcmp(c->beta_schedule, "linear") != 0 &&
	    strcmp(c->beta_schedule, "scaled_linear") != 0 &&
	    strcmp(c->beta_schedule, "squaredcos_cap_v2") != 0)
		return err("beta_schedule '%s'", c->beta_schedule);
	return 0;
}

int
noise_config_read(struct noise_config *c, const char *path)
{
	struct json j;
	char *text;
	int ret;

	if (json_read_file(&j, &text, path))
		return -1;
	ret = noise_config_get(c, &j, 0);
	json_release(&j);
	free(text);
	return ret ? err_prefix("%s", path) : 0;
}

int
noise_config_sampler(const struct noise_config *c)
{
	static const struct {
		const char *name;
		enum sampler_kind kind;
	} classes[] = {
		{ "DDPMScheduler", SAMPLER_DDPM },
		{ "DDIMScheduler", SAMPLER_DDIM },
		{ "PNDMScheduler", SAMPLER_PNDM },
		{ "EulerDiscreteScheduler", SAMPLER_EULER },
		{ "EulerAncestralDiscreteScheduler", SAMPLER_EULER_A },
		{ "HeunDiscreteScheduler", SAMPLER_HEUN },
		{ "DPMSolverMultistepScheduler", SAMPLER_DPMPP_2M },
		{ "UniPCMultistepScheduler", SAMPLER_UNIPC },
		{ "LCMScheduler", SAMPLER_LCM },
		{ "LMSDiscreteScheduler", SAMPLER_LMS },
	};

	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++)
		if (strcmp(c->class_name, classes[i].name) == 0)
			return (int)classes[i].kind;
	return err("scheduler class '%s' is not known", c->class_name);
}

/* torch.linspace in f32: from both ends to the middle. */
static float
linspace(float a, float b, int n, int i)
{
	float step = n > 1 ? (b - a) / (float)(n - 1) : 0;

	return i < n / 2 ? a + step * (float)i : b - step * (float)(n - 1 - i);
}

static double
cosine_bar(double t)
{
	double c = cos((t + 0.008) / 1.008 * 1.5707963267948966);

	return c * c;
}

/* Lin et al., Common diffusion noise schedules and sample steps are flawed (2305.08891), algorithm
 * 1. */
static void
zero_terminal_snr(float *beta, int n)
{
	float *bar = xcalloc((size_t)n, sizeof(*bar)), cum = 1, first, last;

	for (int i = 0; i < n; i++) {
		cum *= 1 - beta[i];
		bar[i] = sqrtf(cum);
	}
	first = bar[0];
	last = bar[n - 1];
	for (int i = 0; i < n; i++) {
		bar[i] = (bar[i] - last) * (first / (first - last));
		bar[i] *= bar[i];
	}
	for (int i = n - 1; i > 0; i--)
		beta[i] = 1 - bar[i] / bar[i - 1];
	beta[0] = 1 - bar[0];
	free(bar);
}

void
noise_schedule_init(struct noise_schedule *s, const struct noise_config *c)
{
	int n = c->train_steps;
	float cum = 1;

	*s = (struct noise_schedule){ n, xcalloc((size_t)n, sizeof(float)),
		xcalloc((size_t)n, sizeof(float)) };
	for (int i = 0; i < n; i++) {
		if (strcmp(c->beta_schedule, "scaled_linear") == 0) {
			float r =
			    linspace((float)sqrt(c->beta_start), (float)sqrt(c->beta_end), n, i);

			s->beta[i] = r * r;
		} else if (strcmp(c->beta_schedule, "linear") == 0) {
			s->beta[i] = linspace((float)c->beta_start, (float)c->beta_end, n, i);
		} else {
			s->beta[i] = (float)fmin(
			    1 - cosine_bar((i + 1.0) / n) / cosine_bar((double)i / n), 0.999);
		}
	}
	if (c->rescale_betas_zero_snr)
		zero_terminal_snr(s->beta, n);
	for (int i = 0; i < n; i++)
		s->alpha_cum[i] = cum *= 1 - s->beta[i];
}

void
noise_schedule_release(struct noise_schedule *s)
{
	free(s->beta);
	free(s->alpha_cum);
	*s = (struct noise_schedule){ 0 };
}

double
noise_snr(const struct noise_schedule *s, int t)
{
	return (double)s->alpha_cum[t] / (1 - (double)s->alpha_cum[t]);
}
