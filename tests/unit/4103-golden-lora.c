/*
 * LoRA against diffusers: the U-Net with files of a golden set's diffusers/train/lora_*, merged
 * into its weights and beside them in its layers, and the gradients of the first step of training
 * one.
 */
#include "gold.h"
#include "model/lora.h"
#include "model/sd_loss.h"
#include "tensor/ops.h"

static char *root; /* .../diffusers */

static void
must(int ret)
{
	if (ret)
		die("%s", errmsg());
}

static const struct st_tensor *
find(const struct safetensors *st, const char *name)
{
	const struct st_tensor *t = st_find(st, name);

	if (!t)
		die("%s: no tensor %s", st->path, name);
	return t;
}

/* ||got - want|| / ||want||, in the file's layout. */
static double
distance(const float *got, const struct st_tensor *want)
{
	float *w = xmalloc((size_t)want->n * sizeof(*w));
	double d = 0, s = 0;

	st_get_f32(want, w);
	for (int64_t i = 0; i < want->n; i++) {
		d += ((double)got[i] - w[i]) * ((double)got[i] - w[i]);
		s += (double)w[i] * w[i];
	}
	free(w);
	return s > 0 ? sqrt(d / s) : d > 0 ? HUGE_VAL : 0;
}

/* A file's tensor on the device; images from [N,C,H,W] to [N,H,W,C]. */
static struct tensor *
input(const struct safetensors *st, const char *name)
{
	const struct st_tensor *t = find(st, name);
	float *v = xmalloc((size_t)t->n * sizeof(*v));
	struct tensor *x;

	st_get_f32(t, v);
	x = tensor_from(F32, t->ndim, t->dim, v);
	free(v);
	return t->ndim == 4 ? op_permute(x, (const int[]){ 0, 2, 3, 1 }) : x;
}

/* The first batch of a list of batches of images. */
static struct tensor *
first_batch(const struct safetensors *st, const char *name)
{
	const struct st_tensor *t = find(st, name);
	float *v = xmalloc((size_t)t->n * sizeof(*v));
	struct tensor *x;

	st_get_f32(t, v);
	x = op_permute(tensor_from(F32, 4, t->dim + 1, v), (const int[]){ 0, 2, 3, 1 });
	free(v);
	return x;
}

static void
open_in_set(struct safetensors *st, const char *name)
{
	char *path = path_join(root, name);

	must(st_open(st, path));
	free(path);
}

static void
model_open(struct sd_files *f, struct unet *m)
{
	char *path = path_join(root, "model");

	must(sd_files_open(f, path, &(struct sd_sources){ 0 }));
	must(unet_init(m, &f->cfg.unet, F32, false));
	must(params_load(&m->ps, &f->net[SD_UNET].st, "", 0));
	free(path);
}

static void
lora_of(struct lora_file *l, const char *name, size_t len, struct unet *m)
{
	char *sub = xasprintf("train/lora_%.*s", (int)len, name), *path = path_join(root, sub);

	must(lora_open(l, path, (const struct params *[SD_NETS]){ [SD_UNET] = &m->ps }));
	free(path);
	free(sub);
}

/* Case a of the set, whose result with a LoRA is `want`. */
static double
case_a(const struct unet *m, const struct safetensors *cases, const struct st_tensor *want)
{
	const struct st_tensor *times = find(cases, "a.timestep");
	struct tensor *x, *y;
	double t[64], d;
	float *v = xmalloc((size_t)want->n * sizeof(*v));

	if (times->n > 64)
		die("a.timestep: too many");
	st_get_f64(times, t);
	scope_open();
	x = input(cases, "a.sample");
	for (int64_t i = times->n; i < x->dim[0]; i++)
		t[i] = t[0];
	y = unet_forward(m, x, t, input(cases, "a.encoder_hidden_states"));
	tensor_get(op_permute(y, (const int[]){ 0, 3, 1, 2 }), v);
	scope_close();
	d = distance(v, want);
	free(v);
	return d;
}

/* NAME.scaleS.out: train/lora_NAME at strength S. Observed: 8.3e-7 to 1e-6. */
static void
inference(void)
{
	struct safetensors want, cases;
	struct sd_files f;
	struct unet m;
	bool was = grads_set(false);

	open_in_set(&want, "train/lora_inference.safetensors");
	open_in_set(&cases, "unet.safetensors");
	model_open(&f, &m);
	for (int i = 0; i < want.n; i++) {
		const char *name = want.t[i].name, *dot = strstr(name, ".scale");
		double scale;
		struct lora_file file;
		struct lora l;
		struct weights w;
		char what[128];

		if (!dot || sscanf(dot, ".scale%lf", &scale) != 1)
			die("%s: %s: not understood", want.path, name);
		lora_of(&file, name, (size_t)(dot - name), &m);
		/* in the layers */
		must(lora_load(&l, &m.ps, &file, SD_UNET));
		lora_strength(&l, scale);
		snprintf(what, sizeof(what), "%s, in the layers", name);
		gold_check(what, case_a(&m, &cases, &want.t[i]), 2e-5);
		lora_release(&l);
		/* in the weights */
		weights_init(&w, f.path);
		for (int k = 0; k < f.net[SD_UNET].st.n; k++)
			weights_add(&w, f.net[SD_UNET].st.t[k].name, &f.net[SD_UNET].st.t[k]);
		lora_merge(&file, SD_UNET, scale, &w);
		must(params_load(&m.ps, &w.st, "", 0));
		snprintf(what, sizeof(what), "%s, merged", name);
		gold_check(what, case_a(&m, &cases, &want.t[i]), 2e-5);
		must(params_load(&m.ps, &f.net[SD_UNET].st, "", 0));
		weights_close(&w);
		lora_close(&file);
	}
	unet_release(&m);
	sd_files_close(&f);
	st_close(&cases);
	st_close(&want);
	grads_set(was);
	gold_done("images with LoRA files");
}

