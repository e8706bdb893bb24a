/*
 * What a diffusion model is trained on: noisy latents, the target that they are to lead to, and a
 * weighted mean of squared errors (Ho et al., 2020; Salimans and Ho, 2022; Hang et al., Efficient
 * diffusion training via min-SNR weighting, 2023; Ruiz et al., DreamBooth, 2023).
 *
 *	noisy = sd_add_noise(&schedule, x, noise, t);
 *	pred = unet_forward(&unet, noisy, times, context);
 *	errors = sd_errors(pred, sd_target(&schedule, PREDICT_EPSILON, x, noise, t));
 *	loss = sd_loss_sum(&l, &schedule, errors, t, prior);
 *
 * Images are [N,H,W,C] F32, t is [N] whole timesteps.
 */
#ifndef MODEL_SD_LOSS_H
#define MODEL_SD_LOSS_H

#include "model/noise.h"
#include "tensor/ops.h"

/* How min-SNR weights v prediction: min(snr,g)/(snr+1), or as DreamBooth's trainer min(snr,g)/snr +
 * 1. */
enum snr_form { SNR_TEXT_TO_IMAGE, SNR_DREAMBOOTH };

struct sd_loss {
	enum prediction prediction;
	double snr_gamma;    /* 0: every timestep weighs the same */
	enum snr_form form;
	double prior_weight; /* of the class images' mean error */
};

/* sqrt(abar_t) x + sqrt(1 - abar_t) noise */
struct tensor *sd_add_noise(const struct noise_schedule *, struct tensor *x, struct tensor *noise,
    const int *t);
/* noise; sqrt(abar_t) noise - sqrt(1 - abar_t) x; or x. */
struct tensor *sd_target(const struct noise_schedule *, enum prediction, struct tensor *x,
    struct tensor *noise, const int *t);
/* The mean squared error of each sample, [N] F32. */
struct tensor *sd_errors(struct tensor *pred, struct tensor *target);
/* What each sample's error is multiplied by before they are added up: the last `prior` of n are
 * class images, whose mean counts prior_weight times and without min-SNR. */
void sd_loss_weights(const struct sd_loss *, const struct noise_schedule *, const int *t, int n,
    int prior, float *w);
/* The loss, one number. */
struct tensor *sd_loss_sum(const struct sd_loss *, const struct noise_schedule *,
    struct tensor *errors, const int *t, int prior);

#endif
