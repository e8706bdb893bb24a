/*
 * Training steps of a diffusion U-Net and of what conditions it: forward, backward, gradients of
 * several batches added up, clipped, an optimiser's step, running means.
 *
 *	struct sd_step s = { .unet = &unet, .accumulate = 1, .clip = 1, .loss = { .prior_weight = 1
 *	} }; sd_step_init(&s, &schedule, &adamw, (struct params *[]){ &unet.ps }, 1);
 *	for (...) {
 *		scope_open();
 *		errors = sd_step_batch(&s, &batch);       [N], on the device: nothing waits
 *		if (sd_step_due(&s))
 *			good = sd_step_update(&s, lr, &norm);
 *		scope_close();
 *	}
 *	sd_step_release(&s);
 */
#ifndef MODEL_SD_STEP_H
#define MODEL_SD_STEP_H

#include "model/sd_loss.h"
#include "model/unet.h"
#include "nn/ema.h"
#include "nn/gradscale.h"
#include "nn/optim.h"

struct sd_step {
	struct unet *unet;
	struct sd_loss loss;
	enum dtype compute;   /* what the U-Net works in: F32, F16 or BF16 */
	int accumulate;       /* batches of a step */
	double clip;          /* of the gradients' norm; 0: none */
	double ema_decay;     /* 0: no running means */
	bool scaled;          /* gradients are scaled, for f16 */
	/* of sd_step_init */
	const struct noise_schedule *schedule;
	struct params **trained;
	int ntrained;
	struct optim optim;
	struct ema ema;       /* of trained[0] */
	struct gradscale scale;
	int gathered;         /* batches since the last step */
};

/* One batch: images are [N,H,W,C] F32 tensors. */
struct sd_batch {
	struct tensor *x;       /* latents, scaled */
	struct tensor *noise;
	/* the noise that is added, where it is not `noise` (input perturbation); or NULL */
	struct tensor *shown;
	struct tensor *context; /* [N,T,width] */
	const int *t;           /* [N] */
	int prior;              /* that many of the last are class images */
};

/* All is borrowed. What is trained must have gradients. */
void sd_step_init(struct sd_step *, const struct noise_schedule *, const struct optim_conf *,
    struct params *const *trained, int n);
void sd_step_release(struct sd_step *);
/* Adds the batch's gradients; the samples' errors, [N] F32 off the tape, of the innermost scope. */
struct tensor *sd_step_batch(struct sd_step *, const struct sd_batch *);
/* The prediction alone, and what it should have been: [N,H,W,C]. */
struct tensor *sd_step_predict(const struct sd_step *, const struct sd_batch *,
    struct tensor **target);
/* Are enough batches gathered? */
bool sd_step_due(const struct sd_step *);
/* The optimiser's step, and the running means'. *norm: of all gradients before clipping, of the
 * innermost scope. false: they were not finite in f16, and the step was left out. */
bool sd_step_update(struct sd_step *, double lr, struct tensor **norm);

#endif
