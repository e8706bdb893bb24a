/* sdtrain: fine-tune a Stable Diffusion model on records of images and captions. */
#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/sig.h"
#include "data/rec.h"
#include "model/sd_options.h"
#include "model/sd_prior.h"
#include "model/sd_setup.h"
#include "model/sd_train.h"
#include "nn/checkpoint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TARGETS = 64, LABELS = 1024 };
/* bytes of decoded images and of text states in memory */
enum { IMAGES = 1 << 30, TEXTS = 256 << 20 };

static struct sd_options *o;

static const char *const text_targets[] = { "q_proj", "k_proj", "v_proj", "out_proj" };

/* ---- from options to a run ------------------------------------------------------------------- */

/* "a,b,c" as an array; the pieces live on. */
static int
pieces(const char *option, const char *text, const char **out, int most)
{
	char *copy = xstrdup(text), *next = NULL;
	int n = 0;

	for (char *s = strtok_r(copy, ",", &next); s; s = strtok_r(NULL, ",", &next)) {
		if (n == most)
			usage_error("%s: more than %d", option, most);
		out[n++] = s;
	}
	if (!n)
		usage_error("%s: nothing is named", option);
	return n;
}

static enum dtype
compute_type(void)
{
	return o->precision == PRECISION_F16 ? F16 : o->precision == PRECISION_BF16 ? BF16 : F32;
}

static struct optim_conf
optimizer(void)
{
	return (struct optim_conf){ .kind = o->adam8 ? OPTIM_ADAMW8 : OPTIM_ADAMW,
	    .beta1 = o->beta1,
		.beta2 = o->beta2, .eps = o->eps, .weight_decay = o->decay };
}

/* ---- data ------------------------------------------------------------------------------------ */

static struct pipeline model;
static struct sd_data data, class_data, valid_data;
static int bad_records;

static int
add(struct rec *r, void *ctx)
{
	(void)ctx;
	return sd_data_add(&data, r);
}

/* Reads the images, and leaves out those that cannot be used. */
static void
read_images(struct sd_data *d)
{
	if (sd_data_read(d, (int)o->jobs, stop_wanted)) {
		bad_records = EXIT_RECORDS;
		sd_data_tell_bad(d, o->strict);
		sd_data_drop_bad(d);
	}
	if (stop_wanted())
		stop_exit();
}

static struct sd_data_conf
data_conf(const struct sd_config *cfg)
{
	return (struct sd_data_conf){ .resolution = (int)o->resolution,
	    .channels = cfg->vae.in_channels,
		.center_crop = o->center, .flip = o->flip, .upright = o->prompt != NULL,
		.one_crop = o->cache, .empty = o->empty, .seed = o->seed, .image_key = o->image_key,
		.caption_key = o->caption_key, .label_key = o->label_key, .prompt = o->prompt,
		.from_names = o->from_names, .captions_dir = o->captions_dir,
		.prompt_head = o->prompt_head, .classes = cfg->classes.classes ? &cfg->classes
		: NULL };
}

static void
read_data(const struct sd_config *cfg, const char *const *files, size_t nfiles)
{
	const struct sd_data_conf conf = data_conf(cfg);
	struct rec_opts ro = REC_OPTS;

	ro.strict = o->strict;
	ro.quiet = o->quiet;
	ro.shard = (struct shard){ 0 };
	sd_data_init(&data, &conf, IMAGES);
	sd_data_init(&valid_data, &conf, IMAGES / 8);
	if (o->folder) {
		if (sd_data_add_folder(&data, o->folder) < 0)
			die("%s", errmsg());
	} else {
		const char *records = o->image_folders ? sd_data_metadata(o->image_folders) : NULL;

		if (o->image_folders && !records)
			die("%s", errmsg());
		bad_records = rec_each(&ro, records ? &records : files, records ? 1 : nfiles, NULL,
		    add, NULL);
	}
	if (bad_records == EXIT_FATAL)
		exit(EXIT_FATAL);
	/* until here a signal just ended the program: it would not have ended a read that waits */
	stop_catch();
	sd_data_take(&data, SET_TEST, NULL);
	sd_data_take(&data, SET_VALIDATION, &valid_data);
	if (o->samples)
		sd_data_limit(&data, o->samples);
	read_images(&data);
	read_images(&valid_data);
	if (!data.n)
		die("%s", o->folder ? "no images there: nothing to train on" :
		    "no records came in: nothing to train on");
}

