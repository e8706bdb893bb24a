/* sdtrain: fine-tune a Stable Diffusion model on records of images and captions. */
#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/sig.h"
#include "data/rec.h"
#include "data/split_nsw.h"
#include "model/sd_prior.h"
#include "model/sd_setup.h"
#include "model/sd_train.h"
#include "nn/checkpoint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PRECISION_NO, PRECISION_F16, PRECISION_BF16 };
enum { PREDICT_MODEL = -1, MODEL_SAMPLER = -1, TARGETS = 64, LABELS = 1024 };
enum { IMAGES = 1 << 30, TEXTS = 256 << 20 }; /* bytes of decoded images and of text states in memory */

static struct opts {
	const char *model, *output, *preset, *device, *unet, *vae, *tokenizer, *variant;
	uint64_t seed;
	bool quiet, strict, plan, v_prediction;
	int64_t jobs;
	/* data */
	const char *caption_key, *image_key, *label_key, *prompt, *folder, *classes, *prompt_head, *cache_dir;
	const char *captions_dir, *image_folders, *class_parent;
	int64_t resolution, samples, per_image, class_tokens, cache_room;
	double empty;
	bool center, flip, cache, from_names, low_memory;
	int padding;
	/* prior preservation */
	const char *class_prompt, *class_dir;
	int64_t class_images, class_batch;
	double prior_weight;
	bool prior;
	/* what is trained */
	bool text, checkpointing;
	int64_t rank;
	double alpha;
	const char *targets;
	int form, precision;
	/* steps */
	double lr, beta1, beta2, decay, eps, clip, power, ema, snr, offset, perturbation;
	const char *schedule;
	int64_t warmup, cycles, batch, accumulate, epochs, steps;
	bool scale_lr, adam8, use_ema;
	int prediction;
	/* looking and keeping */
	struct opt_list prompts;
	int64_t images, eval_every, eval_epochs, sample_steps, save_every, keep, single_every, log_every;
	double guidance;
	const char *single_dir, *board, *resume_from;
	int sampler, dtype;
	bool resume;
} o = { .seed = 0, .jobs = 2, .caption_key = "text", .image_key = "file_name", .label_key = "label",
	.class_tokens = 16, .cache_room = (int64_t)4 << 30, .class_images = 100, .class_batch = 4,
	.prior_weight = 1, .alpha = 0, .targets = "to_q,to_k,to_v,to_out.0", .form = LORA_DIFFUSERS,
	.lr = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .decay = 1e-2, .eps = 1e-8, .clip = 1, .power = 1,
	.ema = 0.9999, .schedule = "constant", .warmup = 500, .cycles = 1, .batch = 16, .accumulate = 1,
	.epochs = 100, .prediction = PREDICT_MODEL, .images = 4, .eval_epochs = 0, .sample_steps = 25,
	.save_every = 500, .keep = -1, .log_every = 1, .guidance = 7.5, .sampler = MODEL_SAMPLER };

static const char *const text_targets[] = { "q_proj", "k_proj", "v_proj", "out_proj" };

/* Rows without help are less often wanted (the page has them), or other spellings: diffusers', and those of
 * the field's own trainers. A _ in an option's name counts as -. */
