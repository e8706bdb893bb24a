/* Softmax and its logarithm over the last dimension, a subgroup (or an invocation) to a row. */
#include "tensor/op.h"
#include "tensor/ops.h"

enum mode { SOFTMAX, LOG_SOFTMAX, SOFTMAX_G, LOG_SOFTMAX_G };
enum { FEW = 32 }; /* columns up to which an invocation takes a row of its own */

static struct tensor *
run(const char *op, enum mode mode, struct tensor *x, struct tensor *g)
{
	static const enum kernel k[2][3][2] =
	    { KERNELS_BY_DTYPE(SOFTMAX), KERNELS_BY_DTYPE(SOFTMAX_ODD) };
	struct tensor *y = tensor_like(x);
	uint64_t len = (uint64_t)x->dim[x->ndim - 1], rows = (uint64_t)x->n / len;
	bool odd = len % 4 != 0, each = len <= FEW || !gpu_info()->shuffle;
	uint32_t lanes = each ? 64 : gpu_info()->subgroup;
	struct {
		uint32_t rows, len;
	} p = { (uint32_t)rows, (uint32_t)(odd ? len : len / 4) };
	bool few = each && p.len <= (odd ? 16 : 8); /* the kernel's MOST_FEW */

	if (p.len / (each ? 1 : lanes) > MAX_LOOP / 3 || x->n >= (int64_t)1 << 32)
		op_die(op, "%s is too large", tensor_shape(x));
	gpu_run(&(struct gpu_call){ .kernel = kernel_for(op, k[odd], x->dtype),
	    .arg = { tensor_arg(x), tensor_arg(g), tensor_arg(y) }, .nargs = 3,
	    .spec = { lanes, mode, each, few ? p.len : 0 }, .nspec = 4, .push = &p,
	    .npush = sizeof(p), .groups = { gpu_groups(rows, each ? lanes : 1) },
	    .flops = 4 * (double)x->n, .bytes = (double)x->n * (double)dtype_size(x->dtype) *
	    (x == g ? 2 : 3) });
	return y;
}

/* gx = y (gy - sum gy y) */
static void
softmax_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	struct tensor *y = n->save[0];

	g[0] = grads_on() ? op_mul(y, op_sub(gy, op_sum(op_mul(gy, y), 1u << (y->ndim - 1), true)))
	                  : run("op_softmax", SOFTMAX_G, y, gy);
}

/* gx = gy - e^y sum gy */
static void
log_softmax_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	struct tensor *y = n->save[0];

	g[0] = grads_on() ? op_sub(gy, op_mul(op_exp(y), op_sum(gy, 1u << (y->ndim - 1), true)))
	                  : run("op_log_softmax", LOG_SOFTMAX_G, y, gy);
}

static struct tensor *
softmax(const char *op, enum mode mode, struct tensor *x,
    void (*back)(struct node *, struct tensor *, struct tensor **))
{
	struct tensor *y;
	struct node *n;

	want_float(op, x);
	if (x->ndim < 1)
		op_die(op, "of %s", tensor_shape(x));
	y = run(op, mode, x, x);
	n = op_done(op, y, &x, 1, back);
	if (n)
		node_save(n, y);
	return y;
}

struct tensor *
op_softmax(struct tensor *x)
{
	return softmax("op_softmax", SOFTMAX, x, softmax_back);
}

struct tensor *
op_log_softmax(struct tensor *x)
{
	return softmax("op_log_softmax", LOG_SOFTMAX, x, log_softmax_back);
}
