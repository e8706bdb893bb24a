/* From one type to another. */
#include "tensor/op.h"
#include "tensor/ops.h"

enum { NO_CAST = -1 };
#define PLAIN(k) { k, k }
#define NONE PLAIN(NO_CAST)

/* By source and target; the second of each pair reads texels. */
static const int kernels[5][5][2] = {
	[F32] = { NONE, { K_CAST_F32_F16, K_CAST_F32_F16_T },
	    { K_CAST_F32_BF16, K_CAST_F32_BF16_T }, PLAIN(K_CAST_F32_I32), PLAIN(K_CAST_F32_U8) },
	[F16] = { { K_CAST_F16_F32, K_CAST_F16_F32_T }, NONE, PLAIN(K_CAST_F16_BF16), NONE, NONE },
	[BF16] = { { K_CAST_BF16_F32, K_CAST_BF16_F32_T }, PLAIN(K_CAST_BF16_F16), NONE, NONE,
	NONE }, [I32] = { PLAIN(K_CAST_I32_F32), NONE, NONE, NONE, NONE },
	[U8] = { PLAIN(K_CAST_U8_F32), NONE, NONE, NONE, NONE },
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
	int kernel = kernels[x->dtype][dtype][gpu_info()->texel];

	if (x->dtype == dtype)
		return x;
	/* between an integer and a 16-bit float: by way of f32 */
	if (kernel == NO_CAST)
		return op_cast(op_cast(x, F32), dtype);
	y = tensor_like_in(x, dtype);
	gpu_run(&(struct gpu_call){ .kernel = (enum kernel)kernel,
	    .arg = { tensor_arg(x), tensor_arg(y) }, .nargs = 2, .push = &groups,
	    .npush = sizeof(groups), .groups = { gpu_groups(groups, FLAT_STEP) },
	    .bytes = (double)x->n * (double)(dtype_size(x->dtype) + dtype_size(dtype)) });
	op_done("op_cast", y, &x, 1, dtype_is_float(dtype) ? cast_back : NULL);
	return y;
}
