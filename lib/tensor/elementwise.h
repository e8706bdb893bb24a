/* Between elementwise.c, its gradients and the losses; not for others. */
#ifndef TENSOR_ELEMENTWISE_H
#define TENSOR_ELEMENTWISE_H

#include "tensor/op.h"
#include "tensor/opcodes.h"
#include "tensor/ops.h"

/* The shape that x and y broadcast to; dies naming op. Returns its ndim. */
int broadcast_shape(const char *op, const struct tensor *x, const struct tensor *y,
    int64_t dim[TENSOR_MAXDIM]);
/* z = f(x, y) by the B_ code, off the tape. */
struct tensor *binary_run(const char *op, uint32_t code, struct tensor *x, struct tensor *y,
    double a, double b);
/* The same with x and y of shapes that broadcast to dim. */
struct tensor *binary_to(const char *op, uint32_t code, struct tensor *x, struct tensor *y, int nd,
    const int64_t *dim, double a, double b);
/* y = f(x) by the U_ code, off the tape. */
struct tensor *unary_run(const char *op, uint32_t code, struct tensor *x, double a, double b);
/* The sum of x y over axes (1 left for each), off the tape, in x's type; same shapes. */
struct tensor *sum_product(struct tensor *x, struct tensor *y, unsigned axes);
/* g summed over what was broadcast from `like`'s shape. */
struct tensor *sum_to(struct tensor *g, const struct tensor *like);
/* The same of g y; in one pass, without the product in memory, where that need not be on the
 * tape. */
struct tensor *mul_sum_to(struct tensor *g, struct tensor *y, const struct tensor *like);

#endif
