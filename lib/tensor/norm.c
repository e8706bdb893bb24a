/* Group, instance and layer normalisation. */
#include "tensor/colnorm.h"

#include "tensor/columns.h"

static struct tensor *
group_norm(const char *op, struct tensor *x, int64_t groups, struct tensor *w, struct tensor *b,
    double eps, enum act act)
{
	struct colnorm c = { .op = op, .n = x->dim[0], .groups = groups, .eps = eps, .act = act,
		.train = true };
	struct tensor *y, *coef, *stat;

	if (x->ndim < 2 || x->n == 0)
		op_die(op, "input %s", tensor_shape(x));
	c.channels = x->dim[x->ndim - 1];
	if (!groups)
		c.groups = c.channels;
	c.rows = x->n / (c.n * c.channels);
	colnorm_check(&c, x, w, b);
	y = colnorm_forward(&c, x, w, b, &coef, &stat);
	colnorm_record(&c, y, x, w, b, coef, stat);
	return y;
}

struct tensor *
op_group_norm(struct tensor *x, int groups, struct tensor *w, struct tensor *b, double eps,
    enum act act)
{
	if (groups < 1)
		op_die("group_norm", "%d groups", groups);
	return group_norm("group_norm", x, groups, w, b, eps, act);
}

struct tensor *
op_instance_norm(struct tensor *x, struct tensor *w, struct tensor *b, double eps)
{
	return group_norm("instance_norm", x, 0, w, b, eps, ACT_NONE);
}

/* ---- layer norm ------------------------------------------------------------------------------ */

enum { DW_STEPS = 512 }; /* rows of a partial sum */

/* Rows of a workgroup. */
static uint32_t
rows_at_once(int64_t rows)
{
	return gpu_info()->cpu && rows >= 64 ? 4 : 1;
}

/* Rows are summed by workgroups: without subgroups not through texel buffers. */
static enum access
row_access(int64_t channels)
{
	enum access a = access_of(channels);

	return a == ACCESS_T && !group_sum_texel() ? ACCESS_V : a;
}

static struct tensor *
layer_norm_dx(struct tensor *x, struct tensor *w, struct tensor *stat, struct tensor *gy,
    int64_t rows, int64_t channels)
{
	static const enum kernel k[3][3] = KERNELS_BY_ACCESS(LAYER_NORM_DX);
	enum access access = row_access(channels);
	struct tensor *dx = tensor_like(x);
	uint32_t at_once = rows_at_once(rows);
	struct {
		uint32_t rows, cols, channels, has_w;
	} push = { (uint32_t)rows, (uint32_t)(access == ACCESS_S ? channels : channels / 4),
		(uint32_t)channels, w != NULL };

	gpu_run(&(struct gpu_call){ .kernel = k[x->dtype][access],
	    .arg = { tensor_arg(x), tensor_arg(gy), tensor_arg(w ? w : stat), tensor_arg(stat),
	        tensor_arg(dx) },
	    .nargs = 5, .spec = { group_sum_local(), at_once }, .nspec = 2, .push = &push,
	    .npush = sizeof(push), .groups = { gpu_groups((uint64_t)rows, at_once) },
	    .flops = 10. * (double)x->n,
	    .bytes = 3. * (double)(x->n * (int64_t)dtype_size(x->dtype)) });
	return dx;
}

