/*
 * Training runs of a golden set (diffusers/train) against diffusers' own: some batches each, with
 * accumulation, min-SNR weights, v prediction, prior preservation, running means. What there is to
 * run stands in runs.json: losses, gradients' norms, every gradient of the first step, the weights
 * at the end.
 *
 * Observed on lavapipe, the most of all runs: losses 3.0e-6, gradients 7.3e-7 (worst tensor 3.2e-6,
 * worst norm 5.3e-6), norms before clipping 7.4e-6, updates 8.7e-5, largest difference of a weight
 * 6.7e-6.
 */
#include "gold_set.h"

#include "model/lora.h"
#include "model/sd_files.h"
#include "model/sd_step.h"
#include "nn/schedule.h"

#include <stdbool.h>
#include <unistd.h>

static char *root; /* .../diffusers */

static struct {
	struct safetensors st;
	int64_t batches;
	int64_t n, tokens, c, h, w; /* of a batch */
	float *latents, *noise;     /* [batches][n][h*w][c] */
	int32_t *ids;               /* [batches][n][tokens] */
	int *t;                     /* [batches][n] */
} data;

static struct {
	struct sd_files files;
	struct unet unet;
	struct clip text;
	struct noise_config noise;
} model;
static struct noise_schedule schedule;

static void
read_batches(void)
{
	char *dir = path_join(root, "train");
	const struct st_tensor *t;
	float *v;

	gold_read(&data.st, dir, "batches.safetensors");
	v = gold_f32(&data.st, "latents", &t);
	data.batches = t->dim[0];
	data.n = t->dim[1];
	data.c = t->dim[2];
	data.h = t->dim[3];
	data.w = t->dim[4];
	data.latents =
	    gold_swap(v, (size_t)(t->dim[0] * data.n), (size_t)data.c, (size_t)(data.h * data.w));
	free(v);
	v = gold_f32(&data.st, "noise", &t);
	data.noise =
	    gold_swap(v, (size_t)(t->dim[0] * data.n), (size_t)data.c, (size_t)(data.h * data.w));
	free(v);
	v = gold_f32(&data.st, "input_ids", &t);
	data.tokens = t->dim[2];
	data.ids = xmalloc((size_t)t->n * sizeof(*data.ids));
	for (int64_t i = 0; i < t->n; i++)
		data.ids[i] = (int32_t)v[i];
	free(v);
	v = gold_f32(&data.st, "timesteps", &t);
	data.t = xmalloc((size_t)t->n * sizeof(*data.t));
	for (int64_t i = 0; i < t->n; i++)
		data.t[i] = (int)v[i];
	free(v);
	free(dir);
}

/* Batch i on the device, in the innermost scope. */
static struct sd_batch
batch(int i, bool prior)
{
	const int64_t dim[] = { data.n, data.h, data.w, data.c }, px = data.n * data.h * data.w *
	    data.c;
	struct sd_batch b = { .t = data.t + i * data.n, .prior = prior ? (int)data.n / 2 : 0 };
	bool was = grads_set(false);

	b.x = tensor_from(F32, 4, dim, data.latents + i * px);
	b.noise = tensor_from(F32, 4, dim, data.noise + i * px);
	b.context = clip_forward(&model.text,
	    tensor_from(I32, 2, (int64_t[]){ data.n, data.tokens },
	        data.ids + i * data.n * data.tokens),
	    NULL);
	grads_set(was);
	return b;
}

/* train/NAME_WHAT.safetensors; what a run of running means shares with the plain one is called by
 * the latter's name. Caller frees. */
static char *
file_of(const char *name, const char *what)
{
	size_t n = strlen(name);

	if (n > 4 && strcmp(name + n - 4, "_ema") == 0)
		n -= 4;
	return xasprintf("train/%.*s_%s.safetensors", (int)n, name, what);
}

/* ---- what is compared ------------------------------------------------------------------------ */

/* The i-th number of a list in a run. */
static double
listed(const struct json *j, int run, const char *key, int i)
{
	double x;

	if (json_num(j, json_at(j, json_get(j, run, key), i), &x))
		die("%s: %s", key, errmsg());
	return x;
}

