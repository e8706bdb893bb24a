/*
 * Whole runs of a golden set's model (diffusers/model) against diffusers' pipeline: the latents
 * after every step of each sampler and the images (pipeline*.safetensors), the noise of torch's
 * generator, weights stored in 16 bits, old names of the autoencoder, and the model as a single
 * file.
 */
#include "fullsize.h"
#include "gold.h"

#include "model/sd_sample.h"
#include "tensor/ops.h"

#include <stdbool.h>
#include <unistd.h>

static char *root; /* .../diffusers */

static void
open_model(struct pipeline *p, const char *path, struct pipeline_opts o)
{
	if (pipeline_open(p, path, &o))
		die("%s", errmsg());
}

/* ---- trajectories ---------------------------------------------------------------------------- */

struct run {
	const float *initial, *noise, *want; /* want: [calls][n] */
	size_t n;
	int draws;
	double worst;
};

static void
draw(float *out, size_t n, void *ctx)
{
	struct run *r = ctx;
	const float *from = r->draws ? r->noise + (size_t)(r->draws - 1) * n : r->initial;

	r->draws++;
	memcpy(out, from, n * sizeof(*out));
}

static void
trace(void *ctx, int job, int call, const float *x, size_t n)
{
	struct run *r = ctx;
	double e = gold_rel_l2(x, r->want + (size_t)call * n, n);

	(void)job;
	if (!(e <= r->worst))
		r->worst = e;
}

