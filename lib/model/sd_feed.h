/*
 * From samples to batches on the device: latents of images, states of captions or classes, noise,
 * times.
 *
 * All that is random is a function of (seed, id, visit). Latents and text states are kept where
 * caches are open; a sample's latents and states do not depend on its neighbours.
 */
#ifndef MODEL_SD_FEED_H
#define MODEL_SD_FEED_H

#include "base/intern.h"
#include "model/pipeline.h"
#include "model/sd_cache.h"
#include "model/sd_data.h"
#include "model/sd_step.h"
#include "nn/loader.h"

struct sd_feed {
	struct pipeline *p;
	struct sd_view view;
	int times;                 /* of the noise schedule: t is below it */
	bool train_text;           /* the text encoder is on the tape: its states are never kept */
	bool longest;    /* captions are padded to the longest of the batch, not to the encoder's */
	bool even;                 /* times are spread evenly over the samples: for judging */
	double noise_offset, perturbation;
	/* or NULL; place: 2 * item + mirrored, prior's items after own's */
	struct sd_cache *latents;
	struct sd_cache *states;   /* or NULL */
	struct intern *texts;      /* a state's place */
	int *t;                    /* [n] of the last batch */
	size_t cap;
};

/* Floats of an image's entry in latents: mean and log variance, each [h,w,c]. */
size_t sd_feed_latent(const struct sd_feed *);
/* Floats of an entry in states: [tokens,width]. */
size_t sd_feed_state(const struct sd_feed *);
/* How many images of this size are encoded at once, at most: as many as have the pixels of one of
 * 512 x 512. */
int sd_feed_at_once(int resolution);
/* Tells the view's loader which pixels are not wanted. The feed must stay where it is. */
void sd_feed_attach(struct sd_feed *);
/* A batch in the innermost scope; b->t is borrowed until the next. -1 with a message. */
int sd_feed_batch(struct sd_feed *, const struct loader_batch *, uint64_t epoch,
    struct sd_batch *b);
void sd_feed_release(struct sd_feed *);

#endif