static double
worse(double worst, double e)
{
	return e <= worst ? worst : e;
}

static double
relative(double a, double b)
{
	return b != 0 ? fabs(a - b) / fabs(b) : fabs(a);
}

static double
norm_of(const float *v, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += (double)v[i] * v[i];
	return sqrt(sum);
}

/* How far many tensors together are from what is wanted. */
struct gap {
	double d2, s2; /* squared norms: of got - want, of want - was */
	double most;   /* the largest |got - want| */
	int64_t n;
};

/* was: NULL for zeros */
static void
gap_add(struct gap *g, const float *got, const float *want, const float *was, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		double d = (double)got[i] - want[i], s = (double)want[i] - (was ? was[i] : 0);

		g->d2 += d * d;
		g->s2 += s * s;
		g->most = worse(g->most, fabs(d));
	}
	g->n += n;
}

static void
gap_check_update(const struct gap *g, const char *what)
{
	char word[80];

	snprintf(word, sizeof(word), "%s: w10 - w0 of %lld weights", what, (long long)g->n);
	gold_check(word, sqrt(g->d2 / g->s2), 2e-3);
	snprintf(word, sizeof(word), "%s: largest difference", what);
	gold_check(word, g->most, 7e-5);
}

/* A pair's matrix in the files' names of gradients. */
static char *
peft_name(const char *name)
{
	size_t n = strlen(name) - strlen(".weight");

	return xasprintf("%.*s.default.weight", (int)n, name);
}

/* Every gradient against the file's, which has PEFT's names or ours. */
static void
gradients(const struct safetensors *st, const struct params *ps, bool peft)
{
	struct gap all = { 0 };
	double worst = 0;

	for (int i = 0; i < ps->n; i++) {
		const struct param *p = ps->p[i];
		char *name = peft ? peft_name(p->name) : xstrdup(p->name);
		float *want = gold_f32(st, name, NULL), *g = xmalloc((size_t)p->n * sizeof(*g));

		params_get_grad(p, g);
		gap_add(&all, g, want, NULL, p->n);
		/* those of a pair's A are zero while B is */
		worst = worse(worst, gold_rel_l2(g, want, (size_t)p->n));
		free(name);
		free(want);
		free(g);
	}
	if (st->n != ps->n)
		die("%s: %d gradients, %d trained", st->path, st->n, ps->n);
	gold_check("gradients of step 0, all", sqrt(all.d2 / all.s2), 1e-4);
	gold_check("gradients of step 0, worst tensor", worst, 1e-4);
}

static void
gradient_norms(const struct json *j, int norms, const struct params *ps)
{
	double worst = 0;

	for (int i = 0; i < ps->n; i++) {
		const struct param *p = ps->p[i];
		float *g = xmalloc((size_t)p->n * sizeof(*g));

		params_get_grad(p, g);
		worst = worse(worst, relative(norm_of(g, p->n), gold_num(j, norms, p->name)));
		free(g);
	}
	gold_check("their norms, worst tensor", worst, 1e-4);
}

/* Gradients of the first batch: in full where a file has them, and by their norms where runs.json
 * has those. */
static void
first_gradients(const struct json *j, int run, const char *name, const struct params *ps, bool low)
{
	char *file =
	    low ? xstrdup("train/lora_grads_step0.safetensors") : file_of(name, "grads_step0");
	char *path = path_join(root, file);
	int norms = low ? -1 : json_get(j, run, "grad0_norm_per_tensor_fp64");
	struct safetensors st;

	if (file_exists(path)) {
		gold_read(&st, root, file);
		gradients(&st, ps, low);
		st_close(&st);
	}
	if (norms >= 0)
		gradient_norms(j, norms, ps);
	free(path);
	free(file);
}

/* The update of all weights that a file has, against w0 of the model. */
static void
update(const char *file, const char *what, const struct params *ps, const struct safetensors *w0)
{
	char *path = path_join(root, file);
	struct safetensors st;
	struct gap all = { 0 };

	if (!file_exists(path)) {
		free(path);
		return;
	}
	if (st_open(&st, path))
		die("%s", errmsg());
	for (int i = 0; i < st.n; i++) {
		struct param *p = params_find(ps, st.t[i].name);
		float *want, *got, *first;

		if (!p)
			die("%s: no parameter %s", path, st.t[i].name);
		want = gold_f32(&st, p->name, NULL);
		first = gold_f32(w0, p->name, NULL);
		got = xmalloc((size_t)p->n * sizeof(*got));
		params_get(p, got);
		gap_add(&all, got, want, first, p->n);
		free(want);
		free(got);
		free(first);
	}
	gap_check_update(&all, what);
	st_close(&st);
	free(path);
}

