/*
 * Class images for prior preservation (DreamBooth): those that a folder lacks are made by the model
 * itself before it is trained.
 */
#ifndef MODEL_SD_PRIOR_H
#define MODEL_SD_PRIOR_H

#include "model/sd_sample.h"

struct sd_prior {
	const char *dir, *prompt;
	int n;                  /* images wanted */
	int batch, size;        /* made at once; pixels of a side */
	int sampler, steps;
	double guidance;
	uint64_t seed;
	bool quiet;
};

/* Makes the folder, and what it lacks of n images as DIR/0.jpg, DIR/1.jpg, ... 0; 1: stop() asked
 * to end it;
 * -1 with a message. Image i is a function of (seed, i). */
int sd_prior_fill(struct pipeline *, const struct sd_prior *, int (*stop)(void));

#endif
