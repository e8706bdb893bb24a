/*
 * Normalisation of [n, rows, channels] by the statistics of each sample's groups of channels: what
 * batch norm (one sample, groups of one channel), group norm and instance norm share; for the files
 * of lib/tensor only.
 */
#ifndef TENSOR_COLNORM_H
#define TENSOR_COLNORM_H

#include "tensor/ops.h"

struct colnorm {
	const char *op;
	int64_t n, rows, channels, groups;
	double eps;
	enum act act;
	bool train;                               /* the statistics are x's own */
	struct tensor *running_mean, *running_var; /* [C] F32, or NULL: none to move or to use */
	double momentum;
};

/* Ends the program where x, w, b do not fit together. */
void colnorm_check(const struct colnorm *, const struct tensor *x, const struct tensor *w,
    const struct tensor *b);
/* y = act(normalised x * w + b), of x's shape; *coef and *stat are what the backward pass wants. */
struct tensor *colnorm_forward(const struct colnorm *, struct tensor *x, struct tensor *w,
    struct tensor *b, struct tensor **coef, struct tensor **stat);
/* gx[0], gx[1], gx[2]: gradients of x, w, b, where need[] says so. */
void colnorm_backward(const struct colnorm *, struct tensor *x, struct tensor *w,
    struct tensor *coef, struct tensor *stat, struct tensor *gy, const bool *need,
    struct tensor **gx);
/* The same by differentiable ops, for gradients of gradients. */
void colnorm_backward_composed(const struct colnorm *, struct tensor *x, struct tensor *w,
    struct tensor *b, struct tensor *gy, const bool *need, struct tensor **gx);
/* Saves for and does the whole of a node's backward: in = { x, w, b }. */
void colnorm_record(const struct colnorm *, struct tensor *y, struct tensor *x, struct tensor *w,
    struct tensor *b, struct tensor *coef, struct tensor *stat);

#endif
