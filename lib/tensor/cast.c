/* From one type to another. */
#include "tensor/op.h"
#include "tensor/ops.h"

enum { NO_CAST = -1 };

static const int kernels[5][5] = {
	[F32] = { NO_CAST, K_CAST_F32_F16, K_CAST_F32_BF16, K_CAST_F32_I32, K_CAST_F32_U8 },
	[F16] = { K_CAST_F16_F32, NO_CAST, K_CAST_F16_BF16, NO_CAST, NO_CAST },
	[BF16] = { K_CAST_BF16_F32, K_CAST_BF16_F16, NO_CAST, NO_CAST, NO_CAST },
	[I32] = { K_CAST_I32_F32, NO_CAST, NO_CAST, NO_CAST, NO_CAST },
	[U8] = { K_CAST_U8_F32, NO_CAST, NO_CAST, NO_CAST, NO_CAST },
};

static void
cast_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	g[0] = op_cast(gy, n->in[0]->dtype);
}

struct tensor *
op_cast(struct tensor *x, enum dtype dtype)
{
	struct tensor *y;
	uint32_t groups = (uint32_t)((x->n + 3) / 4);

	if (x->dtype == dtype)
		return x;
	/* between an integer and a 16-bit float: by way of f32 */
	if (kernels[x->dtype][dtype] == NO_CAST)
		return op_cast(op_cast(x, F32), dtype);
	y = tensor_like_in(x, dtype);
	gpu_run(&(struct gpu_call){ .kernel = (enum kernel)kernels[x->dtype][dtype],
	    .arg = { tensor_arg(x), tensor_arg(y) }, .nargs = 2, .push = &groups, .npush = sizeof(groups),
	    .groups = { gpu_groups(groups, FLAT_STEP) },
	    .bytes = (double)x->n * (double)(dtype_size(x->dtype) + dtype_size(dtype)) });
	op_done("op_cast", y, &x, 1, dtype_is_float(dtype) ? cast_back : NULL);
	return y;
}
