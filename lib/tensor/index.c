/* Rows by number, the place of a maximum, and their transposes. */
#include "tensor/elementwise.h"

static void
want_ids(const char *op, const struct tensor *ids)
{
	if (ids->dtype != I32)
		op_die(op, "wants i32 ids, not %s", tensor_shape(ids));
}

/* ---- rows ------------------------------------------------------------------------------------ */

static struct tensor *scatter_rows(struct tensor *x, struct tensor *ids, int64_t rows);

static void
gather_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	g[0] = scatter_rows(gy, n->save[0], n->in[0]->dim[0]);
}

struct tensor *
op_gather_rows(struct tensor *table, struct tensor *ids)
{
	int64_t dim[TENSOR_MAXDIM], bytes, width;
	struct tensor *y;
	struct node *n;
	enum kernel k;
	struct {
		uint32_t n, width, rows;
	} p;

	want_ids("op_gather_rows", ids);
	if (table->ndim != 2 || ids->ndim >= TENSOR_MAXDIM || table->n >= (int64_t)1 << 32)
		op_die("op_gather_rows", "%s of %s", tensor_shape(ids), tensor_shape(table));
	for (int i = 0; i < ids->ndim; i++)
		dim[i] = ids->dim[i];
	dim[ids->ndim] = table->dim[1];
	y = tensor_new(table->dtype, ids->ndim + 1, dim);
	bytes = table->dim[1] * (int64_t)dtype_size(table->dtype);
	k = bytes % 16 == 0 ? K_GATHER_ROWS_16 : bytes % 8 == 0 ? K_GATHER_ROWS_8
	    : bytes % 4 == 0 ? K_GATHER_ROWS_4 : K_GATHER_ROWS_2;
	width = bytes / (bytes % 16 == 0 ? 16 : bytes % 8 == 0 ? 8 : bytes % 4 == 0 ? 4 : 2);
	if (bytes % 2 || ids->n * width >= (int64_t)1 << 32)
		op_die("op_gather_rows", "%s of %s", tensor_shape(ids), tensor_shape(table));
	p.n = (uint32_t)(ids->n * width);
	p.width = (uint32_t)width;
	p.rows = (uint32_t)table->dim[0];
	gpu_run(&(struct gpu_call){ .kernel = k,
	    .arg = { tensor_arg(table), tensor_arg(ids), tensor_arg(y) }, .nargs = 3, .push = &p,
	    .npush = sizeof(p), .groups = { gpu_groups(p.n, FLAT_STEP) },
	    .bytes = 2 * (double)ids->n * (double)bytes });
	n = op_done("op_gather_rows", y, &table, 1, dtype_is_float(table->dtype) ? gather_back
	    : NULL);
	if (n)
		node_save(n, ids);
	return y;
}

static void
scatter_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	g[0] = op_gather_rows(gy, n->save[0]);
}

/* x [..,C] added up in the rows that ids name: [rows,C]. */
static struct tensor *
scatter_rows(struct tensor *x, struct tensor *ids, int64_t rows)
{
	static const enum kernel k[3] =
	    { K_SCATTER_ROWS_F32, K_SCATTER_ROWS_F16, K_SCATTER_ROWS_BF16 };
	int64_t width = x->dim[x->ndim - 1];
	struct tensor *y = tensor_full(x->dtype, 2, (int64_t[]){ rows, width }, 0);
	struct node *n;
	struct {
		uint32_t n, width, rows;
	} p = { (uint32_t)ids->n, (uint32_t)width, (uint32_t)rows };

	if (ids->n > MAX_LOOP)
		op_die("op_gather_rows", "gradient for %lld ids: more than %d", (long long)ids->n,
		    MAX_LOOP);
	gpu_run(&(struct gpu_call){ .kernel = k[x->dtype],
	    .arg = { tensor_arg(x), tensor_arg(ids), tensor_arg(y) }, .nargs = 3, .push = &p,
	    .npush = sizeof(p), .groups = { gpu_groups((uint64_t)x->n, 64) },
	    .bytes = (double)x->n * (double)(ids->n + 2) * (double)dtype_size(x->dtype) });
	n = op_done("op_gather_rows", y, &x, 1, scatter_back);
	if (n)
		node_save(n, ids);
	return y;
}

/* ---- maximum --------------------------------------------------------------------------------- */

