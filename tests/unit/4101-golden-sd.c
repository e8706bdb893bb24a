/*
 * The three nets of Stable Diffusion against diffusers and transformers: what a golden set's
 * diffusers/ folder holds (text_encoder, unet, vae .safetensors), on the set's own model folder.
 */
#include "base/err.h"
#include "base/file.h"
#include "data/safetensors.h"
#include "model/clip.h"
#include "model/unet.h"
#include "model/vae.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *root; /* .../diffusers */

static char *
in_set(const char *name)
{
	return path_join(root, name);
}

/* A config.json and what get makes of it. */
static void
config(const char *name, int (*get)(void *, const struct json *, int), void *out)
{
	char *path = in_set(name), *text;
	struct json j;

	if (json_read_file(&j, &text, path) || get(out, &j, 0))
		fail_msg("%s", errmsg());
	json_release(&j);
	free(text);
	free(path);
}

static void
weights(struct params *ps, const char *name, int flags)
{
	char *path = in_set(name);

	if (params_load_file(ps, path, flags))
		fail_msg("%s", errmsg());
	free(path);
}

/* ||got - want|| / ||want|| of a tensor [N,H,W,C] and a file's [N,C,H,W], or of equal shapes. */
static double
difference(struct tensor *got, const struct st_tensor *want)
{
	bool image = got->ndim == 4;
	int64_t c = image ? got->dim[3] : 1, p = image ? got->dim[1] * got->dim[2] : 1;
	float *g = malloc((size_t)got->n * sizeof(*g)), *w = malloc((size_t)got->n * sizeof(*w));
	double d = 0, s = 0;

	assert_int_equal(got->n, want->n);
	tensor_get(got, g);
	st_get_f32(want, w);
	for (int64_t i = 0; i < got->n; i++) {
		int64_t at = image ? (i / (c * p) * p + i % p) * c + i / p % c : i;
		double e = (double)g[at] - w[i];

		d += e * e;
		s += (double)w[i] * w[i];
	}
	free(g);
	free(w);
	d = sqrt(d / s);
	return d == d ? d : HUGE_VAL;
}

/* A file's tensor on the device; images from [N,C,H,W] to [N,H,W,C]. */
static struct tensor *
input(const struct safetensors *st, const char *name)
{
	const struct st_tensor *t = st_find(st, name);
	float *v;
	struct tensor *x;

	if (!t)
		fail_msg("no tensor %s", name);
	v = malloc((size_t)t->n * sizeof(*v));
	st_get_f32(t, v);
	x = tensor_from(F32, t->ndim, t->dim, v);
	free(v);
	return t->ndim == 4 ? op_permute(x, (const int[]){ 0, 2, 3, 1 }) : x;
}

static void
check(const char *what, double e, double bound)
{
	print_message("%s: relative error %.2g (bound: %g)\n", what, e, bound);
	assert_true(e <= bound);
}

static int
get_clip(void *out, const struct json *j, int v)
{
	return clip_config_get(out, j, v);
}

static int
get_unet(void *out, const struct json *j, int v)
{
	return unet_config_get(out, j, v);
}

static int
get_vae(void *out, const struct json *j, int v)
{
	return vae_config_get(out, j, v);
}

/* observed: 2.9e-7 */
static void
text_states(void **state)
{
	char *path = in_set("text_encoder.safetensors");
	const struct st_tensor *t;
	struct safetensors st;
	struct clip_config c;
	struct tensor *hidden[64], *y;
	struct clip m;
	int32_t *ids;

	(void)state;
	config("model/text_encoder/config.json", get_clip, &c);
	assert_int_equal(clip_init(&m, &c, F32, false), 0);
	weights(&m.ps, "model/text_encoder/model.safetensors", PARAMS_EXTRA);
	assert_int_equal(st_open(&st, path), 0);
	t = st_find(&st, "input_ids");
	assert_non_null(t);
	assert_int_equal(t->dtype, ST_I64);
	ids = malloc((size_t)t->n * sizeof(*ids));
	for (int64_t i = 0; i < t->n; i++) {
		int64_t id;

		memcpy(&id, (const char *)t->data + 8 * i, 8);
		ids[i] = (int32_t)id;
	}
	scope_open();
	y = clip_forward(&m, tensor_from(I32, 2, t->dim, ids), NULL);
	check("text states", difference(y, st_find(&st, "last_hidden_state")), 2e-5);
	y = clip_forward(&m, tensor_from(I32, 2, (int64_t[]){ 1, t->dim[1] }, ids + 3 * t->dim[1]),
	    hidden);
	for (int i = 0; i <= c.layers && i < 64; i++) {
		char name[64];

		snprintf(name, sizeof(name), "prompt3.hidden_states.%d", i);
		if (st_find(&st, name))
			check(name, difference(hidden[i], st_find(&st, name)), 2e-5);
	}
	scope_close();
	free(ids);
	st_close(&st);
	clip_release(&m);
	free(path);
}

