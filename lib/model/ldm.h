/*
 * Single-file checkpoints in the names of the first latent diffusion programs (CompVis, Stability):
 * model.diffusion_model.*, first_stage_model.*, cond_stage_model.* in one safetensors file. SD 1.x
 * has transformers' text encoder in it, SD 2.x OpenCLIP's, with q, k and v as one matrix.
 *
 * Such a file says little of the model's configuration. What is written here carries it as metadata
 * (phantom.unet and so on); of other files it is read off the tensors' shapes, with 8 heads where
 * projections are convolutions (SD 1.x) and heads of 64 channels where they are linear (SD 2.x).
 */
#ifndef MODEL_LDM_H
#define MODEL_LDM_H

#include "model/sd_config.h"
#include "model/weights.h"

/* The file's three nets with our names, net[SD_TEXT] to net[SD_VAE], and their configuration. What
 * is left over under a net's prefix stands in its view under its full name, so that loading lists
 * it. */
int ldm_read(struct weights *file, struct sd_config *, struct weights *net);
/* Writes the three nets as one file, floats as dtype. meta: as st_write's; the configuration is
 * added. */
int ldm_write(const char *path, const struct sd_config *, const struct weights *net,
    enum st_dtype dtype, const char *const *meta);

/* Where a tensor of a net stands in such a file: its name, and which part of it, of how many
 * (OpenCLIP's q, k and v are three parts of one). False: it has no place there. */
struct ldm_place {
	char name[256];
	int part, parts;
};
bool ldm_place(const struct sd_config *, enum sd_net, const char *name, struct ldm_place *);

/* The configuration alone (ldm_config.c), and the metadata's key of a net's. */
int ldm_config(const struct safetensors *, struct sd_config *);
const char *ldm_meta(enum sd_net);

#endif
