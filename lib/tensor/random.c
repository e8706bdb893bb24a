/* Random tensors as a function of seed and place alone: Philox, the same on every device. */
#include "tensor/op.h"
#include "tensor/ops.h"

static struct tensor *
random_f32(const char *op, enum kernel k, int ndim, const int64_t *dim, uint64_t seed)
{
	struct tensor *y = tensor_new(F32, ndim, dim);
	struct {
		uint32_t groups, seed[2];
	} p = { (uint32_t)((y->n + 3) / 4), { (uint32_t)seed, (uint32_t)(seed >> 32) } };

	if (y->n >= (int64_t)1 << 32)
		op_die(op, "%s is too large", tensor_shape(y));
	gpu_run(&(struct gpu_call){ .kernel = k, .arg = { tensor_arg(y) }, .nargs = 1, .push = &p,
	    .npush = sizeof(p), .groups = { gpu_groups(p.groups, FLAT_STEP) },
	    .bytes = 4 * (double)y->n });
	op_done(op, y, NULL, 0, NULL);
	return y;
}

struct tensor *
op_uniform(int ndim, const int64_t *dim, uint64_t seed)
{
	return random_f32("op_uniform", K_RANDOM_UNIFORM, ndim, dim, seed);
}

struct tensor *
op_normal(int ndim, const int64_t *dim, uint64_t seed)
{
	return random_f32("op_normal", K_RANDOM_NORMAL, ndim, dim, seed);
}

static void
dropout_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	g[0] = op_dropout(gy, n->f[0], (uint64_t)n->i[0]);
}

struct tensor *
op_dropout(struct tensor *x, double p, uint64_t seed)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(DROPOUT);
	struct tensor *y;
	struct node *n;
	struct {
		uint32_t groups, seed[2], drop;
		float scale;
	} u = { (uint32_t)((x->n + 3) / 4), { (uint32_t)seed, (uint32_t)(seed >> 32) },
		(uint32_t)(p * 4294967296.0), (float)(1 / (1 - p)) };

	want_float("op_dropout", x);
	if (!(p >= 0 && p < 1) || x->n >= (int64_t)1 << 32)
		op_die("op_dropout", "with probability %g of %s", p, tensor_shape(x));
	y = tensor_like(x);
	gpu_run(&(struct gpu_call){ .kernel = kernel_for("op_dropout", k, x->dtype),
	    .arg = { tensor_arg(x), tensor_arg(y) }, .nargs = 2, .push = &u, .npush = sizeof(u),
	    .groups = { gpu_groups(u.groups, FLAT_STEP) },
	    .bytes = 2 * (double)x->n * (double)dtype_size(x->dtype) });
	n = op_done("op_dropout", y, &x, 1, dropout_back);
	if (n) {
		n->i[0] = (int64_t)seed;
		n->f[0] = p;
	}
	return y;
}
