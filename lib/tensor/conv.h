/* What the files of convolution share. */
#ifndef TENSOR_CONV_H
#define TENSOR_CONV_H

#include "tensor/gemm.h"

/* A convolution of x [n, ih, iw, groups * i] to [n, oh, ow, groups * o]. */
struct conv_shape {
	int64_t n, ih, iw, i, oh, ow, o, kh, kw, stride, dil, top, left, groups;
};
/* Dies naming op if x's shape, w and the geometry do not fit. */
struct conv_shape conv_shape(const char *op, const int64_t x[4], const struct tensor *w,
    struct conv);

/* Off the tape. b may be NULL; values below zero are multiplied by slope. */
struct tensor *conv_forward(const struct tensor *x, struct tensor *w, struct tensor *b,
    const struct conv_shape *, double slope);
/* x twice as large by nearest neighbours, then a 3x3 convolution with padding 1. */
struct tensor *conv_up2(const struct tensor *x, struct tensor *w, struct tensor *b);
struct tensor *conv_transpose(const struct tensor *gy, struct tensor *w, struct tensor *b,
    const struct conv_shape *);
struct tensor *conv_weight_gradient(const struct tensor *x, const struct tensor *gy,
    const struct conv_shape *);

/* conv_depthwise.c: the same where each channel is a group of its own */
bool conv_is_depthwise(const struct conv_shape *);
struct tensor *depthwise_forward(const struct tensor *x, struct tensor *w, struct tensor *b,
    const struct conv_shape *, double slope);
struct tensor *depthwise_transpose(const struct tensor *gy, struct tensor *w, struct tensor *b,
    const struct conv_shape *);
struct tensor *depthwise_weight_gradient(const struct tensor *x, const struct tensor *gy,
    const struct conv_shape *);

/* Taps of a strided transpose that reach input rows (or columns) r, r + stride, ...: k0, k0 + step,
 * ... From row u of these, the last such tap lies at output row u - before, each earlier one dil
 * further. */
struct phase {
	int64_t n, taps, k0, step, dil, before; /* n: how many such rows */
};
struct phase conv_phase(int64_t r, int64_t size, int64_t k, int64_t pad, int64_t stride,
    int64_t dil);

#endif