static const struct opt table[] = {
	{ 'm', "model", OPT_STR, &o.model, "MODEL", "diffusers folder, or one .safetensors file", 0, 0 },
	{ 'o', "output", OPT_STR, &o.output, "DIR", "the run's folder, and the model's at its end", 0, 0 },
	{ 0, "preset", OPT_STR, &o.preset, "NAME", "mep, nsw or nsw-class; other options come on top", 0, 0 },
	{ 0, "resolution", OPT_INT, &o.resolution, "PX", "short side, and side of the crop (the model's)", 8,
	    8192 },
	{ 0, "center-crop", OPT_FLAG, &o.center, NULL, "crop at the centre, not at random", 0, 0 },
	{ 0, "random-flip", OPT_FLAG, &o.flip, NULL, "mirror half of the images", 0, 0 },
	{ 0, "caption-field", OPT_STR, &o.caption_key, "KEY", "a text, or a list to choose from (text)", 0, 0 },
	{ 0, "empty-prompts", OPT_FLOAT, &o.empty, "P", "leave this share of captions empty (0)", 0, 1 },
	{ 0, "max-samples", OPT_INT, &o.samples, "N", "train on N of the images (0: all)", 0, 1e12 },
	{ 0, "instance-prompt", OPT_STR, &o.prompt, "TEXT", "caption of all images", 0, 0 },
	{ 0, "class-prompt", OPT_STR, &o.class_prompt, "TEXT", "preserve what the model knows of this", 0, 0 },
	{ 0, "num-class-images", OPT_INT, &o.class_images, "N", "make those that are missing (100)", 1, 1e6 },
	{ 0, "class-labels", OPT_STR, &o.classes, "A,B,...", "learn states of classes instead of texts", 0, 0 },
	{ 0, "train-text-encoder", OPT_FLAG, &o.text, NULL, "train it, too (or its LoRA)", 0, 0 },
	{ 0, "lora-rank", OPT_INT, &o.rank, "N", "train low-rank changes only", 1, 4096 },
	{ 0, "lora-targets", OPT_STR, &o.targets, "A,B,...", "of these weights (to_q,to_k,to_v,to_out.0)", 0,
	    0 },
	{ 'b', "batch-size", OPT_INT, &o.batch, "N", "images at a time (16)", 1, 4096 },
	{ 0, "accumulate", OPT_INT, &o.accumulate, "N", "batches that make a step (1)", 1, 65536 },
	{ 'n', "epochs", OPT_INT, &o.epochs, "N", "times through the images (100)", 1, 1e9 },
	{ 0, "max-steps", OPT_INT, &o.steps, "N", "or as many steps (0: by epochs)", 0, 1e12 },
	{ 0, "mixed-precision", OPT_CHOICE, &o.precision, "no|fp16|bf16", "work in 16 bits (no)", 0, 0 },
	{ 0, "gradient-checkpointing", OPT_FLAG, &o.checkpointing, NULL, "time for memory", 0, 0 },
	{ 0, "lr", OPT_FLOAT, &o.lr, "R", "learning rate (1e-4)", 0, 1e3 },
	{ 0, "lr-scheduler", OPT_STR, &o.schedule, "NAME", "constant, linear, cosine, ... (constant)", 0, 0 },
	{ 0, "lr-warmup-steps", OPT_INT, &o.warmup, "N", "of schedules that have one (500)", 0, 1e12 },
	{ 0, "use-8bit-adam", OPT_FLAG, &o.adam8, NULL, "moments in 8 bits", 0, 0 },
	{ 0, "clip", OPT_FLOAT, &o.clip, "NORM", "clip the gradient's norm (1; 0: not)", 0, 1e6 },
	{ 0, "use-ema", OPT_FLAG, &o.use_ema, NULL, "keep running means of the U-Net", 0, 0 },
	{ 0, "snr-gamma", OPT_FLOAT, &o.snr, "G", "min-SNR weights (0: none)", 0, 1e6 },
	{ 0, "noise-offset", OPT_FLOAT, &o.offset, "X", "one more number a channel (0)", 0, 10 },
	{ 0, "input-perturbation", OPT_FLOAT, &o.perturbation, "X", "more noise than is to be found (0)", 0, 10 },
	{ 0, "cache-latents", OPT_FLAG, &o.cache, NULL, "encode each image once (one crop each)", 0, 0 },
	{ 0, "validation-prompt", OPT_LIST, &o.prompts, "TEXT", "draw this (again and again: more)", 0, 0 },
	{ 0, "validation-steps", OPT_INT, &o.eval_every, "N", "every N steps (or by epochs)", 0, 1e12 },
	{ 0, "checkpoint-steps", OPT_INT, &o.save_every, "N", "a checkpoint every N steps (500)", 0, 1e12 },
	{ 0, "keep", OPT_INT, &o.keep, "N", "checkpoints to keep (all)", 0, 1e9 },
	{ 0, "resume", OPT_FLAG, &o.resume, NULL, "go on from the latest, if there is one", 0, 0 },
	{ 0, "tensorboard", OPT_STR, &o.board, "DIR", "event files there, too", 0, 0 },
	{ 0, "plan", OPT_FLAG, &o.plan, NULL, "tell only what memory it takes", 0, 0 },
	{ 's', "seed", OPT_U64, &o.seed, "N", "of order, crops, noise, times (0)", 0, 0 },
	{ 'd', "device", OPT_STR, &o.device, "DEVICE", "number or name in gpuinfo(1)", 0, 0 },
	{ 'j', "jobs", OPT_INT, &o.jobs, "N", "threads that read images (2)", 1, 256 },
	{ 0, "strict", OPT_FLAG, &o.strict, NULL, "stop at the first bad record", 0, 0 },
	{ 'q', "quiet", OPT_FLAG, &o.quiet, NULL, "no progress, no plan", 0, 0 },
	{ 0, "pretrained-model-name-or-path", OPT_STR, &o.model, NULL, NULL, 0, 0 },
	{ 0, "output-dir", OPT_STR, &o.output, NULL, NULL, 0, 0 },
	{ 0, "save-model-to", OPT_STR, &o.output, NULL, NULL, 0, 0 },
	{ 0, "caption-column", OPT_STR, &o.caption_key, NULL, NULL, 0, 0 },
	{ 0, "image-field", OPT_STR, &o.image_key, NULL, NULL, 0, 0 },
	{ 0, "image-column", OPT_STR, &o.image_key, NULL, NULL, 0, 0 },
	{ 0, "proportion-empty-prompts", OPT_FLOAT, &o.empty, NULL, NULL, 0, 1 },
	{ 0, "text-padding", OPT_CHOICE, &o.padding, "max|longest", NULL, 0, 0 },
	{ 0, "max-train-samples", OPT_INT, &o.samples, NULL, NULL, 0, 1e12 },
	{ 0, "image-folder", OPT_STR, &o.folder, NULL, NULL, 0, 0 },
	{ 0, "instance-data-dir", OPT_STR, &o.folder, NULL, NULL, 0, 0 },
	{ 0, "with-prior-preservation", OPT_FLAG, &o.prior, NULL, NULL, 0, 0 },
	{ 0, "train-data-dir", OPT_STR, &o.image_folders, NULL, NULL, 0, 0 },
	{ 0, "dataset-name", OPT_STR, &o.image_folders, NULL, NULL, 0, 0 },
	{ 0, "low-memory-optimizations", OPT_FLAG, &o.low_memory, NULL, NULL, 0, 0 },
	{ 0, "class-data-dir-parent", OPT_STR, &o.class_parent, NULL, NULL, 0, 0 },
	{ 0, "image-captions-filename", OPT_FLAG, &o.from_names, NULL, NULL, 0, 0 },
	{ 0, "captions-dir", OPT_STR, &o.captions_dir, NULL, NULL, 0, 0 },
	{ 0, "class-data-dir", OPT_STR, &o.class_dir, NULL, NULL, 0, 0 },
	{ 0, "sample-batch-size", OPT_INT, &o.class_batch, NULL, NULL, 1, 64 },
	{ 0, "prior-loss-weight", OPT_FLOAT, &o.prior_weight, NULL, NULL, 0, 1e6 },
	{ 0, "class-tokens", OPT_INT, &o.class_tokens, NULL, NULL, 1, 4096 },
	{ 0, "label-field", OPT_STR, &o.label_key, NULL, NULL, 0, 0 },
	{ 0, "rank", OPT_INT, &o.rank, NULL, NULL, 1, 4096 },
	{ 0, "lora-alpha", OPT_FLOAT, &o.alpha, NULL, NULL, 0, 1e6 },
	{ 0, "lora-form", OPT_CHOICE, &o.form, LORA_FORMS, NULL, 0, 0 },
	{ 0, "train-batch-size", OPT_INT, &o.batch, NULL, NULL, 1, 4096 },
	{ 0, "gradient-accumulation-steps", OPT_INT, &o.accumulate, NULL, NULL, 1, 65536 },
	{ 0, "num-train-epochs", OPT_INT, &o.epochs, NULL, NULL, 1, 1e9 },
	{ 0, "max-train-steps", OPT_INT, &o.steps, NULL, NULL, 0, 1e12 },
	{ 0, "steps-per-image", OPT_INT, &o.per_image, NULL, NULL, 0, 1e9 },
	{ 0, "learning-rate", OPT_FLOAT, &o.lr, NULL, NULL, 0, 1e3 },
	{ 0, "scale-lr", OPT_FLAG, &o.scale_lr, NULL, NULL, 0, 0 },
	{ 0, "lr-num-cycles", OPT_INT, &o.cycles, NULL, NULL, 1, 1e9 },
	{ 0, "lr-power", OPT_FLOAT, &o.power, NULL, NULL, 0, 100 },
	{ 0, "adam-beta1", OPT_FLOAT, &o.beta1, NULL, NULL, 0, 0.9999999 },
	{ 0, "adam-beta2", OPT_FLOAT, &o.beta2, NULL, NULL, 0, 0.9999999 },
	{ 0, "adam-weight-decay", OPT_FLOAT, &o.decay, NULL, NULL, 0, 10 },
	{ 0, "adam-epsilon", OPT_FLOAT, &o.eps, NULL, NULL, 0, 1 },
	{ 0, "max-grad-norm", OPT_FLOAT, &o.clip, NULL, NULL, 0, 1e6 },
	{ 0, "ema-decay", OPT_FLOAT, &o.ema, NULL, NULL, 0, 0.9999999999 },
	{ 0, "prediction-type", OPT_CHOICE, &o.prediction, "epsilon|v_prediction|sample", NULL, 0, 0 },
	{ 0, "cache-memory", OPT_SIZE, &o.cache_room, NULL, NULL, 0, 1e15 },
	{ 0, "cache-dir", OPT_STR, &o.cache_dir, NULL, NULL, 0, 0 },
	{ 0, "validation-prompts", OPT_LIST, &o.prompts, NULL, NULL, 0, 0 },
	{ 0, "num-validation-images", OPT_INT, &o.images, NULL, NULL, 1, 1000 },
	{ 0, "validation-epochs", OPT_INT, &o.eval_epochs, NULL, NULL, 0, 1e9 },
	{ 0, "scheduler", OPT_CHOICE, &o.sampler, SAMPLERS, NULL, 0, 0 },
	{ 0, "steps", OPT_INT, &o.sample_steps, NULL, NULL, 1, 1000 },
	{ 0, "guidance-scale", OPT_FLOAT, &o.guidance, NULL, NULL, 0, 100 },
	{ 0, "checkpointing-steps", OPT_INT, &o.save_every, NULL, NULL, 0, 1e12 },
	{ 0, "checkpoints-total-limit", OPT_INT, &o.keep, NULL, NULL, 0, 1e9 },
	{ 0, "resume-from-checkpoint", OPT_STR, &o.resume_from, NULL, NULL, 0, 0 },
	{ 0, "session-dir", OPT_STR, &o.single_dir, NULL, NULL, 0, 0 },
	{ 0, "session-steps", OPT_INT, &o.single_every, NULL, NULL, 0, 1e12 },
	{ 0, "save-dtype", OPT_CHOICE, &o.dtype, "f32|f16|bf16", NULL, 0, 0 },
	{ 0, "log-every", OPT_INT, &o.log_every, NULL, NULL, 1, 1e9 },
	{ 0, "logging-dir", OPT_STR, &o.board, NULL, NULL, 0, 0 },
	{ 0, "unet", OPT_STR, &o.unet, NULL, NULL, 0, 0 },
	{ 0, "vae", OPT_STR, &o.vae, NULL, NULL, 0, 0 },
	{ 0, "tokenizer", OPT_STR, &o.tokenizer, NULL, NULL, 0, 0 },
	{ 0, "variant", OPT_STR, &o.variant, NULL, NULL, 0, 0 },
	{ 0, "v-prediction", OPT_FLAG, &o.v_prediction, NULL, NULL, 0, 0 },
	{ 0, "dataloader-num-workers", OPT_INT, &o.jobs, NULL, NULL, 1, 256 },
	{ 0 },
};

