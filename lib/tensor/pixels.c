#include "tensor/pixels.h"

void
want_image(const char *op, const struct tensor *x)
{
	want_float(op, x);
	if (x->ndim != 4 || x->n == 0)
		op_die(op, "%s is no image [N,H,W,C]", tensor_shape(x));
}

struct gpu_call
pixel_call(const char *op, const struct tensor *y, struct pixel_push *p)
{
	int64_t cols = y->dim[3] % 4 ? y->dim[3] : y->dim[3] / 4, across = y->dim[2] * cols;
	/* a software device starts a workgroup in the time that it copies a few KiB */
	uint32_t local = gpu_info()->cpu ? 512 : 128;

	if (y->n == 0 || y->dim[0] > 65535 || y->dim[1] > 65535 ||
	    y->n / y->dim[3] * cols >= (int64_t)1 << 31)
		op_die(op, "%s: empty or too large", tensor_shape(y));
	while (
	    local > gpu_info()->subgroup && (across + local - 1) / local * local * 7 > across * 8)
		local /= 2;
	p->cols = fastdiv((uint32_t)cols);
	p->across = (uint32_t)across;
	return (struct gpu_call){ .spec = { local }, .nspec = 1,
		.groups = { (uint32_t)((across + local - 1) / local), (uint32_t)y->dim[1],
		    (uint32_t)y->dim[0] } };
}