/* Norm of every weight at the end, from runs.json (all runs have them, most no file of all
 * weights). */
static void
final_norms(const struct json *j, int run, const struct params *ps)
{
	int list = json_get(j, run, "weights10_norm_sum_fp64");
	double worst = 0;

	for (int i = 0; i < ps->n && list >= 0; i++) {
		const struct param *p = ps->p[i];
		float *w = xmalloc((size_t)p->n * sizeof(*w));
		double want;

		params_get(p, w);
		if (json_num(j, json_at(j, json_get(j, list, p->name), 0), &want))
			die("%s: %s", p->name, errmsg());
		worst = worse(worst, relative(norm_of(w, p->n), want));
		free(w);
	}
	if (list >= 0)
		gold_check("norms of the weights at the end", worst, 2e-5);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static struct sd_step
settings(const struct json *j, int run, const char *name)
{
	struct arena mem = { 0 };
	const char *type = json_str(j, json_get(j, run, "prediction_type"), &mem);
	struct sd_step s = { .unet = &model.unet, .accumulate = 1,
		.loss = { .prediction = model.noise.prediction } };
	double x;

	if (type)
		s.loss.prediction = strcmp(type, "v_prediction") == 0 ? PREDICT_V :
		    strcmp(type, "sample") == 0 ? PREDICT_SAMPLE : PREDICT_EPSILON;
	if (strlen(name) > 3 && strcmp(name + strlen(name) - 3, "_db") == 0)
		s.loss.form = SNR_DREAMBOOTH;
	json_num(j, json_get(j, run, "snr_gamma"), &s.loss.snr_gamma);
	json_num(j, json_get(j, run, "prior_loss_weight"), &s.loss.prior_weight);
	json_num(j, json_get(j, run, "max_grad_norm"), &s.clip);
	if (json_num(j, json_get(j, run, "gradient_accumulation_steps"), &x) == 0)
		s.accumulate = (int)x;
	if (json_get(j, run, "ema_decay_used") >= 0)
		s.ema_decay = 0.999;
	arena_release(&mem);
	return s;
}

/* The first batch's noisy latents, target and prediction. */
static void
first_step(const struct sd_step *s, const char *file)
{
	char *path = path_join(root, file);
	struct safetensors st;
	struct tensor *target, *t[3];
	struct sd_batch b;
	const char *const names[] = { "step0.noisy_latents", "step0.target", "step0.model_pred" };
	const struct st_tensor *h;

	if (!file_exists(path)) {
		free(path);
		return;
	}
	if (st_open(&st, path))
		die("%s", errmsg());
	scope_open();
	b = batch(0, false);
	t[2] = sd_step_predict(s, &b, &target);
	t[1] = target;
	t[0] = sd_add_noise(&schedule, b.x, b.noise, b.t);
	for (int i = 0; i < 3; i++) {
		float *want = gold_f32(&st, names[i], &h),
		      *got = xmalloc((size_t)h->n * sizeof(*got));

		tensor_get(op_permute(t[i], (const int[]){ 0, 3, 1, 2 }), got);
		gold_check(names[i], gold_rel_l2(got, want, (size_t)h->n), 2e-5);
		free(want);
		free(got);
	}
	if ((h = st_find(&data.st, "encoder_hidden_states_step0"))) {
		float *want = gold_f32(&data.st, h->name, NULL),
		      *got = xmalloc((size_t)h->n * sizeof(*got));

		tensor_get(b.context, got);
		gold_check("text states of step 0", gold_rel_l2(got, want, (size_t)h->n), 2e-5);
		free(want);
		free(got);
	}
	scope_close();
	st_close(&st);
	free(path);
}

/* Loss of one batch from its samples' errors, and the parts that prior preservation adds up. */
static double
loss_of(const struct sd_step *s, struct tensor *errors, const int *t, int prior, double part[2])
{
	int n = (int)errors->dim[0];
	float *e = xmalloc((size_t)n * sizeof(*e)), *w = xmalloc((size_t)n * sizeof(*w));
	double sum = 0;

	tensor_get(errors, e);
	sd_loss_weights(&s->loss, s->schedule, t, n, prior, w);
	part[0] = part[1] = 0;
	for (int i = 0; i < n; i++) {
		sum += (double)w[i] * e[i];
		part[i >= n - prior] += e[i] / (i < n - prior ? n - prior : prior);
	}
	free(e);
	free(w);
	return sum;
}

/* ---- runs of LoRA ---------------------------------------------------------------------------- */

/* What is read of a file, against the pairs that are trained; first: what they began with. */
static void
lora_update(const char *dir, const struct lora *l, const struct lora_file *first)
{
	const struct params *net[SD_NETS] = { [SD_UNET] = &model.unet.ps };
	char *path = path_join(root, dir);
	struct lora_file f;
	struct gap all = { 0 };

	if (lora_open(&f, path, net))
		die("%s", errmsg());
	for (size_t i = 0; i < f.n; i++) {
		const struct lora_pair *p = l->pair;

		while (p < l->pair + l->n && strcmp(p->target, f.e[i].target) != 0)
			p++;
		if (p == l->pair + l->n || strcmp(first->e[i].target, f.e[i].target) != 0)
			die("%s: %s is not trained", path, f.e[i].target);
		for (int k = 0; k < 2; k++) {
			const struct param *m = k ? p->b : p->a;
			const float *want = k ? f.e[i].up : f.e[i].down, *was =
			    k ? first->e[i].up : first->e[i].down;
			float *got = xmalloc((size_t)m->n * sizeof(*got));

			params_get(m, got);
			gap_add(&all, got, want, was, m->n);
			free(got);
		}
	}
	gap_check_update(&all, "LoRA");
	lora_close(&f);
	free(path);
}

/* ---- all runs -------------------------------------------------------------------------------- */

static void
run(const struct json *j, int r, const char *name)
{
	static const struct optim_conf adamw = { .kind = OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.999,
		.eps = 1e-8, .weight_decay = 1e-2 };
	struct sd_step s = settings(j, r, name);
	const struct safetensors *w0 = &model.files.net[SD_UNET].st;
	double loss = 0, norm = 0, parts = 0;
	bool prior = s.loss.prior_weight > 0, low = strncmp(name, "lora", 4) == 0;
	char *init = path_join(root, "train/lora_init"), *step0, *path;
	const struct params *net[SD_NETS] = { [SD_UNET] = &model.unet.ps };
	struct lora_file first;
	struct lora lora;
	int updates = 0;

	if (params_load(&model.unet.ps, w0, "", 0))
		die("%s", errmsg());
	/* a network with low-rank changes stays as it is */
	params_freeze(&model.unet.ps, "", low);
	if (low &&
	    (lora_open(&first, init, net) || lora_load(&lora, &model.unet.ps, &first, SD_UNET)))
		die("%s", errmsg());
	sd_step_init(&s, &schedule, &adamw, (struct params *[]){ low ? &lora.ps : &model.unet.ps },
	    1);
	step0 = file_of(name, "step0");
	first_step(&s, step0);
	free(step0);
	for (int i = 0; i < (int)data.batches; i++) {
		double part[2];
		struct sd_batch b;
		struct tensor *e, *n;

		scope_open();
		b = batch(i, prior);
		e = sd_step_batch(&s, &b);
		loss = worse(loss,
		    relative(loss_of(&s, e, b.t, b.prior, part), listed(j, r, "losses", i)));
		if (prior) {
			parts = worse(parts, relative(part[0], listed(j, r, "instance_loss", i)));
			parts = worse(parts, relative(part[1], listed(j, r, "prior_loss", i)));
		}
		if (sd_step_due(&s)) {
			if (updates == 0)
				first_gradients(
				    j, r, name, low ? &lora.ps : &model.unet.ps, low);
			sd_step_update(&s, listed(j, r, "lr", updates), &n);
			norm = worse(norm, relative(tensor_item(n),
			    listed(j, r, "grad_norms_before_clip", updates)));
			updates++;
		}
		scope_close();
	}
	gold_check("losses", loss, 1e-5);
	if (prior)
		gold_check("instance and prior losses", parts, 1e-5);
	gold_check("gradient norms", norm, 1e-4);
	if (low) {
		path = xasprintf("train/%s_step10", name);
		lora_update(path, &lora, &first);
		lora_release(&lora);
		lora_close(&first);
		free(path);
	}
	path = file_of(name, "weights_step10");
	update(path, "weights", &model.unet.ps, w0);
	final_norms(j, r, &model.unet.ps);
	if (s.ema_decay > 0) {
		free(path);
		path = file_of(name, "ema_step10");
		ema_swap(&s.ema);
		update(path, "running means", &model.unet.ps, w0);
		ema_swap(&s.ema);
	}
	gold_done(name);
	sd_step_release(&s);
	free(path);
	free(init);
}

/* Learning rates, step by step: _lr_schedules_lr1e-4_warmup5_total30_cycles2_power1. Observed:
 * 2e-16. */
static void
schedules(const struct json *j, int v, const char *name)
{
	double lr, cycles, power, worst = 0;
	long warmup, total;
	struct arena mem = { 0 };

	if (sscanf(name, "_lr_schedules_lr%lf_warmup%ld_total%ld_cycles%lf_power%lf", &lr, &warmup,
	        &total, &cycles, &power) != 5)
		die("%s: what does it mean?", name);
	for (int k = v + 1; k < j->v[v].next; k = j->v[k + 1].next) {
		struct schedule s;

		if (schedule_init(&s, json_str(j, k, &mem), warmup, total))
			die("%s", errmsg());
		/* diffusers' get_scheduler hands cycles on to the restarts alone */
		if (s.kind == SCHEDULE_COSINE_WITH_RESTARTS)
			s.cycles = cycles;
		s.power = power;
		s.end = 1e-7 / lr;
		for (int i = 0; i < j->v[k + 1].size; i++) {
			double want;

			if (json_num(j, json_at(j, k + 1, i), &want))
				die("%s", errmsg());
			worst = worse(worst, fabs(lr * schedule_factor(&s, i) - want) / lr);
		}
	}
	gold_check("learning rates", worst, 1e-12);
	gold_done("schedules");
	arena_release(&mem);
}

static void
model_open(void)
{
	char *path = path_join(root, "model"), *text;
	struct json j;

	if (sd_files_open(&model.files, path, &(struct sd_sources){ 0 }) ||
	    unet_init(&model.unet, &model.files.cfg.unet, F32, true) ||
	    clip_init(&model.text, &model.files.cfg.text, F32, false) ||
	    params_load(&model.text.ps, &model.files.net[SD_TEXT].st, "", PARAMS_LIST))
		die("%s", errmsg());
	free(path);
	path = path_join(root, "model/scheduler/scheduler_config.json");
	if (json_read_file(&j, &text, path) || noise_config_get(&model.noise, &j, 0))
		die("%s", errmsg());
	json_release(&j);
	free(text);
	free(path);
}

int
main(void)
{
	struct arena mem = { 0 };
	struct json j;
	char *text, *path;

	if (!(root = gold_open_or_copy("diffusers")) || !gold_has(root, "train/runs.json"))
		return 0;
	gpu_open(NULL);
	model_open();
	noise_schedule_init(&schedule, &model.noise);
	read_batches();
	path = path_join(root, "train/runs.json");
	if (json_read_file(&j, &text, path))
		die("%s", errmsg());
	for (int k = 1; k < j.n; k = j.v[k + 1].next) {
		const char *name = json_str(&j, k, &mem);

		if (name[0] != '_')
			run(&j, k + 1, name);
		else if (strncmp(name, "_lr", 3) == 0)
			schedules(&j, k + 1, name);
	}
	noise_schedule_release(&schedule);
	unet_release(&model.unet);
	clip_release(&model.text);
	sd_files_close(&model.files);
	json_release(&j);
	arena_release(&mem);
	free(text);
	free(path);
	return gold_end();
}
