#include "model/sd_options.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/split_nsw.h"
#include "model/lora.h"
#include "model/noise.h"
#include "nn/schedule.h"

#include <string.h>

static struct sd_options o = { .preset = -1, .seed = 0, .jobs = 2, .caption_key = "text",
	.image_key = "file_name", .label_key = "label", .class_tokens = 16,
	.cache_room = (int64_t)4 << 30, .class_images = 100, .class_batch = 4, .prior_weight = 1,
	.alpha = 0, .targets = "to_q,to_k,to_v,to_out.0", .form = LORA_DIFFUSERS, .lr = 1e-4,
	.beta1 = 0.9, .beta2 = 0.999, .decay = 1e-2, .eps = 1e-8, .clip = 1, .power = 1,
	.ema = 0.9999, .schedule = "constant", .warmup = 500, .cycles = 1, .batch = 16,
	.accumulate = 1, .epochs = 100, .prediction = -1, .images = 4, .eval_epochs = 0,
	.sample_steps = 25, .save_every = 500, .keep = -1, .log_every = 1, .guidance = 7.5,
	.sampler = -1 };

/* why options of others are refused */
#define NO_HUB "nothing is fetched; --model and --train-data-dir name folders"
#define NO_SENDING "nothing is sent anywhere"
#define NO_TRACKER "there is no tracker; --tensorboard writes event files"
#define ONE_DEVICE "one process trains on one device; --device says which"
#define NOT_SD "no Stable Diffusion model has that"

/* Other spellings are diffusers', and those of the field's own trainers. A _ in an option's name
 * counts as -. */
