/*
 * Images from a Stable Diffusion model: jobs in batches of one size and number of steps.
 *
 *	struct sd_sample s;
 *	sd_sample_init(&s, &pipeline);
 *	struct sd_job job = { .text = "a cell", .width = 512, .height = 512, .steps = 20, .guidance
 *	= 7.5,
 *	    .sampler = SAMPLER_DDIM, .seed = 1, .strength = 1 };
 *	if (sd_sample_run(&s, &job, 1)) ...
 *	image_write(&job.out, "cell.png", 0, NULL), image_release(&job.out);
 *	sd_sample_release(&s);
 *
 * An image is a function of its job alone, not of the batch it was made in. Noise and the sampler's
 * arithmetic are the CPU's. A number that is none never becomes an image: where weights are f16 or
 * bf16 they are loaded anew as f32 (said on stderr) and the batch is begun again; otherwise the
 * program ends, naming the op that made it.
 */
#ifndef MODEL_SD_SAMPLE_H
#define MODEL_SD_SAMPLE_H

#include "data/image.h"
#include "model/noise_rng.h"
#include "model/pipeline.h"

struct sd_job {
	const char *text, *negative;  /* negative NULL: "" */
	int cls;                      /* of a model with classes instead of text */
	int width, height, steps;     /* pixels, multiples of the autoencoder's factor */
	double guidance;              /* 1: off */
	double rescale;               /* of guidance (Lin et al., 2023): 0 to 1 */
	double strength;              /* how much of the way is noise, from an image: 0 to 1 */
	enum sampler_kind sampler;
	uint64_t seed;
	const struct image *init;     /* of the job's size, RGB, 8 bits, or NULL */
	struct image out;             /* 8 bits; the caller releases it */
};

struct text_state; /* text states, by text */

struct sd_sample {
	struct pipeline *p;
	enum noise_kind rng;
	bool keep;           /* the model is never loaded anew: a number that is none is an error */
	int tile;           /* latents of a side decoded at once; 0: whole; -1: as memory demands */
	struct text_state *text;      /* those last used */
	size_t ntext, next;
	size_t made, rounds; /* states made since the text encoder came; how often it did */
	bool stays;          /* it does not go again */
	struct sd_fit {      /* what was found to fit the device, of the size that was asked last */
		int width, height, batch, tile; /* batch 0, tile -1: not asked yet */
		bool guided;
	} fit;
	/* for tests: noise from elsewhere, and a look at the latents [c,h,w] after each call */
	sampler_noise_fn *draw;
	void (*trace)(void *ctx, int job, int call, const float *x, size_t n);
	void *ctx;
};

void sd_sample_init(struct sd_sample *, struct pipeline *);
void sd_sample_release(struct sd_sample *);
/* Can it be done? -1 with a message. */
int sd_job_check(const struct sd_sample *, const struct sd_job *);
/* May the two be in one batch? */
bool sd_job_alike(const struct sd_job *, const struct sd_job *);
/* Are its text states there, or is what makes them? */
bool sd_sample_knows(const struct sd_sample *, const struct sd_job *);
/* Makes those of jobs to come, of the first 128, so that a lean pipeline's text encoder comes once
 * for many. */
void sd_sample_texts(struct sd_sample *, const struct sd_job *const *, size_t n);
/* n jobs that are alike, all checked. */
int sd_sample_run(struct sd_sample *, struct sd_job *, int n);
/* How many images of this job's size are made at once: enough to keep the device busy, no more than
 * its memory can take (90 % of it, less 32 MiB), as sd_room counts it. */
int sd_sample_batch(struct sd_sample *, const struct sd_job *);
/* The side, in latents, of the tiles in which an image of this size is decoded: s->tile, or the
 * largest of whole (0), 64, 32, 16 and 8 that fits. */
int sd_sample_tile(struct sd_sample *, const struct sd_job *);

#endif
