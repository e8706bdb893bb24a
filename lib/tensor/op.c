/* Small checks and choices that most ops make. */
#include "tensor/op.h"

#include <string.h>

enum kernel
kernel_for(const char *op, const enum kernel k[3][2], enum dtype d)
{
	if (!dtype_is_float(d))
		op_die(op, "wants f32, f16 or bf16, not %s", dtype_name(d));
	return k[d][gpu_info()->texel];
}

struct fastdiv
fastdiv(uint32_t d)
{
	uint32_t shift = 0;

	while ((uint64_t)1 << shift < d)
		shift++;
	return (struct fastdiv){ d,
		(uint32_t)((((uint64_t)1 << 32) * (((uint64_t)1 << shift) - d)) / d + 1), shift };
}

bool
same_shape(const struct tensor *x, const struct tensor *y)
{
	return x->ndim == y->ndim && memcmp(x->dim, y->dim, (size_t)x->ndim * sizeof(*x->dim)) == 0;
}

void
want_float(const char *op, const struct tensor *x)
{
	if (!dtype_is_float(x->dtype))
		op_die(op, "wants f32, f16 or bf16, not %s", tensor_shape(x));
}

void
want_same_dtype(const char *op, const struct tensor *x, const struct tensor *y)
{
	want_float(op, x);
	if (x->dtype != y->dtype)
		op_die(op, "%s and %s differ in type", tensor_shape(x), tensor_shape(y));
}

int
want_axis(const char *op, const struct tensor *x, int axis)
{
	int a = axis < 0 ? axis + x->ndim : axis;

	if (a < 0 || a >= x->ndim)
		op_die(op, "axis %d of %s", axis, tensor_shape(x));
	return a;
}

struct tensor *
tensor_like_in(const struct tensor *x, enum dtype dtype)
{
	return tensor_new(dtype, x->ndim, x->dim);
}

struct tensor *
tensor_like(const struct tensor *x)
{
	return tensor_like_in(x, x->dtype);
}

void
around_axis(const struct tensor *x, int axis, int64_t *outer, int64_t *inner)
{
	*outer = *inner = 1;
	for (int i = 0; i < axis; i++)
		*outer *= x->dim[i];
	for (int i = axis + 1; i < x->ndim; i++)
		*inner *= x->dim[i];
}
