/*
 * Every sampler's whole trajectory against diffusers', on fixed model outputs: the runs that
 * diffusers/schedulers_unit*.safetensors of a golden set hold; and the tables of the noise
 * schedule.
 */
#include "base/err.h"
#include "base/file.h"
#include "data/safetensors.h"
#include "model/noise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *golden;
static struct json configs;
static char *configs_text;

static float *
values(const struct safetensors *st, const char *name, int64_t *n)
{
	const struct st_tensor *t = st_find(st, name);
	float *v;

	if (!t)
		return NULL;
	v = malloc((size_t)t->n * sizeof(*v) + 1);
	st_get_f32(t, v);
	if (n)
		*n = t->n;
	return v;
}

static double
relative(const float *a, const float *b, int64_t n)
{
	double d = 0, s = 0;

	for (int64_t i = 0; i < n; i++) {
		d += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
		s += (double)b[i] * b[i];
	}
	return sqrt(d / (s > 0 ? s : 1));
}

struct noises {
	const float *v;
	size_t n, drawn;
};

static void
draw(float *out, size_t n, void *ctx)
{
	struct noises *d = ctx;

	memcpy(out, d->v + d->drawn++ * d->n, n * sizeof(*out));
}

static bool
starts(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* "epsilon.NAME.10" -> a sampler; false if no such configuration is known. */
static bool
make(struct sampler *s, const char *prediction, const char *name, int steps, size_t n)
{
	char base[64];
	struct arena mem = { 0 };
	struct noise_config c;
	int v, kind;

	/* later versions' UniPC differs from the one in scheduler_configs.json by its last sigma */
	snprintf(base, sizeof(base), "%s", starts(name, "unipc_") ? "unipc" : name);
	v = json_get(&configs, 0, base);
	if (v < 0)
		v = json_get(&configs, 0, "ddim"); /* ddim_zsnr stands only under v_prediction */
	assert_int_equal(noise_config_get(&c, &configs, v), 0);
	snprintf(c.class_name, sizeof(c.class_name), "%s",
	    json_str(&configs, json_get(&configs, v, "class"), &mem));
	arena_release(&mem);
	if (strcmp(name, "ddim_zsnr") == 0) {
		c.rescale_betas_zero_snr = true;
		c.spacing = SPACING_TRAILING;
	}
	c.prediction = strcmp(prediction, "v_prediction") == 0 ? PREDICT_V : PREDICT_EPSILON;
	c.eta = strcmp(name, "ddim_eta1") == 0 ? 1 : 0;
	if (strcmp(name, "unipc") == 0)
		strcpy(c.final_sigmas, "sigma_min");
	kind = noise_config_sampler(&c);
	assert_true(kind >= 0);
	if (sampler_init(s, &c, (enum sampler_kind)kind, steps, n))
		fail_msg("%s: %s", name, errmsg());
	return true;
}

/* One run; returns its worst relative error over all calls. */
static double
run(const struct safetensors *st, const struct safetensors *inputs, const char *key)
{
	char prediction[32], name[64], word[160];
	int steps;
	int64_t n = 0, total = 0, nt = 0;
	float *initial = values(inputs, "initial", &n),
	      *outs = values(inputs, "model_outputs", NULL);
	float *noise = values(inputs, "noises", NULL), *want, *times, *x, *in, *scaled, *sigmas;
	struct noises d = { noise, (size_t)n, 0 };
	struct sampler s;
	double worst = 0;

	assert_int_equal(sscanf(key, "%31[^.].%63[^.].%d", prediction, name, &steps), 3);
	assert_true(make(&s, prediction, name, steps, (size_t)n));
	snprintf(word, sizeof(word), "%s.%s.%d.latents", prediction, name, steps);
	want = values(st, word, &total);
	snprintf(word, sizeof(word), "%s.%s.%d.timesteps", prediction, name, steps);
	times = values(st, word, &nt);
	snprintf(word, sizeof(word), "%s.%s.%d.model_inputs", prediction, name, steps);
	scaled = values(st, word, NULL);
	snprintf(word, sizeof(word), "%s.%s.%d.sigmas", prediction, name, steps);
	sigmas = values(st, word, NULL);
	assert_int_equal(s.calls, nt);
	assert_int_equal(total, n * nt);
	x = malloc((size_t)n * sizeof(*x));
	in = malloc((size_t)n * sizeof(*in));
	for (int64_t i = 0; i < n; i++)
		x[i] = (float)(initial[i] * s.init_sigma);
	for (int k = 0; k < s.calls; k++) {
		double e = fabs(s.t[k] - times[k]) / 1000;

		worst = fmax(worst, e);
		if (sigmas)
			worst = fmax(worst, fabs(s.sigma[k] - sigmas[k]) / sigmas[0]);
		sampler_scale(&s, k, x, in);
		if (scaled)
			worst = fmax(worst, relative(in, scaled + k * n, n));
		sampler_step(&s, k, outs + k * n, x, draw, &d);
		e = relative(x, want + k * n, n);
		worst = e == e ? fmax(worst, e) : HUGE_VAL;
	}
	sampler_release(&s);
	free(initial);
	free(outs);
	free(noise);
	free(want);
	free(times);
	free(scaled);
	free(sigmas);
	free(x);
	free(in);
	return worst;
}

static void
trajectories(const char *file)
{
	char *path = path_join(golden, file), *base = path_join(golden,
	    "diffusers/schedulers_unit.safetensors");
	struct safetensors st, inputs;
	double worst = 0;
	int runs = 0;

	assert_int_equal(st_open(&inputs, base), 0);
	assert_int_equal(st_open(&st, path), 0);
	for (int i = 0; i < st.n; i++) {
		const char *end = strstr(st.t[i].name, ".latents");
		double e;

		if (!end)
			continue;
		e = run(&st, &inputs, st.t[i].name);
		if (e > 1e-4)
			print_message("%s: %.2g\n", st.t[i].name, e);
		worst = fmax(worst, e);
		runs++;
	}
	/* observed: 5.7e-6 */
	print_message("%d trajectories: worst relative error %.2g (bound: 1e-3)\n", runs, worst);
	assert_true(runs > 0);
	assert_true(worst <= 1e-3);
	st_close(&st);
	st_close(&inputs);
	free(path);
	free(base);
}

static void
trajectories_equal_diffusers(void **state)
{
	(void)state;
	trajectories("diffusers/schedulers_unit.safetensors");
}

static void
trajectories_equal_newer_diffusers(void **state)
{
	char *path = path_join(golden, "diffusers/schedulers_unit_v040.safetensors");

	(void)state;
	if (file_exists(path))
		trajectories("diffusers/schedulers_unit_v040.safetensors");
	free(path);
}

static void
tables_equal_diffusers(void **state)
{
	static const char *const names[] = { "betas", "alphas_cumprod", "alphas_cumprod_zero_snr",
	    "snr" };
	char *path = path_join(golden, "diffusers/noise_schedule.safetensors");
	struct safetensors st;

	(void)state;
	if (!file_exists(path)) {
		free(path);
		return;
	}
	assert_int_equal(st_open(&st, path), 0);
	for (int i = 0; i < 4; i++) {
		int64_t n = 0;
		float *want = values(&st, names[i], &n), *got;
		struct noise_config c;
		struct noise_schedule s;
		double e;

		assert_non_null(want);
		assert_int_equal(noise_config_get(&c, &configs, json_get(&configs, 0, "ddpm")), 0);
		c.rescale_betas_zero_snr = i == 2;
		noise_schedule_init(&s, &c);
		assert_int_equal(s.n, n);
		got = i == 0 ? s.beta : s.alpha_cum;
		if (i == 3)
			for (int k = 0; k < s.n; k++)
				got[k] = (float)noise_snr(&s, k);
		e = relative(got, want, n);
		print_message("%s: relative error %.2g (bound: 1e-5)\n", names[i], e);
		assert_true(e <= 1e-5);
		noise_schedule_release(&s);
		free(want);
	}
	st_close(&st);
	free(path);
}

/* Python wrote the file, and with it -Infinity, which is no JSON: a number as far off stands in. */
static int
read_configs(const char *path)
{
	size_t len;
	char *at;

	if (file_read(path, 1 << 24, &configs_text, &len))
		return -1;
	while ((at = strstr(configs_text, "-Infinity")))
		memcpy(at, "-1.00e300", 9);
	return json_parse(&configs, configs_text, len);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_equal_diffusers),
		cmocka_unit_test(trajectories_equal_diffusers),
		cmocka_unit_test(trajectories_equal_newer_diffusers),
	};
	char *path;
	bool have;
	int failed;

	golden = getenv("GOLDEN");
	path = path_join(golden ? golden : "/nonexistent", "diffusers/scheduler_configs.json");
	have = file_exists(path);
	if (!have) {
		free(path);
		puts("1..0 # SKIP no diffusers set in GOLDEN");
		return 0;
	}
	if (read_configs(path)) {
		printf("Bail out! %s\n", errmsg());
		return 1;
	}
	free(path);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	json_release(&configs);
	free(configs_text);
	return failed;
}
