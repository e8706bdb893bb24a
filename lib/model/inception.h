/*
 * Inception-v3 as the Fréchet inception distance uses it (Szegedy et al., Rethinking the Inception
 * architecture for computer vision, 2016; in the variant of the TensorFlow graph of 2015-12-05):
 * average pools that do not count their padding, a maximum pool in Mixed_7c, 1008 classes.
 *
 * A file has the names of pytorch-fid's pt_inception weights: Conv2d_1a_3x3.conv.weight,
 * Conv2d_1a_3x3.bn.{weight,bias,running_mean,running_var}, ..., fc.{weight,bias}. Batch
 * normalisation (eps 1e-3) is folded into the convolutions on loading.
 */
#ifndef MODEL_INCEPTION_H
#define MODEL_INCEPTION_H

#include "nn/layer.h"

enum { INCEPTION_UNITS = 94, INCEPTION_CLASSES = 1008, INCEPTION_DIM = 2048, INCEPTION_SIDE = 299 };

struct inception {
	struct params ps;
	struct { struct tensor *w, *b; } unit[INCEPTION_UNITS]; /* convolution, then ReLU */
	struct linear_layer fc;
};

/* Announces the tensors of a file. */
void inception_announce(struct params *);
/* Reads the weights onto the device. Everything must be there and fit: -1 with a message, each
 * misfit on stderr. */
int inception_load(struct inception *, const struct safetensors *);
void inception_release(struct inception *);

/* Is this the width of one of the layers that features are taken from: 64, 192, 768 or 2048? */
bool inception_has(int dims);
/* x [N,H,W,3] in [-1,1], at least 75 pixels a side -> [N,dims]: the mean over the picture of what
 * comes out of the first or second maximum pool, Mixed_6e or Mixed_7c. */
struct tensor *inception_features(const struct inception *, struct tensor *x, int dims);
/* features [N,2048] -> [N,1008]; the Inception Score takes them without the bias. */
struct tensor *inception_logits(const struct inception *, struct tensor *features, bool bias);

#endif