static void
layer_norm_dw(struct tensor *x, struct tensor *stat, struct tensor *gy, int64_t rows,
    int64_t channels, struct tensor **dw, struct tensor **db)
{
	static const enum kernel k[3][3] = KERNELS_BY_ACCESS(LAYER_NORM_DW);
	struct columns cut = columns_cut("layer_norm", 1, rows, channels, DW_STEPS);
	struct tensor *sum = tensor_empty(F32, cut.parts, channels);
	struct tensor *dot = tensor_empty(F32, cut.parts, channels);

	gpu_run(&(struct gpu_call){ .kernel = k[x->dtype][cut.access],
	    .arg = { tensor_arg(x), tensor_arg(gy), tensor_arg(stat), tensor_arg(sum),
	        tensor_arg(dot) },
	    .nargs = 5, .spec = { cut.local, cut.wide }, .nspec = 2, .push = &cut.push,
	    .npush = sizeof(cut.push), .groups = { cut.groups[0], cut.groups[1], cut.groups[2] },
	    .flops = 5. * (double)x->n,
	    .bytes = 2. * (double)(x->n * (int64_t)dtype_size(x->dtype)) });
	*dw = op_sum(dot, 1, false);
	*db = op_sum(sum, 1, false);
}

static void
layer_norm_back(struct node *nd, struct tensor *gy, struct tensor **gx)
{
	struct tensor *x = nd->save[0], *w = nd->save[1], *b = nd->save[2], *stat = nd->save[3];
	struct tensor *dw, *db;
	int64_t rows = nd->i[0], channels = nd->i[1];
	struct colnorm c = { .op = "layer_norm", .n = rows, .rows = 1, .channels = channels,
		.groups = 1, .eps = nd->f[0], .act = ACT_NONE, .train = true };

	if (grads_on()) {
		colnorm_backward_composed(&c, x, w, b, gy, nd->need, gx);
		return;
	}
	if (nd->need[0])
		gx[0] = layer_norm_dx(x, w, stat, gy, rows, channels);
	if (!nd->need[1] && !nd->need[2])
		return;
	layer_norm_dw(x, stat, gy, rows, channels, &dw, &db);
	if (nd->need[1])
		gx[1] = dw;
	if (nd->need[2])
		gx[2] = db;
}

struct tensor *
op_layer_norm(struct tensor *x, struct tensor *w, struct tensor *b, double eps)
{
	static const enum kernel k[3][3] = KERNELS_BY_ACCESS(LAYER_NORM);
	int64_t channels = x->ndim ? x->dim[x->ndim - 1] : 0, rows = channels ? x->n / channels : 0;
	struct colnorm c = { .op = "layer_norm", .n = rows, .rows = 1, .channels = channels,
		.groups = 1, .act = ACT_NONE, .train = true };
	enum access access = row_access(channels);
	uint32_t at_once = rows_at_once(rows);
	struct tensor *y, *stat;
	struct node *nd;
	struct {
		uint32_t rows, cols, channels, has_w, has_b;
		float eps;
	} push = { (uint32_t)rows, (uint32_t)(access == ACCESS_S ? channels : channels / 4),
		(uint32_t)channels, w != NULL,
		b != NULL, (float)eps };

	if (!rows || x->n >= (int64_t)1 << 31)
		op_die(c.op, "input %s", tensor_shape(x));
	colnorm_check(&c, x, w, b);
	y = tensor_like(x);
	stat = tensor_empty(F32, rows, 4);
	gpu_run(&(struct gpu_call){ .kernel = k[x->dtype][access],
	    .arg = { tensor_arg(x), tensor_arg(w ? w : stat), tensor_arg(b ? b : stat),
	    tensor_arg(y),
	        tensor_arg(stat) },
	    .nargs = 5, .spec = { group_sum_local(), at_once }, .nspec = 2, .push = &push,
	    .npush = sizeof(push), .groups = { gpu_groups((uint64_t)rows, at_once) },
	    .flops = 8. * (double)x->n,
	    .bytes = 2. * (double)(x->n * (int64_t)dtype_size(x->dtype)) });
	nd = op_done(c.op, y, (struct tensor *[]){ x, w, b }, 3, layer_norm_back);
	if (nd) {
		node_save(nd, x);
		node_save(nd, w);
		node_save(nd, b);
		node_save(nd, stat);
		nd->i[0] = rows;
		nd->i[1] = channels;
		nd->f[0] = eps;
	}
	return y;
}
