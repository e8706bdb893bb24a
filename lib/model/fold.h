/*
 * A convolution and the batch normalisation after it as one convolution with a bias, for nets that
 * are not trained: gamma (W x - mean) / sqrt(var + eps) + beta.
 */
#ifndef MODEL_FOLD_H
#define MODEL_FOLD_H

#include "model/weights.h"

struct folded {
	struct tensor *w, *b; /* [out,k,k,in], [out] */
};

/* Announces CONV.weight and CONV.bias of such a k x k convolution. in: of a group. */
void folded_init(struct folded *, struct params *, int in, int out, int k, const char *conv);
/* Adds CONV.weight and CONV.bias to w, made of CONV.weight [O,..], NORM.weight, .bias,
 * .running_mean and .running_var [O] of st, which must be there, and CONV.bias where it is. */
void fold_norm(struct weights *w, const struct safetensors *st, const char *conv, const char *norm,
    double eps);

#endif
