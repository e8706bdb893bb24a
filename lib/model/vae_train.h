/*
 * Training the autoencoder: reconstruction and a pull of its latents towards the standard normal.
 *
 *	struct vae_train t;
 *	vae_train_init(&t, &vae, &(struct vae_train_conf){ .steps = 1000, .lr = 1e-3, .kl = 1e-4 });
 *	while (t.step < t.conf.steps)
 *		vae_train_step(&t, pixels, 8, 64, 64, NULL);
 *	vae_train_release(&t);
 *
 * The loss of images x with their reconstructions y of latents drawn from the encoder's normals is
 *	mean |y - x| + mean (y - x)^2 + kl sum (mean^2 + var - 1 - log var) / 2 / values of x
 * (all means over all values; Rombach et al., 2022, have kl = 1e-6). AdamW (0.9, 0.999, no decay),
 * gradients clipped to a norm of 1, the rate warmed up over 5 % of the steps and brought down to 0
 * by a cosine.
 */
#ifndef MODEL_VAE_TRAIN_H
#define MODEL_VAE_TRAIN_H

#include "model/sd_data.h"
#include "model/vae.h"
#include "nn/optim.h"
#include "nn/schedule.h"

struct vae_train_conf {
	int64_t steps;
	double lr, kl;
	uint64_t seed;               /* of the latents' noise */
};

struct vae_train {
	struct vae *vae;             /* made for training, F32; borrowed */
	struct vae_train_conf conf;
	struct optim optim;
	struct schedule schedule;
	int64_t step;                /* done */
};

struct vae_loss {
	double total, absolute, square, kl, grad_norm, lr; /* kl: without its factor */
};

/* For an autoencoder of random weights, before it is trained: takes 6 off the latents' log
 * variance, whose noise of 1 would drown means of a few tenths, so that the decoder learns to do
 * without them first. */
void vae_train_quiet(struct vae *);
void vae_train_init(struct vae_train *, struct vae *, const struct vae_train_conf *);
void vae_train_release(struct vae_train *);
/* One step on n images, x [n,h,w,channels] in [-1,1], sides multiples of vae_factor(). loss: NULL,
 * or what it was (which waits for the device). */
void vae_train_step(struct vae_train *, const float *x, int64_t n, int64_t h, int64_t w,
    struct vae_loss *loss);

/* Trains on windows of crop x crop pixels of the images of `data`, `batch` at a time, reshuffled
 * and cut anew when all were seen, until conf.steps are done or stop() is not 0. report (may be
 * NULL) is called after every `every`th step, the first and the last. 0, or -1 with a message: an
 * image that cannot be read. */
struct vae_train_run {
	struct sd_data *data;
	int64_t batch, crop, every;
	int (*stop)(void);
	void (*report)(void *ctx, int64_t step, const struct vae_loss *);
	void *ctx;
};
int vae_train_run(struct vae_train *, const struct vae_train_run *);

/* What is found on images that are shown one after another. */
struct vae_score {
	double error;                /* sum of squares of y - x, of the latents' means */
	double values;               /* of x */
	double sum, square, latents; /* of the latents, drawn: their sum, sum of squares, count */
};
void vae_score_add(struct vae_score *, const struct vae *, const float *x, int64_t n, int64_t h,
    int64_t w);
/* At most `most` images of data, as they are at their first visit. */
int vae_score_images(struct vae_score *, const struct vae *, struct sd_data *, size_t most);
/* Peak signal (2, from -1 to 1) to noise of all reconstructions together, in dB. */
double vae_score_psnr(const struct vae_score *);
/* Standard deviation of the latents: scaling_factor is 1 divided by it. */
double vae_score_deviation(const struct vae_score *);

#endif
