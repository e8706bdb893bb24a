/* Copies between places given by strides: all of shape.c rests on this. */
#ifndef TENSOR_STRIDED_H
#define TENSOR_STRIDED_H

#include "tensor/op.h"

/* For every index of dim: y[y0 + index . ys] = x[x0 + index . xs], counted in elements of the one
 * type that x and y have. Strides may be negative or 0 (x's). Off the tape. */
struct strided {
	int nd;
	int64_t dim[TENSOR_MAXDIM], xs[TENSOR_MAXDIM], ys[TENSOR_MAXDIM], x0, y0;
};
void strided_copy(const char *op, const struct tensor *x, struct tensor *y, struct strided);
/* dim and xs (ys) of a whole tensor. */
void strides_of(const struct tensor *, int64_t stride[TENSOR_MAXDIM]);

#endif