/* Class images: those that are there, and those that the model makes before it is trained. */
static void
read_class_images(void)
{
	char *dir = o->class_dir ? xstrdup(o->class_dir) : path_join(o->output, "class_images");
	struct sd_prior c = { .dir = dir, .prompt = o->class_prompt, .n = (int)o->class_images,
		.batch = (int)o->class_batch, .size = (int)o->resolution, .steps = 50,
		.guidance = 7.5, .seed = o->seed, .quiet = o->quiet };
	struct sd_data_conf conf = data_conf(&model.cfg);

	c.sampler = noise_config_sampler(&model.noise);
	if (c.sampler < 0 || sd_prior_fill(&model, &c, stop_wanted) < 0)
		die("%s", errmsg());
	if (stop_wanted())
		stop_exit();
	conf.prompt = o->class_prompt;
	conf.from_names = false;
	conf.seed ^= fnv1a("class", 5);
	sd_data_init(&class_data, &conf, IMAGES);
	if (sd_data_add_folder(&class_data, dir) < 0)
		die("%s", errmsg());
	if (class_data.n > (size_t)o->class_images)
		sd_data_limit(&class_data, o->class_images);
	read_images(&class_data);
	if (!class_data.n)
		die("%s: no class image can be read", dir);
	free(dir);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static struct sd_setup
setup_of_options(void)
{
	static const char *targets[TARGETS], *labels[LABELS];
	struct sd_setup s = { .model = o->model, .text = o->text, .rank = (int)o->rank,
		.alpha = o->alpha, .targets = { [SD_UNET] = targets, [SD_TEXT] = text_targets },
		.ntargets = { [SD_TEXT] = 4 }, .labels = labels, .tokens = (int)o->class_tokens,
		.compute = compute_type(), .checkpointing = o->checkpointing,
		.prediction = o->prediction, .seed = o->seed };

	s.from = (struct sd_sources){ .variant = o->variant, .unet = o->unet, .vae = o->vae,
		.tokenizer = o->tokenizer, .v_prediction = o->v_prediction };
	s.ntargets[SD_UNET] = pieces("--lora-targets", o->targets, targets, TARGETS);
	if (o->classes)
		s.nlabels = pieces("--class-labels", o->classes, labels, LABELS);
	return s;
}

static struct sd_plan_conf
plan_conf(const struct sd_setup *s, const struct sd_config *cfg)
{
	struct sd_plan_conf c = { .cfg = cfg, .train = sd_setup_trained(s, cfg),
		.adapt = sd_setup_adapted(s, cfg), .dtype = s->compute, .compute = s->compute,
		.checkpointing = s->checkpointing, .ema = o->use_ema, .optim = optimizer(),
		.batch = (int)o->batch, .prior = o->class_prompt ? (int)o->batch : 0,
		.resolution = (int)o->resolution, .rank = s->rank };

	memcpy(c.targets, s->targets, sizeof(c.targets));
	memcpy(c.ntargets, s->ntargets, sizeof(c.ntargets));
	return c;
}

/* What the model is, and whether the device has room for its training. */
static void
plan(const struct sd_setup *s, struct sd_config *cfg)
{
	struct sd_plan_conf c;
	struct sd_plan p;
	int factor;

	if (sd_setup_config(s, o->plan, cfg))
		die("%s", errmsg());
	factor = 1 << (cfg->vae.levels - 1);
	if (!o->resolution)
		o->resolution = (int64_t)cfg->unet.sample_size * factor;
	if (o->resolution % factor)
		usage_error("--resolution: want a multiple of %d", factor);
	if (cfg->classes.classes &&
	    (o->prompt || o->class_prompt || o->text || o->single_dir || o->from_names))
		usage_error("--instance-prompt, --class-prompt, --train-text-encoder, "
		    "--session-dir and --image-captions-filename are for models of text");
	opt_wants(&o->label_key, cfg->classes.classes, "models of classes");
	opt_wants(&o->caption_key, !cfg->classes.classes || o->prompt_head, "models of text");
	opt_wants(&o->empty, !cfg->classes.classes, "models of text");
	opt_wants(&o->padding, !cfg->classes.classes, "models of text");
	c = plan_conf(s, cfg);
	if (sd_plan_make(&p, &c))
		die("%s", errmsg());
	if (o->plan || !o->quiet)
		sd_plan_put(&p, o->plan ? stdout : stderr);
	if (p.total > gpu_info()->memory)
		sd_plan_refuse(&c, p.total);
}

/* ---- the run --------------------------------------------------------------------------------- */

/* Text that tells what made the model, for its files. */
static const char *const *
provenance(int argc, char **argv)
{
	static const char *meta[5] = { "format", "pt", "phantom" };
	struct sb sb = { 0 };

	sb_putc(&sb, '{');
	provenance_put(&sb, argc, argv, o->seed);
	sb_printf(&sb, ",\"records\":\"fnv1a64:%016" PRIx64 "\"", data.hash);
	json_add_str(&sb, "base", o->model);
	sb_putc(&sb, '}');
	meta[3] = sb.s;
	return meta;
}

static int64_t
steps_of_run(const struct sd_view *v)
{
	int64_t batches = ((int64_t)v->n + o->batch - 1) / o->batch;

	if (o->steps)
		return o->steps;
	if (o->per_image)
		return o->per_image * (int64_t)data.n;
	return o->epochs * ((batches + o->accumulate - 1) / o->accumulate);
}

static void
make_settings(struct sd_train *t, int argc, char **argv)
{
	static const enum st_dtype dtypes[] = { ST_F32, ST_F16, ST_BF16 };
	struct sd_settings *s = &t->set;

	*s = (struct sd_settings){ .run = o->output, .seed = o->seed, .optim = optimizer(),
		.lr = o->lr, .batch = (int)o->batch, .jobs = (int)o->jobs,
		.save_every = o->save_every, .keep = o->keep, .log_every = o->log_every,
		.dtype = dtypes[o->dtype], .meta = provenance(argc, argv), .prompts = o->prompts.v,
		.nprompts = (int)o->prompts.n, .images = (int)o->images,
		.eval_every = o->eval_every, .eval_epochs = o->eval_epochs, .sampler = o->sampler,
		.sample_steps = (int)o->sample_steps, .guidance = o->guidance,
		.single_dir = o->single_dir, .single_every = !o->single_dir ? 0
		: o->single_every ? o->single_every : o->save_every,
		    .single_name = path_base(o->output), .tensorboard = o->board,
		    .lora_form = (enum lora_form)o->form, .quiet = o->quiet };
	if (valid_data.n && !o->eval_every && !o->eval_epochs)
		s->eval_epochs = 1;
	if (o->sampler == -1 && (s->sampler = noise_config_sampler(&model.noise)) < 0)
		die("%s", errmsg());
	for (int i = 0; i < s->nprompts && model.has[SD_CLASSES]; i++)
		if (class_config_find(&model.cfg.classes, s->prompts[i]) < 0)
			usage_error("--validation-prompt: the model has no class '%s'",
			    s->prompts[i]);
	s->steps = steps_of_run(&t->feed.view);
	s->go_on = o->resume_from && !strcmp(o->resume_from, "latest");
	if (o->scale_lr)
		s->lr *= (double)(o->batch * o->accumulate);
	if (schedule_init(&s->schedule, o->schedule, o->warmup, s->steps))
		die("%s", errmsg());
	if (s->schedule.kind == SCHEDULE_COSINE_WITH_RESTARTS)
		s->schedule.cycles = (double)o->cycles;
	s->schedule.power = o->power;
	s->schedule.end = s->lr > 0 ? 1e-7 / s->lr : 0;
	t->step = (struct sd_step){ .compute = compute_type(), .accumulate = (int)o->accumulate,
		.clip = o->clip, .ema_decay = o->use_ema ? o->ema : 0,
		.scaled = o->precision == PRECISION_F16,
			.loss = { .prediction = model.noise.prediction, .snr_gamma = o->snr,
		    .form = o->prompt ? SNR_DREAMBOOTH : SNR_TEXT_TO_IMAGE,
		    .prior_weight = o->prior_weight } };
}

/* Where latents and text states are kept. */
static void
open_caches(struct sd_train *t)
{
	static struct sd_cache latents, states;
	static struct intern texts;
	struct sd_feed f = { .p = &model, .train_text = o->text && model.has[SD_TEXT],
		.longest = o->padding == 1, .noise_offset = o->offset,
		.perturbation = o->perturbation };

	t->feed = t->valid = f;
	sd_view_init(&t->feed.view, &data, o->class_prompt ? &class_data : NULL);
	sd_view_init(&t->valid.view, &valid_data, NULL);
	t->valid.even = true;
	t->valid.noise_offset = t->valid.perturbation = 0;
	if (model.has[SD_TEXT] &&
	    sd_cache_open(&states, 0, sd_feed_state(&t->feed) * sizeof(float), TEXTS, o->cache_dir))
		die("%s", errmsg());
	t->feed.states = t->valid.states = &states;
	t->feed.texts = t->valid.texts = &texts;
	if (!o->cache)
		return;
	if (sd_cache_open(&latents, 2 * (data.n + class_data.n),
	        sd_feed_latent(&t->feed) * sizeof(float), (size_t)o->cache_room, o->cache_dir))
		die("%s", errmsg());
	t->feed.latents = &latents;
}

/* The checkpoint to go on from, or NULL; a folder that holds a run is not written over. */
static char *
resume_point(void)
{
	static const char *const signs[] =
	    { "last", "model_index.json", "pytorch_lora_weights.safetensors" };
	bool none = true;
	char *from = o->resume_from ? sd_train_find(o->output, o->resume_from, &none) : NULL;

	if (o->resume_from && !from && !none)
		die("%s", errmsg());
	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs) && !o->resume_from; i++) {
		char *path = path_join(o->output, signs[i]);

		if (file_exists(path))
			die("%s holds a run already: --resume goes on with it", o->output);
		free(path);
	}
	return from;
}