/* What the run of this LoRA predicts, and the schedule of its noise. */
static enum prediction
prediction(struct noise_schedule *schedule)
{
	char *path = path_join(root, "model/scheduler/scheduler_config.json"), *text;
	struct arena mem = { 0 };
	struct noise_config c;
	const char *type;
	struct json j;

	must(noise_config_read(&c, path));
	noise_schedule_init(schedule, &c);
	free(path);
	path = path_join(root, "train/runs.json");
	must(json_read_file(&j, &text, path));
	type = json_str(&j, json_get(&j, json_get(&j, 0, "lora"), "prediction_type"), &mem);
	if (type)
		c.prediction = strcmp(type, "v_prediction") == 0 ? PREDICT_V : PREDICT_EPSILON;
	json_release(&j);
	arena_release(&mem);
	free(text);
	free(path);
	return c.prediction;
}

/* Observed: worst tensor 4.4e-6, all together 7.0e-7. */
static void
gradients(void)
{
	struct safetensors want, batch;
	double t[64], all = 0, norm = 0, worst = 0;
	int steps[64];
	enum prediction type;
	struct noise_schedule schedule;
	const struct st_tensor *times;
	char *path = path_join(root, "train/lora_grads_step0.safetensors");
	bool there = file_exists(path);
	struct lora_file file;
	struct sd_files f;
	struct unet m;
	struct lora l;

	free(path);
	if (!there)
		return;
	open_in_set(&want, "train/lora_grads_step0.safetensors");
	open_in_set(&batch, "train/batches.safetensors");
	model_open(&f, &m);
	lora_of(&file, "init", 4, &m);
	must(lora_load(&l, &m.ps, &file, SD_UNET));
	times = find(&batch, "timesteps");
	if (times->dim[1] > 64)
		die("timesteps: too many");
	for (int64_t i = 0; i < times->dim[1]; i++) {
		int64_t n;

		memcpy(&n, (const char *)times->data + 8 * i, 8);
		steps[i] = (int)n;
		t[i] = (double)n;
	}
	type = prediction(&schedule);
	for (int k = 0; k < 2; k++) { /* the second time without keeping activations */
		struct tensor *x, *noise;

		m.checkpointing = k;
		params_zero_grad(&l.ps);
		scope_open();
		x = first_batch(&batch, "latents");
		noise = first_batch(&batch, "noise");
		backward(op_mse(unet_forward(&m, sd_add_noise(&schedule, x, noise, steps), t,
		    input(&batch, "encoder_hidden_states_step0")),
		    sd_target(&schedule, type, x, noise, steps)));
		scope_close();
		all = norm = worst = 0;
		for (int i = 0; i < l.n; i++)
			for (int b = 0; b < 2; b++) {
				const struct param *p = b ? l.pair[i].b : l.pair[i].a;
				char *name = xasprintf("%s.lora_%c.default.weight",
				    l.pair[i].target, b ? 'B' : 'A');
				const struct st_tensor *w = find(&want, name);
				float *g = xmalloc((size_t)p->n * sizeof(*g)),
				      *v = xmalloc((size_t)p->n * sizeof(*v));
				double d;

				params_get_grad(p, g);
				st_get_f32(w, v);
				for (int64_t j = 0; j < p->n; j++) {
					all += ((double)g[j] - v[j]) * ((double)g[j] - v[j]);
					norm += (double)v[j] * v[j];
				}
				d = distance(g, w);
				worst = d > worst || isnan(d) ? d : worst;
				free(g);
				free(v);
				free(name);
			}
		gold_check(k ? "gradients with checkpointing" : "gradients", sqrt(all / norm),
		    1e-4);
		gold_check("of the worst tensor", worst, 1e-4);
		if (2 * l.n != want.n)
			gold_check("pairs missing", want.n / 2 - l.n, 0);
	}
	lora_release(&l);
	lora_close(&file);
	unet_release(&m);
	sd_files_close(&f);
	st_close(&batch);
	noise_schedule_release(&schedule);
	st_close(&want);
	gold_done("gradients of a LoRA");
}

int
main(void)
{
	char *probe;

	prog_init("4103-golden-lora");
	root = gold_open("diffusers");
	if (!root)
		return 0;
	probe = path_join(root, "train/lora_inference.safetensors");
	if (!file_exists(probe)) {
		puts("1..0 # SKIP this set has no LoRA");
		return 0;
	}
	free(probe);
	gpu_open(NULL);
	inference();
	gradients();
	free(root);
	return gold_end();
}