/* --train_batch_size is --train-batch-size. */
static void
hyphens(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		for (char *c = argv[i]; strncmp(argv[i], "--", 2) == 0 && *c && *c != '='; c++)
			if (*c == '_')
				*c = '-';
}

/* ---- from options to a run ---------------------------------------------------------------------- */

/* NSW's classes, with commas between. */
static const char *
phases(void)
{
	struct sb sb = { 0 };

	for (int i = 0; i < NSW_NPHASES; i++)
		sb_printf(&sb, "%s%s", i ? "," : "", nsw_phase[i]);
	return sb.s;
}

/* The originals' settings, before other options are read. MEP: diffusers' train_text_to_image as its
 * README calls it. NSW: DreamBooth on SD 2.1; nsw-class: classes instead of text. */
static void
apply_preset(int argc, char **argv)
{
	const char *name = NULL;
	bool mep, nsw, cls;

	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (strncmp(argv[i], "--preset=", 9) == 0)
			name = argv[i] + 9;
		else if (strcmp(argv[i], "--preset") == 0 && argv[i + 1])
			name = argv[i + 1];
	if (!name)
		return;
	mep = strcmp(name, "mep") == 0;
	cls = strcmp(name, "nsw-class") == 0;
	nsw = cls || strcmp(name, "nsw") == 0;
	if (!mep && !nsw)
		usage_error("--preset: mep, nsw and nsw-class are known");
	o.resolution = 512;
	o.batch = o.accumulate = 1;
	o.warmup = 0;
	o.save_every = 500;
	if (mep) {
		o.flip = o.adam8 = o.checkpointing = true;
		o.lr = 1e-5;
		o.steps = 15;
		o.precision = PRECISION_F16;
		return;
	}
	o.seed = 10;
	o.per_image = 550;
	o.padding = 1;
	o.images = 20;
	o.eval_every = 200;
	o.sampler = SAMPLER_DPMPP_2M;
	o.sample_steps = 25;
	if (cls) {
		o.lr = 1e-6;
		o.save_every = 50000;
		o.guidance = 1;
		o.prompt_head = "a microscopic image of a human embryo at phase ";
		o.classes = phases();
		return;
	}
	o.lr = 7e-6;
	o.prompt = "a grayscale microscopic image of human embryo at phase t2";
	o.class_prompt = "a grayscale microscopic image of a human embryo";
	o.class_images = 200;
}

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
	return o.precision == PRECISION_F16 ? F16 : o.precision == PRECISION_BF16 ? BF16 : F32;
}