static const struct opt table[] = {
	{ 'm', "model", OPT_STR, &o.model, "MODEL",
	    "diffusers folder, or one .safetensors file", 0, 0 },
	{ 'o', "output", OPT_STR, &o.output, "DIR",
	    "the run's folder, and the model's at its end", 0, 0 },
	{ 0, "preset", OPT_CHOICE, &o.preset, "mep|nsw|nsw-class",
	    "settings of an original; other options come on top", 0, 0 },
	{ 0, "resolution", OPT_INT, &o.resolution, "PX",
	    "short side, and side of the crop (the model's)", 8, 8192 },
	{ 0, "center-crop", OPT_FLAG, &o.center, NULL, "crop at the centre, not at random", 0, 0 },
	{ 0, "random-flip", OPT_FLAG, &o.flip, NULL, "mirror half of the images", 0, 0 },
	{ 0, "caption-field", OPT_STR, &o.caption_key, "KEY",
	    "a text, or a list to choose from (text)", 0, 0 },
	{ 0, "empty-prompts", OPT_FLOAT, &o.empty, "P",
	    "leave this share of captions empty (0)", 0, 1 },
	{ 0, "max-samples", OPT_INT, &o.samples, "N",
	    "train on N of the images (0: all)", 0, 1e12 },
	{ 0, "instance-prompt", OPT_STR, &o.prompt, "TEXT", "caption of all images", 0, 0 },
	{ 0, "class-prompt", OPT_STR, &o.class_prompt, "TEXT",
	    "preserve what the model knows of this", 0, 0 },
	{ 0, "num-class-images", OPT_INT, &o.class_images, "N",
	    "make those that are missing (100)", 1, 1e6 },
	{ 0, "class-labels", OPT_STR, &o.classes, "A,B,...",
	    "learn states of classes instead of texts", 0, 0 },
	{ 0, "train-text-encoder", OPT_FLAG, &o.text, NULL, "train it, too (or its LoRA)", 0, 0 },
	{ 0, "lora-rank", OPT_INT, &o.rank, "N", "train low-rank changes only", 1, 4096 },
	{ 0, "lora-targets", OPT_STR, &o.targets, "A,B,...",
	    "of these weights (to_q,to_k,to_v,to_out.0)", 0, 0 },
	{ 'b', "batch-size", OPT_INT, &o.batch, "N", "images at a time (16)", 1, 4096 },
	{ 0, "accumulate", OPT_INT, &o.accumulate, "N", "batches that make a step (1)", 1, 65536 },
	{ 'n', "epochs", OPT_INT, &o.epochs, "N", "times through the images (100)", 1, 1e9 },
	{ 0, "max-steps", OPT_INT, &o.steps, "N", "or as many steps (0: by epochs)", 0, 1e12 },
	{ 0, "mixed-precision", OPT_CHOICE, &o.precision, "no|fp16|bf16",
	    "work in 16 bits (no)", 0, 0 },
	{ 0, "gradient-checkpointing", OPT_FLAG, &o.checkpointing, NULL,
	    "less memory, a third more time", 0, 0 },
	{ 0, "lr", OPT_FLOAT, &o.lr, "R", "learning rate (1e-4)", 0, 1e3 },
	{ 0, "lr-scheduler", OPT_STR, &o.schedule, "NAME",
	    "constant, linear, cosine, ... (constant)", 0, 0 },
	{ 0, "lr-warmup-steps", OPT_INT, &o.warmup, "N",
	    "steps in which the rate rises (500; constant: none)", 0, 1e12 },
	{ 0, "use-8bit-adam", OPT_FLAG, &o.adam8, NULL, "moments in 8 bits", 0, 0 },
	{ 0, "clip", OPT_FLOAT, &o.clip, "NORM", "clip the gradient's norm (1; 0: not)", 0, 1e6 },
	{ 0, "use-ema", OPT_FLAG, &o.use_ema, NULL, "keep running means of the U-Net", 0, 0 },
	{ 0, "snr-gamma", OPT_FLOAT, &o.snr, "G",
	    "min-SNR weights; 5 is usual (0: none)", 0, 1e6 },
	{ 0, "noise-offset", OPT_FLOAT, &o.offset, "X",
	    "add X times one number a channel to the noise (0)", 0, 10 },
	{ 0, "cache-latents", OPT_FLAG, &o.cache, NULL,
	    "encode each image once (one crop each)", 0, 0 },
	{ 0, "validation-prompt", OPT_LIST, &o.prompts, "TEXT",
	    "draw this (again and again: more)", 0, 0 },
	{ 0, "validation-steps", OPT_INT, &o.eval_every, "N",
	    "draw it every N steps (or by epochs)", 0, 1e12 },
	{ 0, "checkpoint-steps", OPT_INT, &o.save_every, "N",
	    "a checkpoint every N steps (500)", 0, 1e12 },
	{ 0, "keep", OPT_INT, &o.keep, "N", "checkpoints to keep (all)", 1, 1e9 },
	{ 0, "resume", OPT_FLAG, &o.resume, NULL, "go on from the latest, if there is one", 0, 0 },
	{ 0, "tensorboard", OPT_STR, &o.board, "DIR", "event files there, too", 0, 0 },
	{ 0, "plan", OPT_FLAG, &o.plan, NULL, "tell only what memory it takes", 0, 0 },
	{ 's', "seed", OPT_U64, &o.seed, "N", "of order, crops, noise, times (0)", 0, 0 },
	{ 'd', "device", OPT_STR, &o.device, "DEVICE", "number or name in gpuinfo(1)", 0, 0 },
	{ 'j', "jobs", OPT_INT, &o.jobs, "N", "threads that read images (2)", 1, 256 },
	{ 0, "strict", OPT_FLAG, &o.strict, NULL, "stop at the first bad record", 0, 0 },
	{ 'q', "quiet", OPT_FLAG, &o.quiet, NULL, "no progress, no plan", 0, 0 },
	/* other spellings */
	{ 0, "pretrained-model-name-or-path", OPT_STR, &o.model, NULL, NULL, 0, 0 },
	{ 0, "output-dir", OPT_STR, &o.output, NULL, NULL, 0, 0 },
	{ 0, "save-model-to", OPT_STR, &o.output, NULL, NULL, 0, 0 },
	{ 0, "caption-column", OPT_STR, &o.caption_key, NULL, NULL, 0, 0 },
	{ 0, "image-column", OPT_STR, &o.image_key, NULL, NULL, 0, 0 },
	{ 0, "proportion-empty-prompts", OPT_FLOAT, &o.empty, NULL, NULL, 0, 1 },
	{ 0, "max-train-samples", OPT_INT, &o.samples, NULL, NULL, 0, 1e12 },
	{ 0, "instance-data-dir", OPT_STR, &o.folder, NULL, NULL, 0, 0 },
	{ 0, "dataset-name", OPT_STR, &o.image_folders, NULL, NULL, 0, 0 },
	{ 0, "rank", OPT_INT, &o.rank, NULL, NULL, 1, 4096 },
	{ 0, "train-batch-size", OPT_INT, &o.batch, NULL, NULL, 1, 4096 },
	{ 0, "gradient-accumulation-steps", OPT_INT, &o.accumulate, NULL, NULL, 1, 65536 },
	{ 0, "num-train-epochs", OPT_INT, &o.epochs, NULL, NULL, 1, 1e9 },
	{ 0, "max-train-steps", OPT_INT, &o.steps, NULL, NULL, 0, 1e12 },
	{ 0, "learning-rate", OPT_FLOAT, &o.lr, NULL, NULL, 0, 1e3 },
	{ 0, "max-grad-norm", OPT_FLOAT, &o.clip, NULL, NULL, 0, 1e6 },
	{ 0, "validation-prompts", OPT_LIST, &o.prompts, "TEXT", NULL, 0, 0 },
	{ 0, "checkpointing-steps", OPT_INT, &o.save_every, NULL, NULL, 0, 1e12 },
	{ 0, "checkpoints-total-limit", OPT_INT, &o.keep, NULL, NULL, 1, 1e9 },
	{ 0, "dataloader-num-workers", OPT_INT, &o.jobs, NULL, NULL, 0, 256 },
	{ 0, "tokenizer-name", OPT_STR, &o.tokenizer, NULL, NULL, 0, 0 },
	/* those that mean nothing here */
	{ 0, "revision", OPT_REFUSED, NULL, NO_HUB, NULL, 0, 0 },
	{ 0, "non-ema-revision", OPT_REFUSED, NULL, NO_HUB, NULL, 0, 0 },
	{ 0, "dataset-config-name", OPT_REFUSED, NULL, NO_HUB, NULL, 0, 0 },
	{ 0, "push-to-hub", OPT_REFUSED, NULL, NO_SENDING, NULL, 0, 0 },
	{ 0, "hub-token", OPT_REFUSED, NULL, NO_SENDING, NULL, 0, 0 },
	{ 0, "hub-model-id", OPT_REFUSED, NULL, NO_SENDING, NULL, 0, 0 },
	{ 0, "tracker-project-name", OPT_REFUSED, NULL, NO_TRACKER, NULL, 0, 0 },
	{ 0, "wandb-project-name", OPT_REFUSED, NULL, NO_TRACKER, NULL, 0, 0 },
	{ 0, "wandb-run-name", OPT_REFUSED, NULL, NO_TRACKER, NULL, 0, 0 },
	{ 0, "wandb-entity", OPT_REFUSED, NULL, NO_TRACKER, NULL, 0, 0 },
	{ 0, "local-rank", OPT_REFUSED, NULL, ONE_DEVICE, NULL, 0, 0 },
	{ 0, "num-processes", OPT_REFUSED, NULL, ONE_DEVICE, NULL, 0, 0 },
	{ 0, "num-machines", OPT_REFUSED, NULL, ONE_DEVICE, NULL, 0, 0 },
	{ 0, "dynamo-backend", OPT_REFUSED, NULL, "nothing is compiled by it here", NULL, 0, 0 },
	{ 0, "allow-tf32", OPT_REFUSED, NULL, "f32 is f32 here, tf32 is not had", NULL, 0, 0 },
	{ 0, "enable-xformers-memory-efficient-attention", OPT_REFUSED, NULL,
	    "attention never keeps its scores here, with no option", NULL, 0, 0 },
	{ 0, "set-grads-to-none", OPT_REFUSED, NULL,
	    "gradients have their place throughout; --plan counts it", NULL, 0, 0 },
	{ 0, "prior-generation-precision", OPT_REFUSED, NULL,
	    "class images are made as --mixed-precision says", NULL, 0, 0 },
	{ 0, "pre-compute-text-embeddings", OPT_REFUSED, NULL,
	    "states of texts are kept where the text encoder is not trained, with no option",
	    NULL, 0, 0 },
	{ 0, "skip-save-text-encoder", OPT_REFUSED, NULL, "the final model is whole", NULL, 0, 0 },
	{ 0, "tokenizer-max-length", OPT_REFUSED, NULL,
	    "captions have what the text encoder takes; --text-padding longest is shorter",
	    NULL, 0, 0 },
	{ 0, "text-encoder-use-attention-mask", OPT_REFUSED, NULL, NOT_SD, NULL, 0, 0 },
	{ 0, "class-labels-conditioning", OPT_REFUSED, NULL, NOT_SD, NULL, 0, 0 },
	{ 0, "validation-images", OPT_REFUSED, NULL, NOT_SD, NULL, 0, 0 },
	{ 0, "validation-scheduler", OPT_REFUSED, NULL,
	    "say --scheduler dpmpp-2m, or ddpm", NULL, 0, 0 },
	{ 0, "offset-noise", OPT_REFUSED, NULL, "say --noise-offset 0.1", NULL, 0, 0 },
	{ 0, NULL, OPT_TITLE, NULL, NULL, "Images", 0, 0 },
	{ 0, "image-field", OPT_STR, &o.image_key, "KEY", "", 0, 0 },
	{ 0, "label-field", OPT_STR, &o.label_key, "KEY", "", 0, 0 },
	{ 0, "image-folder", OPT_STR, &o.folder, "DIR", "", 0, 0 },
	{ 0, "train-data-dir", OPT_STR, &o.image_folders, "DIR", "", 0, 0 },
	{ 0, "image-captions-filename", OPT_FLAG, &o.from_names, NULL, "", 0, 0 },
	{ 0, "captions-dir", OPT_STR, &o.captions_dir, "DIR", "", 0, 0 },
	{ 0, "text-padding", OPT_CHOICE, &o.padding, "max|longest", "", 0, 0 },
	{ 0, NULL, OPT_TITLE, NULL, NULL, "Class images", 0, 0 },
	{ 0, "class-data-dir", OPT_STR, &o.class_dir, "DIR", "", 0, 0 },
	{ 0, "class-data-dir-parent", OPT_STR, &o.class_parent, "DIR", "", 0, 0 },
	{ 0, "prior-loss-weight", OPT_FLOAT, &o.prior_weight, "W", "", 0, 1e6 },
	{ 0, "sample-batch-size", OPT_INT, &o.class_batch, "N", "", 1, 64 },
	{ 0, "with-prior-preservation", OPT_FLAG, &o.prior, NULL, "", 0, 0 },
	{ 0, NULL, OPT_TITLE, NULL, NULL, "What is trained", 0, 0 },
	{ 0, "class-tokens", OPT_INT, &o.class_tokens, "N", "", 1, 4096 },
	{ 0, "lora-alpha", OPT_FLOAT, &o.alpha, "A", "", 1e-6, 1e6 },
	{ 0, "lora-form", OPT_CHOICE, &o.form, LORA_FORMS, "", 0, 0 },
	{ 0, "prediction-type", OPT_CHOICE, &o.prediction, "epsilon|v_prediction|sample",
	    "", 0, 0 },
	{ 0, "low-memory-optimizations", OPT_FLAG, &o.low_memory, NULL, "", 0, 0 },
	{ 0, NULL, OPT_TITLE, NULL, NULL, "Steps", 0, 0 },
	{ 0, "steps-per-image", OPT_INT, &o.per_image, "N", "", 0, 1e9 },
	{ 0, "scale-lr", OPT_FLAG, &o.scale_lr, NULL, "", 0, 0 },
	{ 0, "input-perturbation", OPT_FLOAT, &o.perturbation, "X", "", 0, 10 },
	{ 0, "lr-num-cycles", OPT_INT, &o.cycles, "N", "", 1, 1e9 },
	{ 0, "lr-power", OPT_FLOAT, &o.power, "P", "", 0, 100 },
	{ 0, "adam-beta1", OPT_FLOAT, &o.beta1, "B", "", 0, 0.9999999 },
	{ 0, "adam-beta2", OPT_FLOAT, &o.beta2, "B", "", 0, 0.9999999 },
	{ 0, "adam-weight-decay", OPT_FLOAT, &o.decay, "D", "", 0, 10 },
	{ 0, "adam-epsilon", OPT_FLOAT, &o.eps, "E", "", 0, 1 },
	{ 0, "ema-decay", OPT_FLOAT, &o.ema, "D", "", 0, 0.9999999999 },
	{ 0, NULL, OPT_TITLE, NULL, NULL, "Memory", 0, 0 },
	{ 0, "cache-memory", OPT_SIZE, &o.cache_room, "SIZE", "", 0, 1e15 },
	{ 0, "cache-dir", OPT_STR, &o.cache_dir, "DIR", "", 0, 0 },
	{ 0, NULL, OPT_TITLE, NULL, NULL, "Pictures", 0, 0 },
	{ 0, "num-validation-images", OPT_INT, &o.images, "N", "", 1, 1000 },
	{ 0, "validation-epochs", OPT_INT, &o.eval_epochs, "N", "", 0, 1e9 },
	{ 0, "scheduler", OPT_CHOICE, &o.sampler, SAMPLERS, "", 0, 0 },
	{ 0, "steps", OPT_INT, &o.sample_steps, "N", "", 1, 1000 },
	{ 0, "guidance-scale", OPT_FLOAT, &o.guidance, "X", "", 0, 100 },
	{ 0, NULL, OPT_TITLE, NULL, NULL, "Files", 0, 0 },
	{ 0, "resume-from-checkpoint", OPT_STR, &o.resume_from, "DIR", "", 0, 0 },
	{ 0, "session-dir", OPT_STR, &o.single_dir, "DIR", "", 0, 0 },
	{ 0, "session-steps", OPT_INT, &o.single_every, "N", "", 0, 1e12 },
	{ 0, "save-dtype", OPT_CHOICE, &o.dtype, "f32|f16|bf16", "", 0, 0 },
	{ 0, "log-every", OPT_INT, &o.log_every, "N", "", 1, 1e9 },
	{ 0, "logging-dir", OPT_STR, &o.logging, "DIR", "", 0, 0 },
	{ 0, "report-to", OPT_CHOICE, &o.report, "none|tensorboard", "", 0, 0 },
	{ 0, NULL, OPT_TITLE, NULL, NULL, "The model", 0, 0 },
	{ 0, "unet", OPT_STR, &o.unet, "DIR", "", 0, 0 },
	{ 0, "vae", OPT_STR, &o.vae, "DIR", "", 0, 0 },
	{ 0, "tokenizer", OPT_STR, &o.tokenizer, "DIR", "", 0, 0 },
	{ 0, "variant", OPT_STR, &o.variant, "NAME", "", 0, 0 },
	{ 0, "v-prediction", OPT_FLAG, &o.v_prediction, NULL, "", 0, 0 },
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

/* NSW's classes, with commas between. */
static const char *
phases(void)
{
	struct sb sb = { 0 };

	for (int i = 0; i < NSW_NPHASES; i++)
		sb_printf(&sb, "%s%s", i ? "," : "", nsw_phase[i]);
	return sb.s;
}

/* A preset's setting, or a default that depends on others: what was said comes on top. */
#define UNLESS_SAID(field, value) \
	do { \
		if (!opt_said(&o.field)) \
			o.field = (value); \
	} while (0)

/* How long it trains: any way that was said comes before the preset's. */
static void
preset_length(int64_t steps, int64_t per_image)
{
	if (opt_said(&o.steps) || opt_said(&o.per_image) || opt_said(&o.epochs))
		return;
	o.steps = steps;
	o.per_image = per_image;
}

/* diffusers' train_text_to_image as MEP's README calls it */
static void
preset_mep(void)
{
	UNLESS_SAID(flip, true);
	UNLESS_SAID(adam8, true);
	UNLESS_SAID(checkpointing, true);
	UNLESS_SAID(lr, 1e-5);
	UNLESS_SAID(precision, PRECISION_F16);
	preset_length(15, 0);
}

/* DreamBooth on SD 2.1; classes: its variant with classes instead of text */
static void
preset_nsw(bool classes)
{
	UNLESS_SAID(seed, 10);
	UNLESS_SAID(padding, 1);
	UNLESS_SAID(images, 20);
	UNLESS_SAID(eval_every, 200);
	UNLESS_SAID(sampler, SAMPLER_DPMPP_2M);
	UNLESS_SAID(sample_steps, 25);
	preset_length(0, 550);
	if (classes) {
		UNLESS_SAID(lr, 1e-6);
		UNLESS_SAID(save_every, 50000);
		UNLESS_SAID(guidance, 1);
		UNLESS_SAID(classes, phases());
		o.prompt_head = "a microscopic image of a human embryo at phase ";
		return;
	}
	UNLESS_SAID(lr, 7e-6);
	UNLESS_SAID(prompt, "a grayscale microscopic image of human embryo at phase t2");
	UNLESS_SAID(class_prompt, "a grayscale microscopic image of a human embryo");
	UNLESS_SAID(class_images, 200);
	if (!o.prompts.n) {
		o.prompts.v = &o.prompt;
		o.prompts.n = 1;
	}
}

static void
apply_preset(void)
{
	enum { MEP, NSW, NSW_CLASS };

	if (o.preset < 0)
		return;
	UNLESS_SAID(resolution, 512);
	UNLESS_SAID(batch, 1);
	UNLESS_SAID(accumulate, 1);
	UNLESS_SAID(warmup, 0);
	UNLESS_SAID(save_every, 500);
	if (o.preset == MEP)
		preset_mep();
	else
		preset_nsw(o.preset == NSW_CLASS);
}

/* What goes only with something else. */
static void
check_company(void)
{
	const void *const of_class[] = { &o.class_images, &o.class_dir, &o.class_parent,
		&o.prior_weight, &o.class_batch };
	const void *const of_pictures[] = { &o.images, &o.sampler, &o.sample_steps, &o.guidance };
	const void *const of_lora[] = { &o.targets, &o.alpha, &o.form };

	for (size_t i = 0; i < sizeof(of_class) / sizeof(*of_class); i++)
		opt_wants(of_class[i], o.class_prompt, "--class-prompt");
	for (size_t i = 0; i < sizeof(of_pictures) / sizeof(*of_pictures); i++)
		opt_wants(of_pictures[i], o.prompts.n, "--validation-prompt");
	for (size_t i = 0; i < sizeof(of_lora) / sizeof(*of_lora); i++)
		opt_wants(of_lora[i], o.rank, "--lora-rank");
	opt_wants(&o.class_tokens, o.classes, "--class-labels");
	opt_wants(&o.ema, o.use_ema, "--use-ema");
	opt_wants(&o.cache_room, o.cache, "--cache-latents");
	opt_wants(&o.single_every, o.single_dir, "--session-dir");
	opt_wants(&o.captions_dir, o.from_names, "--image-captions-filename");
	opt_wants(&o.image_key, !o.folder, "records");
	opt_wants(&o.caption_key, !o.folder && !o.prompt && !o.from_names, "captions of records");
	opt_wants(&o.cycles, !strcmp(o.schedule, "cosine_with_restarts"),
	    "--lr-scheduler cosine_with_restarts");
	opt_wants(&o.power, !strcmp(o.schedule, "polynomial"), "--lr-scheduler polynomial");
	opt_wants(&o.warmup, !o.warmup || strcmp(o.schedule, "constant"),
	    "a schedule that rises, as constant_with_warmup");
}

/* A folder that is read must be there; one that is written may. */
static void
check_folder(const char *option, const char *dir, bool must)
{
	if (dir && !is_folder(dir, !must))
		usage_error("%s: '%s' is no folder", option, dir);
}

static void
check_options(int operands)
{
	struct schedule probe;

	if (!o.model || (!o.output && !o.plan))
		usage_error("%s is required", o.model ? "--output" : "--model");
	if (schedule_init(&probe, o.schedule, 0, 1) || probe.kind == SCHEDULE_STEP)
		usage_error("--lr-scheduler: '%s' is not one of constant, constant_with_warmup, "
		    "linear, cosine, cosine_with_restarts, polynomial", o.schedule);
	if (o.prior && !o.class_prompt)
		usage_error("--with-prior-preservation wants --class-prompt");
	if (opt_said(&o.prior) && !o.prior)
		o.class_prompt = NULL;
	check_company();
	if (o.steps && o.per_image)
		usage_error("--max-steps or --steps-per-image, not both");
	if (o.class_dir && o.class_parent)
		usage_error("--class-data-dir or --class-data-dir-parent, not both");
	if (o.rank && o.use_ema)
		usage_error("--use-ema is for whole networks, not for low-rank changes");
	if (o.rank && (o.single_dir || opt_said(&o.dtype)))
		usage_error("%s is for whole models", o.single_dir ? "--session-dir"
		    : "--save-dtype");
	if (o.folder && !o.prompt && !o.from_names)
		usage_error("--image-folder wants --instance-prompt: there are no captions");
	if (o.folder && o.image_folders)
		usage_error("--image-folder and --train-data-dir: there is one or the other");
	if ((o.folder || o.image_folders) && operands)
		usage_error("%s: it reads no other records",
		    o.folder ? "--image-folder" : "--train-data-dir");
	check_folder("--captions-dir", o.captions_dir, true);
	check_folder("--output", o.output, false);
	check_folder("--session-dir", o.single_dir, false);
	check_folder("--tensorboard", o.board, false);
}

/* Defaults that depend on others. */
static void
set_defaults(void)
{
	if (o.low_memory) {
		UNLESS_SAID(checkpointing, true);
		UNLESS_SAID(adam8, true);
	}
	if (o.class_parent && o.output)
		o.class_dir = path_join(o.class_parent, path_base(o.output));
	if (!o.alpha)
		o.alpha = (double)o.rank;
	if (!o.jobs)
		o.jobs = 1;
	if (o.prompts.n && !o.eval_every && !opt_said(&o.eval_every))
		UNLESS_SAID(eval_epochs, 5);
	/* as diffusers has it: below the run's folder */
	if (!o.board && o.output && (o.logging || o.report))
		o.board = path_join(o.output, o.logging ? o.logging : "logs");
	if (o.resume && !o.resume_from)
		o.resume_from = "latest";
}

struct sd_options *
sd_options_parse(int argc, char **argv, int *first)
{
	hyphens(argc, argv);
	*first = opt_parse(argc, argv, table, "-m MODEL -o DIR [options] [FILE ...]",
	    "Fine-tune a Stable Diffusion model on records of images and captions.");
	apply_preset();
	check_options(argc - *first);
	set_defaults();
	return &o;
}
