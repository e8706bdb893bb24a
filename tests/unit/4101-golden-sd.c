/*
 * The three nets of Stable Diffusion against diffusers and transformers: what a golden set's
 * diffusers/ folder holds (text_encoder, unet, vae .safetensors), on the set's own model folder. A
 * small set of the kind of SD 2 lies in tests/golden.
 */
#include "gold_set.h"

#include "model/sd_files.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char *root; /* .../diffusers */

static char *
in_set(const char *name)
{
	return path_join(root, name);
}

/* The set's model: in one file or in shards, in whatever width it is stored. */
static void
model(struct sd_files *f)
{
	char *path = in_set("model");

	if (sd_files_open(f, path, &(struct sd_sources){ 0 }))
		fail_msg("%s", errmsg());
	free(path);
}

static void
weights(struct params *ps, const struct sd_files *f, enum sd_net net)
{
	if (params_load(ps, &f->net[net].st, "", PARAMS_LIST))
		fail_msg("%s", errmsg());
}

/* ||got - want|| / ||want|| of a tensor [N,H,W,C] and a file's [N,C,H,W], or of equal shapes. */
static double
difference(struct tensor *got, const struct st_tensor *want)
{
	bool image = got->ndim == 4;
	int64_t c = image ? got->dim[3] : 1, p = image ? got->dim[1] * got->dim[2] : 1;
	float *g = malloc((size_t)got->n * sizeof(*g)), *w = malloc((size_t)got->n * sizeof(*w));
	double d = 0, s = 0;

	assert_non_null(want);
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

/* The text before `end` in the name of a tensor that has it there, or NULL; `a.sample` -> a. */
static const char *
case_of(const char *name, const char *end, char *out, size_t size)
{
	size_t n = strlen(name), k = strlen(end);

	if (n <= k || strcmp(name + n - k, end) != 0)
		return NULL;
	snprintf(out, size, "%.*s", (int)(n - k), name);
	return out;
}

/* ids [N,T] of a file's tensor from row `first` on, `n` of them. */
static struct tensor *
tokens(const struct st_tensor *t, int64_t first, int64_t n)
{
	int64_t len = t->dim[1];
	int32_t *ids = malloc((size_t)(n * len) * sizeof(*ids));
	struct tensor *x;

	assert_int_equal(t->dtype, ST_I64);
	for (int64_t i = 0; i < n * len; i++) {
		int64_t id;

		memcpy(&id, (const char *)t->data + 8 * (first * len + i), 8);
		ids[i] = (int32_t)id;
	}
	x = tensor_from(I32, 2, (int64_t[]){ n, len }, ids);
	free(ids);
	return x;
}

/* observed: 4.0e-7 */
static void
text_states(void **state)
{
	char *path = in_set("text_encoder.safetensors");
	const struct st_tensor *t;
	struct tensor **hidden;
	struct safetensors st;
	struct sd_files f;
	struct clip m;
	int prompt, layer;

	(void)state;
	model(&f);
	assert_int_equal(clip_init(&m, &f.cfg.text, F32, false), 0);
	weights(&m.ps, &f, SD_TEXT);
	assert_int_equal(st_open(&st, path), 0);
	t = st_find(&st, "input_ids");
	assert_non_null(t);
	hidden = calloc((size_t)m.cfg.layers + 1, sizeof(*hidden));
	scope_open();
	check("text states", difference(clip_forward(&m, tokens(t, 0, t->dim[0]), NULL),
	    st_find(&st, "last_hidden_state")), 2e-5);
	for (int i = 0; i < st.n; i++) {
		const char *name = st.t[i].name;

		if (sscanf(name, "prompt%d.hidden_states.%d", &prompt, &layer) != 2)
			continue;
		assert_in_range(layer, 0, m.cfg.layers);
		clip_forward(&m, tokens(t, prompt, 1), hidden);
		check(name, difference(hidden[layer], &st.t[i]), 2e-5);
	}
	scope_close();
	free(hidden);
	st_close(&st);
	clip_release(&m);
	sd_files_close(&f);
	free(path);
}

/* observed: 3e-7 to 1.1e-6 */
static void
unet_cases(void **state)
{
	char *path = in_set("unet.safetensors"), name[128], k[64];
	struct safetensors st;
	struct sd_files f;
	struct unet m;
	int cases = 0;

	(void)state;
	model(&f);
	assert_int_equal(unet_init(&m, &f.cfg.unet, F32, false), 0);
	weights(&m.ps, &f, SD_UNET);
	assert_int_equal(st_open(&st, path), 0);
	for (int i = 0; i < st.n; i++) {
		const struct st_tensor *times;
		struct tensor *x, *context;
		double t[64];

		if (!case_of(st.t[i].name, ".sample", k, sizeof(k)))
			continue;
		scope_open();
		x = input(&st, st.t[i].name);
		snprintf(name, sizeof(name), "%s.encoder_hidden_states", k);
		context = input(&st, name);
		snprintf(name, sizeof(name), "%s.timestep", k);
		times = st_find(&st, name);
		assert_non_null(times);
		assert_true(times->n <= 64 && x->dim[0] <= 64);
		st_get_f64(times, t);
		for (int64_t r = times->n; r < x->dim[0]; r++)
			t[r] = t[0];
		snprintf(name, sizeof(name), "%s.out", k);
		check(name, difference(unet_forward(&m, x, t, context), st_find(&st, name)), 2e-5);
		scope_close();
		cases++;
	}
	assert_true(cases > 0);
	st_close(&st);
	unet_release(&m);
	sd_files_close(&f);
	free(path);
}

/* observed: 1.9e-6 */
static void
vae_cases(void **state)
{
	char *path = in_set("vae.safetensors"), name[128], k[64];
	struct safetensors st;
	struct sd_files f;
	struct vae m;
	int cases = 0;

	(void)state;
	model(&f);
	assert_int_equal(vae_init(&m, &f.cfg.vae, F32, false), 0);
	weights(&m.ps, &f, SD_VAE);
	assert_int_equal(st_open(&st, path), 0);
	for (int i = 0; i < st.n; i++) {
		struct tensor *mean, *logvar, *z;

		if (!case_of(st.t[i].name, ".sample_noise", k, sizeof(k)))
			continue;
		scope_open();
		snprintf(name, sizeof(name), "%s.pixels", k);
		vae_encode(&m, input(&st, name), &mean, &logvar);
		snprintf(name, sizeof(name), "%s.mean", k);
		check(name, difference(mean, st_find(&st, name)), 2e-5);
		snprintf(name, sizeof(name), "%s.logvar", k);
		check(name, difference(logvar, st_find(&st, name)), 2e-5);
		z = op_add(mean,
		    op_mul(op_exp(op_affine(logvar, 0.5, 0)), input(&st, st.t[i].name)));
		snprintf(name, sizeof(name), "%s.latents_scaled", k);
		check(name, difference(op_affine(z, m.cfg.scaling, 0), st_find(&st, name)), 2e-5);
		snprintf(name, sizeof(name), "%s.decoded", k);
		check(name, difference(vae_decode(&m, z), st_find(&st, name)), 2e-5);
		scope_close();
		cases++;
	}
	for (int i = 0; i < st.n; i++) { /* those that are only decoded */
		if (!case_of(st.t[i].name, ".latents", k, sizeof(k)))
			continue;
		scope_open();
		snprintf(name, sizeof(name), "%s.decoded", k);
		check(name, difference(vae_decode(&m, input(&st, st.t[i].name)),
		    st_find(&st, name)), 2e-5);
		scope_close();
	}
	assert_true(cases > 0);
	st_close(&st);
	vae_release(&m);
	sd_files_close(&f);
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
	int failed;

	if (!(root = gold_open_or_copy("diffusers")))
		return 0;
	gpu_open(NULL);
	grads_set(false);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(root);
	return failed;
}