static struct optim_conf
optimizer(void)
{
	return (struct optim_conf){ .kind = o.adam8 ? OPTIM_ADAMW8 : OPTIM_ADAMW, .beta1 = o.beta1,
		.beta2 = o.beta2, .eps = o.eps, .weight_decay = o.decay };
}

static void
check_options(void)
{
	struct schedule probe;

	if (!o.model || (!o.output && !o.plan))
		usage_error("%s is required", o.model ? "--output" : "--model");
	if (schedule_init(&probe, o.schedule, 0, 1))
		usage_error("--lr-scheduler: %s", errmsg());
	if (o.prior && !o.class_prompt)
		usage_error("--with_prior_preservation wants --class-prompt");
	if (o.rank && o.use_ema)
		usage_error("--use-ema is for whole networks, not for low-rank changes");
	if (o.folder && !o.prompt && !o.from_names)
		usage_error("--image-folder wants --instance-prompt: there are no captions");
	if (o.folder && o.image_folders)
		usage_error("--image-folder and --train-data-dir: there is one or the other");
	if (o.low_memory)
		o.checkpointing = o.adam8 = true;
	if (o.class_parent && !o.class_dir && o.output)
		o.class_dir = path_join(o.class_parent, path_base(o.output));
	if (o.captions_dir && !o.from_names)
		usage_error("--captions-dir goes with --image-captions-filename");
	if (o.rank && o.single_dir)
		usage_error("--session-dir is for whole models");
	if (!o.alpha)
		o.alpha = (double)o.rank;
	if (o.prompts.n && !o.eval_every && !o.eval_epochs)
		o.eval_epochs = 5;
	if (o.preset && !strcmp(o.preset, "nsw") && !o.prompts.n) {
		o.prompts.v = &o.prompt;
		o.prompts.n = 1;
	}
	if (o.resume && !o.resume_from)
		o.resume_from = "latest";
}

