/*
 * The options of sdtrain(1): its own, diffusers' spellings of them, and the originals' presets.
 * Wrong usage ends the program.
 */
#ifndef MODEL_SD_OPTIONS_H
#define MODEL_SD_OPTIONS_H

#include "base/opt.h"

enum { PRECISION_NO, PRECISION_F16, PRECISION_BF16 };

struct sd_options {
	const char *model, *output, *device, *unet, *vae, *tokenizer, *variant;
	uint64_t seed;
	bool quiet, strict, plan, v_prediction;
	int preset;          /* -1: none */
	int64_t jobs;
	/* data */
	const char *caption_key, *image_key, *label_key, *prompt, *folder, *classes, *prompt_head,
	    *cache_dir;
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
	int prediction;       /* -1: the model's */
	/* looking and keeping */
	struct opt_list prompts;
	int64_t images, eval_every, eval_epochs, sample_steps, save_every, keep, single_every,
	    log_every;
	double guidance;
	const char *single_dir, *board, *logging, *resume_from;
	int report;
	int sampler, dtype;   /* sampler -1: the model's */
	bool resume;
};

/* What argv says, over its preset and the defaults; *first: the index of the first operand. The
 * options live as long as the program; those that follow from others are set. */
struct sd_options *sd_options_parse(int argc, char **argv, int *first);

#endif
