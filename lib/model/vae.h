/*
 * The image autoencoder of Stable Diffusion (diffusers' AutoencoderKL), of any size that
 * config.json states. Attention tensors may be named to_q.. or query.. in files.
 */
#ifndef MODEL_VAE_H
#define MODEL_VAE_H

#include "data/json.h"
#include "nn/params.h"
#include "tensor/ops.h"

enum { VAE_LEVELS = 8 };
enum vae_part { VAE_ENCODER = 1, VAE_DECODER = 2, VAE_BOTH = 3 };

struct vae_config {
	int in_channels, out_channels, latent, levels, width[VAE_LEVELS], layers, groups,
	    sample_size;
	double scaling;              /* 0.18215 unless stated */
	bool force_upcast;
};
struct vae_blocks;

struct vae {
	struct vae_config cfg;
	struct params ps;
	struct vae_blocks *blocks;
	/* of x and z: that of the values, or F32 with weights widened when they are used */
	enum dtype compute;
};

int vae_config_get(struct vae_config *, const struct json *, int v);
void vae_config_put(const struct vae_config *, struct sb *);
int vae_init(struct vae *, const struct vae_config *, enum dtype, bool train);
/* Only what one direction needs, without gradients; the other must not be called. */
int vae_init_part(struct vae *, const struct vae_config *, enum dtype, enum vae_part);
void vae_release(struct vae *);
int vae_factor(const struct vae *); /* pixels of a latent's side: 8 */
/* x [N,H,W,3] in [-1,1] -> mean and logvar (clamped to [-30,20]), each [N,H/f,W/f,latent]. */
void vae_encode(const struct vae *, struct tensor *x, struct tensor **mean, struct tensor **logvar);
/* z [N,h,w,latent], unscaled (divided by `scaling`) -> [N,h f,w f,3]. */
struct tensor *vae_decode(const struct vae *, struct tensor *z);
/* The same in tiles of `tile` latents a side (at least 4; 0: whole) that overlap by a quarter,
 * blended, for images that do not fit the device at once. Every tile has group norms of its own, so
 * that pixels are not those of the whole. Not differentiable. */
struct tensor *vae_decode_tiled(const struct vae *, struct tensor *z, int tile);

#endif