static void
leave(struct sd_train *t, struct sd_config *cfg)
{
	sd_train_close(t);
	for (int i = 0; i < SD_NETS; i++)
		if (t->adapted >> i & 1)
			lora_release(&t->lora[i]);
	pipeline_close(&model);
	if (t->feed.latents)
		sd_cache_close(t->feed.latents);
	sd_cache_close(t->feed.states);
	intern_release(t->feed.texts);
	sd_data_release(&data);
	sd_data_release(&valid_data);
	sd_data_release(&class_data);
	sd_config_release(cfg);
	gpu_close();
	stdout_close();
}

int
main(int argc, char **argv)
{
	struct sd_train t = { .p = &model };
	struct sd_config cfg = { 0 };
	struct sd_setup setup;
	char *from = NULL;
	int at;

	o = sd_options_parse(argc, argv, &at);
	if (!o->plan)
		from = resume_point();
	gpu_open(o->device);
	setup = setup_of_options();
	plan(&setup, &cfg);
	if (o->plan) {
		stdout_close();
		return EXIT_OK;
	}
	read_data(&cfg, (const char *const *)argv + at, (size_t)(argc - at));
	t.trained = sd_setup_trained(&setup, &cfg);
	t.adapted = sd_setup_adapted(&setup, &cfg);
	if (sd_setup_open(&setup, &cfg, &model, t.lora))
		die("%s", errmsg());
	if (o->class_prompt)
		read_class_images();
	open_caches(&t);
	make_settings(&t, argc, argv);
	if (sd_train_open(&t, from) || sd_train(&t))
		die("%s", errmsg());
	free(from);
	leave(&t, &cfg);
	return bad_records;
}