/* ---- data ---------------------------------------------------------------------------------------- */

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
	if (sd_data_read(d, (int)o.jobs, stop_wanted)) {
		bad_records = EXIT_RECORDS;
		sd_data_tell_bad(d, o.strict);
		sd_data_drop_bad(d);
	}
	if (stop_wanted())
		stop_exit();
}

static struct sd_data_conf
data_conf(const struct sd_config *cfg)
{
	return (struct sd_data_conf){ .resolution = (int)o.resolution, .channels = cfg->vae.in_channels,
		.center_crop = o.center, .flip = o.flip, .upright = o.prompt != NULL, .one_crop = o.cache,
		.empty = o.empty, .seed = o.seed, .image_key = o.image_key, .caption_key = o.caption_key,
		.label_key = o.label_key, .prompt = o.prompt, .from_names = o.from_names,
		.captions_dir = o.captions_dir, .prompt_head = o.prompt_head,
		.classes = cfg->classes.classes ? &cfg->classes : NULL };
}

static void
read_data(const struct sd_config *cfg, const char *const *files, size_t nfiles)
{
	const struct sd_data_conf conf = data_conf(cfg);
	struct rec_opts ro = REC_OPTS;

	ro.strict = o.strict;
	ro.quiet = o.quiet;
	ro.shard = (struct shard){ 0 };
	sd_data_init(&data, &conf, IMAGES);
	sd_data_init(&valid_data, &conf, IMAGES / 8);
	if (o.folder) {
		if (sd_data_add_folder(&data, o.folder) < 0)
			die("%s", errmsg());
	} else {
		const char *records = o.image_folders ? sd_data_metadata(o.image_folders) : NULL;

		if (o.image_folders && !records)
			die("%s", errmsg());
		bad_records = rec_each(&ro, records ? &records : files, records ? 1 : nfiles, NULL, add, NULL);
	}
	if (bad_records == EXIT_FATAL)
		exit(EXIT_FATAL);
	/* until here a signal just ended the program: it would not have ended a read that waits */
	stop_catch();
	sd_data_take(&data, SD_TEST, NULL);
	sd_data_take(&data, SD_VALIDATION, &valid_data);
	if (o.samples)
		sd_data_limit(&data, o.samples);
	read_images(&data);
	read_images(&valid_data);
	if (!data.n)
		die("%s", o.folder ? "no images there: nothing to train on" :
		    "no records came in: nothing to train on");
}