struct tensor *
op_argmax(struct tensor *x, int axis)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(ARGMAX);
	int64_t outer, inner, dim[TENSOR_MAXDIM];
	struct tensor *at;
	struct {
		uint32_t outer, len, inner;
	} p;
	int nd = 0;

	want_float("op_argmax", x);
	axis = want_axis("op_argmax", x, axis);
	around_axis(x, axis, &outer, &inner);
	if (x->dim[axis] > MAX_LOOP || x->n >= (int64_t)1 << 32)
		op_die("op_argmax", "over axis %d of %s: more than %d", axis, tensor_shape(x),
		    MAX_LOOP);
	for (int i = 0; i < x->ndim; i++)
		if (i != axis)
			dim[nd++] = x->dim[i];
	at = tensor_new(I32, nd, dim);
	p.outer = (uint32_t)outer;
	p.len = (uint32_t)x->dim[axis];
	p.inner = (uint32_t)inner;
	gpu_run(&(struct gpu_call){ .kernel = kernel_for("op_argmax", k, x->dtype),
	    .arg = { tensor_arg(x), tensor_arg(at) }, .nargs = 2, .push = &p, .npush = sizeof(p),
	    .groups = { gpu_groups((uint64_t)(outer * inner), 64) },
	    .bytes = (double)x->n * (double)dtype_size(x->dtype) });
	return at;
}

static struct tensor *pick(struct tensor *x, struct tensor *at, int axis, int64_t len, bool place);

static void
pick_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	g[0] = pick(gy, n->save[0], (int)n->i[0], n->i[1], !n->i[2]);
}

/* The values at `at` along axis (of len), left as 1; place: back to where they were, among
 * zeros. */
static struct tensor *
pick(struct tensor *x, struct tensor *at, int axis, int64_t len, bool place)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(PICK);
	int64_t dim[TENSOR_MAXDIM], outer, inner;
	struct tensor *y;
	struct node *n;
	struct {
		uint32_t n, len, inner;
	} p;

	for (int i = 0; i < x->ndim; i++)
		dim[i] = x->dim[i];
	dim[axis] = place ? len : 1;
	around_axis(x, axis, &outer, &inner);
	y = tensor_new(x->dtype, x->ndim, dim);
	p.n = (uint32_t)y->n;
	p.len = (uint32_t)len;
	p.inner = (uint32_t)inner;
	gpu_run(&(struct gpu_call){ .kernel = kernel_for("op_max", k, x->dtype),
	    .arg = { tensor_arg(x), tensor_arg(at), tensor_arg(y) }, .nargs = 3, .spec = { place },
	    .nspec = 1, .push = &p, .npush = sizeof(p),
	    .groups = { gpu_groups(((uint64_t)y->n + 3) / 4, FLAT_STEP) },
	    .bytes = (double)y->n * (double)(2 * dtype_size(x->dtype) + 4) });
	n = op_done("op_max", y, &x, 1, pick_back);
	if (n) {
		node_save(n, at);
		n->i[0] = axis;
		n->i[1] = len;
		n->i[2] = place;
	}
	return y;
}

struct tensor *
op_max(struct tensor *x, int axis, bool keepdim)
{
	int64_t dim[TENSOR_MAXDIM];
	struct tensor *y;
	int nd = 0;

	axis = want_axis("op_max", x, axis);
	y = pick(x, op_argmax(x, axis), axis, x->dim[axis], false);
	if (keepdim)
		return y;
	for (int i = 0; i < x->ndim; i++)
		if (i != axis)
			dim[nd++] = x->dim[i];
	return op_reshape(y, nd, dim);
}

struct tensor *
op_one_hot(struct tensor *labels, int classes)
{
	int64_t dim[TENSOR_MAXDIM];
	struct tensor *y;
	struct {
		uint32_t n, classes;
	} p = { (uint32_t)(labels->n * classes), (uint32_t)classes };

	want_ids("op_one_hot", labels);
	if (classes < 1 || labels->ndim >= TENSOR_MAXDIM || labels->n * classes >= (int64_t)1 << 32)
		op_die("op_one_hot", "%d classes of %s", classes, tensor_shape(labels));
	for (int i = 0; i < labels->ndim; i++)
		dim[i] = labels->dim[i];
	dim[labels->ndim] = classes;
	y = tensor_new(F32, labels->ndim + 1, dim);
	gpu_run(&(struct gpu_call){ .kernel = K_ONE_HOT,
	    .arg = { tensor_arg(labels), tensor_arg(y) }, .nargs = 2, .push = &p,
	    .npush = sizeof(p), .groups = { gpu_groups(p.n, FLAT_STEP) },
	    .bytes = 4 * (double)(labels->n + y->n) });
	return y;
}
