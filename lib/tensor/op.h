/*
 * What the files of lib/tensor share; for writers of ops, not for users of tensors.
 *
 * A family of kernels that differ in the stored type alone is named NAME_F32, NAME_F16, NAME_BF16,
 * each with a twin NAME_.._T that reads its inputs through texel buffers (dtype.glsl):
 *
 *	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(UNARY);
 *	... .kernel = kernel_for("op_x", k, x->dtype)
 */
#ifndef TENSOR_OP_H
#define TENSOR_OP_H

#include "tensor/tensor.h"

#define KERNELS_BY_DTYPE(NAME) { { K_##NAME##_F32, K_##NAME##_F32_T }, \
	{ K_##NAME##_F16, K_##NAME##_F16_T }, { K_##NAME##_BF16, K_##NAME##_BF16_T } }
/* The member for dtype and this device; dies naming op if dtype is no float. */
enum kernel kernel_for(const char *op, const enum kernel k[3][2], enum dtype);

/* Flat kernels: a workgroup of 64 does 4 groups of four values an invocation (flat.glsl). */
enum { FLAT_STEP = 256 };

/* No invocation may loop more often than this: lavapipe counts all loops of one together, and at
 * 65,536 ends them. */
enum { MAX_LOOP = 60000 };

/* Division by an invariant: n / d == ((n * magic >> 32) + n) >> shift for n < 2^31. */
struct fastdiv {
	uint32_t d, magic, shift;
};
struct fastdiv fastdiv(uint32_t d);

static inline bool
dtype_is_float(enum dtype d)
{
	return d <= BF16;
}

bool same_shape(const struct tensor *, const struct tensor *);
/* Dies naming op unless x is F32, F16 or BF16 (and y of the same dtype). */
void want_float(const char *op, const struct tensor *x);
void want_same_dtype(const char *op, const struct tensor *x, const struct tensor *y);
/* Dies naming op unless products of x can read the weight w. */
void want_weight(const char *op, const struct tensor *x, const struct tensor *w);
/* axis counted from the end if negative; dies if it is none of x's. */
int want_axis(const char *op, const struct tensor *x, int axis);
struct tensor *tensor_like(const struct tensor *x);              /* shape and dtype of x */
struct tensor *tensor_like_in(const struct tensor *x, enum dtype);
/* x's memory under another shape, off the tape. */
struct tensor *tensor_view(const struct tensor *x, int ndim, const int64_t *dim);
/* x with its elements taken as [outer, dim[axis], inner]. */
void around_axis(const struct tensor *x, int axis, int64_t *outer, int64_t *inner);

/* scope.c */
void scope_add(struct tensor *); /* a new tensor enters the innermost scope */

/* tape.c */
void node_unref(struct node *); /* NULL is fine */

#endif