/* Class images: those that are there, and those that the model makes before it is trained. */
static void
read_class_images(void)
{
	char *dir = o.class_dir ? xstrdup(o.class_dir) : path_join(o.output, "class_images");
	struct sd_prior c = { .dir = dir, .prompt = o.class_prompt, .n = (int)o.class_images,
		.batch = (int)o.class_batch, .size = (int)o.resolution, .steps = 50, .guidance = 7.5,
		.seed = o.seed, .quiet = o.quiet };
	struct sd_data_conf conf = data_conf(&model.cfg);

	c.sampler = noise_config_sampler(&model.noise);
	if (c.sampler < 0 || sd_prior_fill(&model, &c, stop_wanted) < 0)
		die("%s", errmsg());
	if (stop_wanted())
		stop_exit();
	conf.prompt = o.class_prompt;
	conf.from_names = false;
	conf.seed ^= fnv1a("class", 5);
	sd_data_init(&class_data, &conf, IMAGES);
	if (sd_data_add_folder(&class_data, dir) < 0)
		die("%s", errmsg());
	if (class_data.n > (size_t)o.class_images)
		sd_data_limit(&class_data, o.class_images);
	read_images(&class_data);
	if (!class_data.n)
		die("%s: no class image can be read", dir);
	free(dir);
}

/* ---- memory -------------------------------------------------------------------------------------- */

static struct sd_setup
setup_of_options(void)
{
	static const char *targets[TARGETS], *labels[LABELS];
	struct sd_setup s = { .model = o.model, .text = o.text, .rank = (int)o.rank, .alpha = o.alpha,
		.targets = { [SD_UNET] = targets, [SD_TEXT] = text_targets }, .ntargets = { [SD_TEXT] = 4 },
		.labels = labels, .tokens = (int)o.class_tokens, .compute = compute_type(),
		.checkpointing = o.checkpointing, .prediction = o.prediction, .seed = o.seed };

	s.from = (struct sd_sources){ .variant = o.variant, .unet = o.unet, .vae = o.vae,
		.tokenizer = o.tokenizer, .v_prediction = o.v_prediction };
	s.ntargets[SD_UNET] = pieces("--lora-targets", o.targets, targets, TARGETS);
	if (o.classes)
		s.nlabels = pieces("--class-labels", o.classes, labels, LABELS);
	return s;
}