static int
kind_of(const char *name)
{
	static const char *const names[] = { "ddpm", "ddim", "pndm", "euler", "euler_a", "heun",
	    "dpmpp_2m",
		"dpmpp_2m_karras", "dpmpp_2m_sde", "unipc", "lcm", "lms" };

	for (int i = 0; i < (int)(sizeof(names) / sizeof(*names)); i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

/* Largest difference from a golden image [3,h,w], of 255. */
static double
image_distance(const struct image *im, const float *want)
{
	const uint8_t *px = im->data;
	double worst = 0;

	for (int i = 0; i < im->w * im->h; i++)
		for (int c = 0; c < 3; c++)
			worst =
			    fmax(worst, fabs((double)px[3 * i + c] - want[c * im->w * im->h + i]));
	return worst;
}

static void
trajectories(struct pipeline *p, const struct json *index, const struct safetensors *st,
    const struct safetensors *images)
{
	int notes = json_get(index, json_get(index, 0, "notes"), "pipeline");
	const struct st_tensor *t;
	struct arena mem = { 0 };
	float *initial = gold_f32(st, "initial_latents", &t), *noise = gold_f32(st, "noises", NULL);
	struct sd_sample s;

	sd_sample_init(&s, p);
	s.draw = draw;
	s.trace = trace;
	for (int i = 0; i < st->n; i++) {
		struct sd_job j = { .strength = 1,
			.guidance = gold_num(index, notes, "guidance_scale"),
			.text = json_str(index, json_get(index, notes, "prompt"), &mem),
			.negative = json_str(index, json_get(index, notes, "negative_prompt"),
			&mem), .width = (int)t->dim[3] * vae_factor(&p->vae),
			.height = (int)t->dim[2] * vae_factor(&p->vae) };
		struct run r = { initial, noise, NULL, (size_t)t->n, 0, 0 };
		char name[64], word[160];
		float *want, *image;
		int kind;

		if (sscanf(st->t[i].name, "%63[^.].%d.latents%c", name, &j.steps, word) != 2 ||
		    !strstr(st->t[i].name, ".latents"))
			continue;
		if ((kind = kind_of(name)) < 0) {
			snprintf(word, sizeof(word), "%s: samplers of this name missing", name);
			gold_check(word, 1, 0);
			continue;
		}
		j.sampler = (enum sampler_kind)kind;
		/* UniPC ended there in the version that made the set; later ones end at 0 */
		strcpy(p->noise.final_sigmas, kind == SAMPLER_UNIPC ? "sigma_min" : "");
		r.want = want = gold_f32(st, st->t[i].name, NULL);
		s.ctx = &r;
		if (sd_job_check(&s, &j) || sd_sample_run(&s, &j, 1))
			die("%s: %s", name, errmsg());
		snprintf(word, sizeof(word), "%s, %d steps: worst latents", name, j.steps);
		gold_check(word, r.worst, 1e-3); /* observed: 1.9e-6 to 2.9e-6 */
		snprintf(word, sizeof(word), "%s.%d.image_u8", name, j.steps);
		if (st_find(images, word)) {
			image = gold_f32(images, word, NULL);
			snprintf(word, sizeof(word), "%s, %d steps: worst pixel, of 255", name,
			    j.steps);
			gold_check(word, image_distance(&j.out, image), 1); /* observed: 1 */
			free(image);
		}
		image_release(&j.out);
		free(want);
	}
	gold_done("every step of every sampler, and the images");
	sd_sample_release(&s);
	arena_release(&mem);
	free(initial);
	free(noise);
}

/* The set's noise came from some small seed: found by its first values, then all are compared. */
static void
torch_noise(const struct safetensors *st)
{
	const struct st_tensor *t;
	float *want = gold_f32(st, "initial_latents", &t),
	      *got = xmalloc((size_t)t->n * sizeof(*got));
	struct noise_rng r;
	uint64_t seed;

	for (seed = 0; seed < 100000; seed++) {
		noise_rng_init(&r, NOISE_TORCH_CPU, seed);
		noise_rng_normal(&r, got, 16);
		if (gold_max_abs(got, want, 8) < 1e-4)
			break;
	}
	if (seed == 100000) {
		printf("#   no seed below 100000 made its noise\n");
	} else {
		char word[80];

		noise_rng_init(&r, NOISE_TORCH_CPU, seed);
		noise_rng_normal(&r, got, (size_t)t->n);
		snprintf(word, sizeof(word), "torch.randn of seed %d, largest difference",
		    (int)seed);
		/* observed: 2.4e-7 */
		gold_check(word, gold_max_abs(got, want, (size_t)t->n), 2e-6);
		gold_done("noise of torch's CPU generator");
	}
	free(want);
	free(got);
}

/* ---- other forms of the weights -------------------------------------------------------------- */

/* The first case of a file that has a tensor called CASE.what. */
static void
first_case(const struct safetensors *st, const char *what, char *out, size_t size)
{
	for (int i = 0; i < st->n; i++) {
		const char *dot = strrchr(st->t[i].name, '.');

		if (dot && strcmp(dot + 1, what) == 0) {
			snprintf(out, size, "%.*s", (int)(dot - st->t[i].name), st->t[i].name);
			return;
		}
	}
	die("%s: no case with a %s", st->path, what);
}

static float *
of_case(const struct safetensors *st, const char *name, const char *what,
    const struct st_tensor **t)
{
	char word[128];

	snprintf(word, sizeof(word), "%s.%s", name, what);
	return gold_f32(st, word, t);
}

/* |y - want| / |want|, y being as it comes from a net. */
static double
distance(struct tensor *y, const float *want)
{
	float *got = xmalloc((size_t)y->n * sizeof(*got));
	double e;

	y = op_cast(y, F32);
	tensor_get(y->ndim == 4 ? op_permute(y, (const int[]){ 0, 3, 1, 2 }) : y, got);
	e = gold_rel_l2(got, want, (size_t)y->n);
	free(got);
	return e;
}

/* A file's images [N,C,H,W] times scale as a net takes them. */
static struct tensor *
pixels(const float *v, const struct st_tensor *t, double scale, enum dtype dtype)
{
	float *z = gold_swap(v, (size_t)t->dim[0], (size_t)t->dim[1],
	    (size_t)(t->dim[2] * t->dim[3]));
	struct tensor *x;

	for (int64_t i = 0; i < t->n; i++)
		z[i] *= (float)scale;
	x = tensor_from(dtype, 4,
	    (int64_t[]){ t->dim[0], t->dim[2], t->dim[3], t->dim[1] }, z);
	free(z);
	return x;
}

static double
unet_case(struct pipeline *p)
{
	struct safetensors st;
	const struct st_tensor *ts, *tc, *tt;
	float *x, *c, *t, *want;
	char name[64];
	double times[64], e;

	gold_read(&st, root, "unet.safetensors");
	first_case(&st, "sample", name, sizeof(name));
	x = of_case(&st, name, "sample", &ts);
	c = of_case(&st, name, "encoder_hidden_states", &tc);
	t = of_case(&st, name, "timestep", &tt);
	want = of_case(&st, name, "out", NULL);
	if (pipeline_want_unet(p, ts->dim[2], ts->dim[3]) || ts->dim[0] > 64)
		die("%s", errmsg());
	for (int64_t i = 0; i < ts->dim[0]; i++)
		times[i] = t[tt->n > 1 ? i : 0];
	e = distance(unet_forward(&p->unet, pixels(x, ts, 1, p->dtype[SD_UNET]), times,
	    tensor_from(p->dtype[SD_UNET], 3, tc->dim, c)), want);
	free(x), free(c), free(t), free(want);
	st_close(&st);
	return e;
}

static double
vae_case(struct pipeline *p)
{
	struct safetensors st;
	const struct st_tensor *t;
	float *x, *want;
	char name[64];
	double e;

	gold_read(&st, root, "vae.safetensors");
	first_case(&st, "latents_scaled", name, sizeof(name));
	x = of_case(&st, name, "latents_scaled", &t);
	want = of_case(&st, name, "decoded", NULL);
	if (pipeline_want(p, SD_VAE))
		die("%s", errmsg());
	e = distance(vae_decode(&p->vae, pixels(x, t, 1 / p->cfg.vae.scaling, p->vae.compute)),
	    want);
	free(x), free(want);
	st_close(&st);
	return e;
}

static double
text_case(struct pipeline *p)
{
	struct safetensors st;
	const struct st_tensor *t;
	float *f, *want;
	int32_t *ids;
	double e;

	gold_read(&st, root, "text_encoder.safetensors");
	f = gold_f32(&st, "input_ids", &t);
	want = gold_f32(&st, "last_hidden_state", NULL);
	ids = xmalloc((size_t)t->n * sizeof(*ids));
	for (int64_t i = 0; i < t->n; i++)
		ids[i] = (int32_t)f[i];
	if (pipeline_want(p, SD_TEXT))
		die("%s", errmsg());
	e = distance(clip_forward(&p->text, tensor_from(I32, 2, t->dim, ids), NULL), want);
	free(f), free(want), free(ids);
	st_close(&st);
	return e;
}

/* By net: enum sd_net. */
struct errors {
	double e[SD_VAE + 1];
};

static const struct errors exact = { { 2e-5, 2e-5, 2e-5 } };

/* A case of each net: relative errors. */
static struct errors
measure(struct pipeline *p)
{
	struct errors seen;

	scope_open();
	seen = (struct errors){ { p->has[SD_TEXT] ? text_case(p) : 0, unet_case(p), vae_case(p) } };
	scope_close();
	return seen;
}

static void
nets(struct pipeline *p, const char *what, const struct errors *bound)
{
	static const char *const name[] = { "text states", "U-Net", "decoded" };
	struct errors seen = measure(p);
	char word[96];

	for (int i = 0; i <= SD_VAE; i++) {
		snprintf(word, sizeof(word), "%s: %s", what, name[i]);
		gold_check(word, seen.e[i], bound->e[i]);
	}
}

/* Has the model's folder files of this variant for every net? */
static bool
has_variant(const char *model, const char *variant)
{
	bool all = true;

	for (int i = 0; i <= SD_VAE; i++) {
		char *dir = path_join(model, sd_net_name((enum sd_net)i));
		struct weights w;

		if (weights_open(&w, dir, sd_net_stem((enum sd_net)i), variant) == 0)
			weights_close(&w);
		else
			all = false;
		free(dir);
	}
	return all;
}

/* A weight rounded to f16; what f16 holds exactly moves as far as rounding would have moved it. */
static float
rounded(float v, double unit)
{
	float r = f16_to_f32(f32_to_f16(v));
	int e;

	frexp(v, &e);
	return r != v ? r : (float)(v + unit * ldexp(1, e - 12)); /* half of the last place */
}

/* What f16 may do to a set's model: 2e-3, or, of a net that is more sensitive than that, twice what
 * rounding its weights does to it in f32. */
static struct errors
f16_bound(const char *model)
{
	struct errors bound;
	struct pipeline p;

	open_model(&p, model, (struct pipeline_opts){ 0 });
	for (int i = 0; i <= SD_VAE; i++) {
		struct params *ps = pipeline_params(&p, (enum sd_net)i);

		for (int k = 0; ps && k < ps->n; k++) {
			float *v = xmalloc((size_t)ps->p[k]->n * sizeof(*v));
			uint64_t h = fnv1a(ps->p[k]->name, strlen(ps->p[k]->name));

			params_get(ps->p[k], v);
			for (int64_t n = 0; n < ps->p[k]->n; n++)
				v[n] = rounded(v[n], fullsize_unit(h, (uint64_t)n));
			params_put(ps->p[k], v);
			free(v);
		}
	}
	bound = measure(&p);
	pipeline_close(&p);
	for (int i = 0; i <= SD_VAE; i++)
		bound.e[i] = fmax(2e-3, 2 * bound.e[i]);
	return bound;
}

/* What rounding the weights to f16 does in f32 belongs to a set's model: 2e-3, or a tenth more than
 * the set says of it, where that is more. */
static struct errors
rounding(const struct json *index)
{
	static const char *const key[] = { "fp16weights.text_encoder", "fp16weights.unet.a",
		"fp16weights.vae.a" };
	struct errors bound = { { 2e-3, 2e-3, 2e-3 } };
	int notes = json_get(index, 0, "notes");

	for (int i = 0; i <= SD_VAE; i++) {
		int v = json_get(index, notes, key[i]);
		double said;

		if (v >= 0 && json_num(index, json_get(index, v, "rel_l2"), &said) == 0)
			bound.e[i] = fmax(bound.e[i], 1.1 * said);
	}
	return bound;
}

static void
other_forms(const char *model, const struct json *index)
{
	char *old = path_join(root, "model/vae_old_names");
	char *file = xasprintf("/tmp/phantom-golden-%ld.safetensors", (long)getpid());
	char *tokenizer = path_join(model, "tokenizer");
	bool stored = has_variant(model, "fp16");
	struct errors bound = rounding(index);
	struct pipeline p;

	if (stored) {
		/* observed: 8.9e-4, 6.5e-4, 6.6e-4; of a deeper model 1.2e-3 */
		open_model(&p, model, (struct pipeline_opts){ .from.variant = "fp16" });
		nets(&p, "f16 weights", &bound);
		pipeline_close(&p);
		gold_done("weights rounded to f16");
	}
	if (gpu_info()->f16)
		bound = f16_bound(model);
	if (stored && gpu_info()->f16) {
		/* observed: 1.7e-3, 6.5e-4, 1.0e-3; of the other model 2.1e-3 */
		open_model(&p, model, (struct pipeline_opts){ .from.variant = "fp16",
			.as_stored = true, .lean = true });
		nets(&p, "f16 as stored, lean", &bound);
		pipeline_close(&p);
		gold_done("f16 that stays f16, the autoencoder's products in f32");
	}
	if (gpu_info()->f16) {
		/* observed: 1.8e-3, 1.4e-3, 9.2e-4; of deeper models 2.0e-3, 2.7e-3 */
		open_model(&p, model, (struct pipeline_opts){ .dtype = F16, .vae_dtype = F16 });
		nets(&p, "f16 throughout", &bound);
		pipeline_close(&p);
		gold_done("weights and activations in f16");
	}
	if (file_exists(old)) {
		open_model(&p, model, (struct pipeline_opts){ .from.vae = old });
		nets(&p, "old names", &exact);
		pipeline_close(&p);
		gold_done("an autoencoder of the old names");
	}
	open_model(&p, model, (struct pipeline_opts){ 0 });
	if (pipeline_save_single(&p, file, ST_F32, NULL))
		die("%s", errmsg());
	pipeline_close(&p);
	open_model(&p, file, (struct pipeline_opts){ .from.tokenizer = tokenizer });
	nets(&p, "single file", &exact);
	pipeline_close(&p);
	gold_done("written as a single file and read again");
	unlink(file);
	free(file);
	free(old);
	free(tokenizer);
}

int
main(void)
{
	struct safetensors st, images;
	struct json index;
	struct pipeline p;
	char *model, *path, *text;

	if (!(root = gold_open("diffusers")))
		return 0;
	gpu_open(NULL);
	grads_set(false);
	model = path_join(root, "model");
	path = path_join(root, "index.json");
	if (json_read_file(&index, &text, path))
		die("%s", errmsg());
	free(path);
	path = path_join(root, "pipeline.safetensors");
	if (file_exists(path)) {
		gold_read(&st, root, "pipeline.safetensors");
		gold_read(&images, root, "pipeline_images.safetensors");
		open_model(&p, model, (struct pipeline_opts){ 0 });
		trajectories(&p, &index, &st, &images);
		torch_noise(&st);
		pipeline_close(&p);
		st_close(&st);
		st_close(&images);
	}
	free(path);
	other_forms(model, &index);
	json_release(&index);
	free(text);
	free(model);
	free(root);
	return gold_end();
}
