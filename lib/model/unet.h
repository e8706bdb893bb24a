/*
 * The denoising U-Net of Stable Diffusion (diffusers' UNet2DConditionModel), of any size that
 * config.json states. Names as in diffusers' safetensors files.
 */
#ifndef MODEL_UNET_H
#define MODEL_UNET_H

#include "data/json.h"
#include "nn/params.h"
#include "tensor/ops.h"

enum { UNET_LEVELS = 8 };

struct unet_config {
	int in_channels, out_channels, levels, width[UNET_LEVELS];
	bool cross_down[UNET_LEVELS], cross_up[UNET_LEVELS]; /* blocks with attention */
	int layers;                  /* resnets of a down block; up blocks have one more */
	int heads[UNET_LEVELS];  /* attention_head_dim is the NUMBER of heads, a number or a list */
	int context, groups;         /* cross_attention_dim, norm_num_groups */
	double eps;                  /* norm_eps, 1e-5; the transformers' own norm has 1e-6 */
	bool linear_projection;
	bool flip_sin_to_cos;
	double freq_shift;
	int sample_size;
	bool upcast_attention;
};
struct unet_blocks;

struct unet {
	struct unet_config cfg;
	struct params ps;
	struct unet_blocks *blocks;
	bool checkpointing;          /* recompute blocks in backward */
};

int unet_config_get(struct unet_config *, const struct json *, int v);
void unet_config_put(const struct unet_config *, struct sb *);
int unet_init(struct unet *, const struct unet_config *, enum dtype, bool train);
void unet_release(struct unet *);
/* x [N,H,W,in], t: [N] timesteps (may be fractional), context [N,T,context] -> [N,H,W,out]. Sizes
 * that do not halve evenly are right: the way up resizes to the skip's size. */
struct tensor *unet_forward(const struct unet *, struct tensor *x, const double *t,
    struct tensor *context);

#endif