static struct sd_plan_conf
plan_conf(const struct sd_setup *s, const struct sd_config *cfg)
{
	struct sd_plan_conf c = { .cfg = cfg, .train = sd_setup_trained(s, cfg),
		.adapt = sd_setup_adapted(s, cfg), .dtype = s->compute, .compute = s->compute,
		.checkpointing = s->checkpointing, .ema = o.use_ema, .optim = optimizer(),
		.batch = (int)o.batch, .prior = o.class_prompt ? (int)o.batch : 0,
		.resolution = (int)o.resolution, .rank = s->rank };

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

	if (sd_setup_config(s, o.plan, cfg))
		die("%s", errmsg());
	factor = 1 << (cfg->vae.levels - 1);
	if (!o.resolution)
		o.resolution = (int64_t)cfg->unet.sample_size * factor;
	if (o.resolution % factor)
		usage_error("--resolution: want a multiple of %d", factor);
	if (cfg->classes.classes && (o.class_prompt || o.text || o.single_dir || o.from_names))
		usage_error("--class-prompt, --train-text-encoder, --session-dir and --image-captions-filename are "
		    "for models of text");
	c = plan_conf(s, cfg);
	if (sd_plan_make(&p, &c))
		die("%s", errmsg());
	if (o.plan || !o.quiet)
		sd_plan_put(&p, o.plan ? stdout : stderr);
	if (p.total > gpu_info()->memory)
		sd_plan_refuse(&c, p.total);
}

/* ---- the run -------------------------------------------------------------------------------------- */

/* Text that tells what made the model, for its files. */
static const char *const *
provenance(int argc, char **argv)
{
	static const char *meta[5] = { "format", "pt", "phantom" };
	struct sb sb = { 0 };

	sb_putc(&sb, '{');
	provenance_put(&sb, argc, argv, o.seed);
	sb_printf(&sb, ",\"records\":\"fnv1a64:%016" PRIx64 "\",\"base\":", data.hash);
	json_put_str(&sb, o.model, strlen(o.model));
	sb_putc(&sb, '}');
	meta[3] = sb.s;
	return meta;
}

static int64_t
steps_of_run(const struct sd_view *v)
{
	int64_t batches = ((int64_t)v->n + o.batch - 1) / o.batch;

	if (o.steps)
		return o.steps;
	if (o.per_image)
		return o.per_image * (int64_t)data.n;
	return o.epochs * ((batches + o.accumulate - 1) / o.accumulate);
}

static void
make_settings(struct sd_train *t, int argc, char **argv)
{
	static const enum st_dtype dtypes[] = { ST_F32, ST_F16, ST_BF16 };
	struct sd_settings *s = &t->set;

	*s = (struct sd_settings){ .run = o.output, .seed = o.seed, .optim = optimizer(), .lr = o.lr,
		.batch = (int)o.batch, .jobs = (int)o.jobs, .save_every = o.save_every, .keep = o.keep,
		.log_every = o.log_every, .dtype = dtypes[o.dtype], .meta = provenance(argc, argv),
		.prompts = o.prompts.v, .nprompts = (int)o.prompts.n, .images = (int)o.images,
		.eval_every = o.eval_every, .eval_epochs = o.eval_epochs, .sampler = o.sampler,
		.sample_steps = (int)o.sample_steps, .guidance = o.guidance, .single_dir = o.single_dir,
		.single_every = !o.single_dir ? 0 : o.single_every ? o.single_every : o.save_every,
		.single_name = path_base(o.output), .tensorboard = o.board, .lora_form = (enum lora_form)o.form,
		.quiet = o.quiet };
	if (valid_data.n && !o.eval_every && !o.eval_epochs)
		s->eval_epochs = 1;
	if (o.sampler == MODEL_SAMPLER && (s->sampler = noise_config_sampler(&model.noise)) < 0)
		die("%s", errmsg());
	for (int i = 0; i < s->nprompts && model.has[SD_CLASSES]; i++)
		if (class_config_find(&model.cfg.classes, s->prompts[i]) < 0)
			usage_error("--validation-prompt: the model has no class '%s'", s->prompts[i]);
	s->steps = steps_of_run(&t->feed.view);
	if (o.scale_lr)
		s->lr *= (double)(o.batch * o.accumulate);
	if (schedule_init(&s->schedule, o.schedule, o.warmup, s->steps))
		die("%s", errmsg());
	if (s->schedule.kind == SCHEDULE_COSINE_WITH_RESTARTS)
		s->schedule.cycles = (double)o.cycles;
	s->schedule.power = o.power;
	s->schedule.end = s->lr > 0 ? 1e-7 / s->lr : 0;
	t->step = (struct sd_step){ .compute = compute_type(), .accumulate = (int)o.accumulate,
		.clip = o.clip, .ema_decay = o.use_ema ? o.ema : 0, .scaled = o.precision == PRECISION_F16,
		.loss = { .prediction = model.noise.prediction, .snr_gamma = o.snr,
		    .form = o.prompt ? SNR_DREAMBOOTH : SNR_TEXT_TO_IMAGE, .prior_weight = o.prior_weight } };
}

