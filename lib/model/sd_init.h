/* First weights of a new model, as diffusers and transformers draw them. */
#ifndef MODEL_SD_INIT_H
#define MODEL_SD_INIT_H

#include "model/sd_config.h"
#include "model/weights.h"

/* All of a net's tensors, each a function of (seed, its name): norms 1 and 0; the U-Net and the
 * autoencoder U(+-1/sqrt(fan_in)), nn.Linear's and nn.Conv2d's default; the text encoder normal
 * with CLIPPreTrainedModel._init_weights' deviations and biases of 0. */
void sd_init_net(struct weights *, const char *path, const struct sd_config *, enum sd_net,
    uint64_t seed);

#endif
