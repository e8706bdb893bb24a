/*
 * How much memory of the device a training run takes: one step is gone through with nothing but
 * counting (gpu_count), with the networks' shapes and without their weights.
 */
#ifndef MODEL_SD_PLAN_H
#define MODEL_SD_PLAN_H

#include "model/sd_config.h"
#include "nn/optim.h"

#include <stdio.h>

struct sd_plan_conf {
	const struct sd_config *cfg;
	unsigned train;      /* bits 1 << SD_UNET and so on: networks that are trained themselves */
	enum dtype dtype;        /* of networks that are not; the autoencoder is F32 */
	enum dtype compute;
	bool checkpointing, ema;
	struct optim_conf optim;
	int batch, prior;        /* images of a batch, and class images beside them */
	int resolution;
	/* low-rank changes of the networks in `adapt`, which are not trained themselves */
	unsigned adapt;
	const char *const *targets[SD_NETS];
	int ntargets[SD_NETS], rank;
};

struct sd_plan {
	uint64_t weights, gradients, optimizer; /* bytes; running means count as optimizer */
	uint64_t activations;    /* and what ops work with, at their most */
	uint64_t total;          /* the most at once */
};

/* The device must be open. 0, or -1 with a message (a target without any weight). */
int sd_plan_make(struct sd_plan *, const struct sd_plan_conf *);
/* As a record, {"kind":"plan",...}. */
void sd_plan_put(const struct sd_plan *, FILE *);
/* Ends the program: a run of `total` bytes does not fit the device. Says which options would make
 * it fit. */
_Noreturn void sd_plan_refuse(const struct sd_plan_conf *, uint64_t total);

#endif
