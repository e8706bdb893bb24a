#include "tensor/pixels.h"

void
want_image(const char *op, const struct tensor *x)
{
	want_float(op, x);
	if (x->ndim != 4 || x->n == 0)
		op_die(op, "%s is no image [N,H,W,C]", tensor_shape(x));
}

struct gpu_call
pixel_call(const char *op, const struct tensor *y, struct pixel_push *p, uint32_t *total)
{
	int64_t cols = y->dim[3] % 4 ? y->dim[3] : y->dim[3] / 4, n = y->n / y->dim[3] * cols;
	uint32_t local = gpu_info()->cpu ? 64 : 128;

	if (y->n == 0 || n >= (int64_t)1 << 31)
		op_die(op, "%s: empty or too large", tensor_shape(y));
	p->cols = fastdiv((uint32_t)cols);
	p->width = fastdiv((uint32_t)y->dim[2]);
	p->height = fastdiv((uint32_t)y->dim[1]);
	*total = (uint32_t)n;
	return (struct gpu_call){ .spec = { local }, .nspec = 1,
		.groups = { gpu_groups((uint64_t)n, local) } };
}
