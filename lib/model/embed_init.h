/* New weights for the networks that make features, by name. */
#ifndef MODEL_EMBED_INIT_H
#define MODEL_EMBED_INIT_H

#include "model/weights.h"

/* Is it one of them: inception, dino-vitb8, dinov2-vits14-reg, clip-vitb32, densenet121 and so
 * on? */
bool embed_init_knows(const char *name);
/* Fills w (path is for messages) with random weights under the names of the published file; each is
 * a function of the seed and its own name. Matrices and kernels keep the size of what goes through
 * them (He et al., Delving deep into rectifiers, 2015); norms begin as they do in training. 0, or
 * -1 with a message: no such network. */
int embed_init(struct weights *w, const char *path, const char *name, uint64_t seed);

#endif