/* observed: 3e-7 to 8e-7 */
static void
unet_cases(void **state)
{
	char *path = in_set("unet.safetensors"), name[64];
	struct safetensors st;
	struct unet_config c;
	struct unet m;
	int cases = 0;

	(void)state;
	config("model/unet/config.json", get_unet, &c);
	assert_int_equal(unet_init(&m, &c, F32, false), 0);
	weights(&m.ps, "model/unet/diffusion_pytorch_model.safetensors", 0);
	assert_int_equal(st_open(&st, path), 0);
	for (char k = 'a'; k <= 'z'; k++) {
		const struct st_tensor *times;
		double t[64];

		snprintf(name, sizeof(name), "%c.timestep", k);
		times = st_find(&st, name);
		if (!times)
			continue;
		scope_open();
		snprintf(name, sizeof(name), "%c.sample", k);
		struct tensor *x = input(&st, name);

		snprintf(name, sizeof(name), "%c.encoder_hidden_states", k);
		struct tensor *context = input(&st, name), *y;

		assert_true(times->n <= 64);
		st_get_f64(times, t);
		for (int64_t i = times->n; i < x->dim[0]; i++)
			t[i] = t[0];
		y = unet_forward(&m, x, t, context);
		snprintf(name, sizeof(name), "%c.out", k);
		check(name, difference(y, st_find(&st, name)), 2e-5);
		scope_close();
		cases++;
	}
	assert_true(cases > 0);
	st_close(&st);
	unet_release(&m);
	free(path);
}

/* observed: 9e-7 (mean 1.2e-6) */
static void
vae_cases(void **state)
{
	char *path = in_set("vae.safetensors"), name[64];
	struct safetensors st;
	struct vae_config c;
	struct vae m;
	int cases = 0;

	(void)state;
	config("model/vae/config.json", get_vae, &c);
	assert_int_equal(vae_init(&m, &c, F32, false), 0);
	weights(&m.ps, "model/vae/diffusion_pytorch_model.safetensors", 0);
	assert_int_equal(st_open(&st, path), 0);
	for (char k = 'a'; k <= 'z'; k++) {
		struct tensor *mean, *logvar, *z, *noise;

		snprintf(name, sizeof(name), "%c.sample_noise", k);
		if (!st_find(&st, name))
			continue;
		scope_open();
		noise = input(&st, name);
		snprintf(name, sizeof(name), "%c.pixels", k);
		vae_encode(&m, input(&st, name), &mean, &logvar);
		snprintf(name, sizeof(name), "%c.mean", k);
		check(name, difference(mean, st_find(&st, name)), 2e-5);
		snprintf(name, sizeof(name), "%c.logvar", k);
		check(name, difference(logvar, st_find(&st, name)), 2e-5);
		z = op_add(mean, op_mul(op_exp(op_affine(logvar, 0.5, 0)), noise));
		snprintf(name, sizeof(name), "%c.latents_scaled", k);
		check(name, difference(op_affine(z, c.scaling, 0), st_find(&st, name)), 2e-5);
		snprintf(name, sizeof(name), "%c.decoded", k);
		check(name, difference(vae_decode(&m, z), st_find(&st, name)), 2e-5);
		scope_close();
		cases++;
	}
	assert_true(cases > 0);
	st_close(&st);
	vae_release(&m);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_states),
		cmocka_unit_test(unet_cases),
		cmocka_unit_test(vae_cases),
	};
	const char *golden = getenv("GOLDEN");
	char *index;
	bool have;
	int failed;

	root = path_join(golden ? golden : "/nonexistent", "diffusers");
	index = in_set("model/unet/config.json");
	have = file_exists(index);
	free(index);
	if (!have) {
		free(root);
		puts("1..0 # SKIP no diffusers set in GOLDEN");
		return 0;
	}
	gpu_open(NULL);
	grads_set(false);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(root);
	return failed;
}