/* Where latents and text states are kept. */
static void
open_caches(struct sd_train *t)
{
	static struct sd_cache latents, states;
	static struct intern texts;
	struct sd_feed f = { .p = &model, .train_text = o.text && model.has[SD_TEXT],
		.longest = o.padding == 1, .noise_offset = o.offset, .perturbation = o.perturbation };

	t->feed = t->valid = f;
	sd_view_init(&t->feed.view, &data, o.class_prompt ? &class_data : NULL);
	sd_view_init(&t->valid.view, &valid_data, NULL);
	t->valid.even = true;
	t->valid.noise_offset = t->valid.perturbation = 0;
	if (model.has[SD_TEXT] && sd_cache_open(&states, 0, sd_feed_state(&t->feed) * sizeof(float), TEXTS,
	        o.cache_dir))
		die("%s", errmsg());
	t->feed.states = t->valid.states = &states;
	t->feed.texts = t->valid.texts = &texts;
	if (!o.cache)
		return;
	if (sd_cache_open(&latents, 2 * (data.n + class_data.n), sd_feed_latent(&t->feed) * sizeof(float),
	        (size_t)o.cache_room, o.cache_dir))
		die("%s", errmsg());
	t->feed.latents = &latents;
}

/* The checkpoint to go on from, or NULL; a folder that holds a run is not written over. */
static char *
resume_point(void)
{
	static const char *const signs[] = { "last", "model_index.json", "pytorch_lora_weights.safetensors" };
	bool none = true;
	char *from = o.resume_from ? sd_train_find(o.output, o.resume_from, &none) : NULL;

	if (o.resume_from && !from && !none)
		die("%s", errmsg());
	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs) && !o.resume_from; i++) {
		char *path = path_join(o.output, signs[i]);

		if (file_exists(path))
			die("%s holds a run already: --resume goes on with it", o.output);
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

	hyphens(argc, argv);
	apply_preset(argc, argv);
	at = opt_parse(argc, argv, table, "-m MODEL -o DIR [options] [FILE ...]",
	    "Fine-tune a Stable Diffusion model on records of images and captions.");
	check_options();
	if (!o.plan)
		from = resume_point();
	gpu_open(o.device);
	setup = setup_of_options();
	plan(&setup, &cfg);
	if (o.plan) {
		stdout_close();
		return EXIT_OK;
	}
	read_data(&cfg, (const char *const *)argv + at, (size_t)(argc - at));
	t.trained = sd_setup_trained(&setup, &cfg);
	t.adapted = sd_setup_adapted(&setup, &cfg);
	if (sd_setup_open(&setup, &cfg, &model, t.lora))
		die("%s", errmsg());
	if (o.class_prompt)
		read_class_images();
	open_caches(&t);
	make_settings(&t, argc, argv);
	if (sd_train_open(&t, from) || sd_train(&t))
		die("%s", errmsg());
	free(from);
	leave(&t, &cfg);
	return bad_records;
}
