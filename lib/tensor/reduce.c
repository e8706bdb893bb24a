/*
 * Sums. A set of axes is taken apart into runs of neighbours; each run is summed as the middle of
 * [outer, len, inner], the longest first. A sum that would leave the device idle, or loop too long,
 * is made in pieces that a second pass sums. Everything is kept in f32 and in a fixed order.
 */
#include "tensor/elementwise.h"

/* Rows up to SHORT long (or MEDIUM, where there are enough for all lanes) are summed an invocation
 * each, longer ones by subgroups. */
enum { SHORT = 32, MEDIUM = 160 };

static uint64_t
ceil_div(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

/* How many invocations keep this device busy. */
static uint64_t
busy(void)
{
	return gpu_info()->cpu ? 512 : 32768;
}

/* One pass over rows [rows, len]; returns [rows, pieces] f32. y NULL, or the second factor. */
static struct tensor *
sum_rows(struct tensor *x, struct tensor *y, uint64_t rows, uint64_t len, double scale,
    uint64_t *pieces)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(REDUCE_ROWS);
	const uint32_t lanes = gpu_info()->subgroup;
	uint64_t many = ceil_div(busy(), rows * lanes), step = 16 * lanes;
	uint64_t piece = ceil_div(ceil_div(len, many), step) * step;
	struct {
		uint32_t rows, len, piece, pieces;
		float scale;
	} p;
	struct tensor *z;

	if (piece > (uint64_t)MAX_LOOP * lanes)
		piece = (uint64_t)MAX_LOOP * lanes;
	if (piece >= len)
		piece = len;
	*pieces = ceil_div(len, piece);
	p.rows = (uint32_t)rows;
	p.len = (uint32_t)len;
	p.piece = (uint32_t)piece;
	p.pieces = (uint32_t)*pieces;
	p.scale = (float)(*pieces == 1 ? scale : 1);
	z = tensor_empty(F32, (int64_t)(rows * *pieces));
	gpu_run(&(struct gpu_call){ .kernel = kernel_for("sum", k, x->dtype),
	    .arg = { tensor_arg(x), tensor_arg(y ? y : x), tensor_arg(z) }, .nargs = 3,
	    .spec = { lanes, y != NULL, len % 4 == 0 && piece % 4 == 0 }, .nspec = 3, .push = &p,
	    .npush = sizeof(p), .groups = { gpu_groups(rows * *pieces, 1) }, .flops = (double)x->n,
	    .bytes = (double)x->n * (double)dtype_size(x->dtype) * (y ? 2 : 1) });
	return z;
}

/* One pass over [outer, len, inner]; returns [outer, pieces, inner] f32. */
static struct tensor *
sum_cols(struct tensor *x, struct tensor *y, uint64_t outer, uint64_t len, uint64_t inner,
    double scale, uint64_t *pieces)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(REDUCE_COLS);
	uint32_t width = inner % 4 ? 1 : 4;
	uint64_t many = ceil_div(busy(), outer * inner / width), piece;
	struct {
		uint32_t outer, len, inner, piece, pieces;
		float scale;
	} p;
	struct tensor *z;

	if (many > len / SHORT)
		many = len / SHORT;
	piece = many > 1 ? ceil_div(len, many) : len;
	if (piece > MAX_LOOP)
		piece = MAX_LOOP;
	*pieces = ceil_div(len, piece);
	p.outer = (uint32_t)outer;
	p.len = (uint32_t)len;
	p.inner = (uint32_t)inner;
	p.piece = (uint32_t)piece;
	p.pieces = (uint32_t)*pieces;
	p.scale = (float)(*pieces == 1 ? scale : 1);
	z = tensor_empty(F32, (int64_t)(outer * *pieces * inner));
	gpu_run(&(struct gpu_call){ .kernel = kernel_for("sum", k, x->dtype),
	    .arg = { tensor_arg(x), tensor_arg(y ? y : x), tensor_arg(z) }, .nargs = 3,
	    .spec = { y != NULL, width }, .nspec = 2, .push = &p, .npush = sizeof(p),
	    .groups = { gpu_groups(outer * *pieces * inner / width, 64) }, .flops = (double)x->n,
	    .bytes = (double)x->n * (double)dtype_size(x->dtype) * (y ? 2 : 1) });
	return z;
}

/* Sums the middle of [outer, len, inner] (of x y, where y is given): [outer, inner] f32. */
static struct tensor *
sum_middle(struct tensor *x, struct tensor *y, int64_t outer, int64_t len, int64_t inner,
    double scale)
{
	uint64_t r = (uint64_t)len, in = (uint64_t)inner, out = (uint64_t)outer, pieces = 1;

	if (x->n >= (int64_t)1 << 32)
		op_die("sum", "%s is too large", tensor_shape(x));
	do {
		/* few odd columns: as many rows side by side as make a multiple of four */
		uint64_t fold = in % 4 == 0 ? 1 : in % 2 == 0 ? 2 : 4;
		bool folded = in > 1 && r >= 4 * SHORT && r % fold == 0;

		if (in == 1 && r >= (out < busy() ? SHORT : MEDIUM) && gpu_info()->shuffle)
			x = sum_rows(x, y, out, r, scale, &pieces);
		else if (folded && fold > 1)
			x = sum_cols(x, y, out, r / fold, in * fold, 1, &pieces);
		else
			x = sum_cols(x, y, out, r, in, scale, &pieces);
		r = folded && fold > 1 ? pieces * fold : pieces;
		y = NULL;
	} while (r > 1);
	return x;
}

/* Sums over axes: F32, of x's shape with 1 for each of them. */
static struct tensor *
sum_axes(struct tensor *x, struct tensor *y, unsigned axes, double scale)
{
	int64_t dim[TENSOR_MAXDIM], run[TENSOR_MAXDIM];
	bool summed[TENSOR_MAXDIM];
	struct tensor *s = x;
	int nrun = 0, left = 0, ndim = x->ndim;

	for (int i = 0; i < ndim; i++) {
		bool sum = axes >> i & 1;

		dim[i] = sum ? 1 : x->dim[i];
		if (x->dim[i] == 1)
			continue;
		if (nrun && summed[nrun - 1] == sum) {
			run[nrun - 1] *= x->dim[i];
			continue;
		}
		run[nrun] = x->dim[i];
		summed[nrun++] = sum;
		left += sum;
	}
	if (!left)
		s = op_cast(y ? op_mul(x, y) : x, F32);
	while (left) {
		int64_t outer = 1, inner = 1;
		int longest = -1;

		for (int i = 0; i < nrun; i++)
			if (summed[i] && (longest < 0 || run[i] > run[longest]))
				longest = i;
		for (int i = 0; i < nrun; i++)
			if (i != longest)
				*(i < longest ? &outer : &inner) *= run[i];
		s = sum_middle(s, y, outer, run[longest], inner, left == 1 ? scale : 1);
		y = NULL;
		run[longest] = 1;
		summed[longest] = false;
		left--;
	}
	return tensor_view(s, ndim, dim);
}

struct tensor *
sum_product(struct tensor *x, struct tensor *y, unsigned axes)
{
	struct tensor *s = sum_axes(x, y, axes, 1);

	return x->dtype == F32 ? s : op_cast(s, x->dtype);
}

static unsigned
want_axes(const char *op, const struct tensor *x, unsigned axes)
{
	if (axes >> x->ndim)
		op_die(op, "axes %#x of %s", axes, tensor_shape(x));
	return axes ? axes : (1u << x->ndim) - 1;
}

/* i: axes; f: scale */
static void
sum_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	struct tensor *x = n->in[0];
	int64_t dim[TENSOR_MAXDIM];

	for (int i = 0; i < x->ndim; i++)
		dim[i] = n->i[0] >> i & 1 ? 1 : x->dim[i];
	gy = op_cast(gy, x->dtype);
	if (n->f[0] != 1)
		gy = op_affine(gy, n->f[0], 0);
	g[0] = op_broadcast(op_reshape(gy, x->ndim, dim), x->ndim, x->dim);
}

static struct tensor *
sum(const char *op, struct tensor *x, unsigned axes, bool keepdim, double scale, enum dtype dtype)
{
	struct tensor *y;
	struct node *n;
	int64_t dim[TENSOR_MAXDIM];
	int nd = 0;
	bool was;

	want_float(op, x);
	scope_open();
	was = grads_set(false);
	y = sum_axes(x, NULL, axes, scale);
	for (int i = 0; i < x->ndim; i++)
		if (keepdim || !(axes >> i & 1))
			dim[nd++] = y->dim[i];
	y = tensor_view(y->dtype == dtype ? y : op_cast(y, dtype), nd, dim);
	grads_set(was);
	n = op_done(op, y, &x, 1, sum_back);
	if (n) {
		n->i[0] = axes;
		n->f[0] = scale;
	}
	return scope_keep(y);
}

struct tensor *
op_sum(struct tensor *x, unsigned axes, bool keepdim)
{
	return sum("op_sum", x, want_axes("op_sum", x, axes), keepdim, 1, x->dtype);
}

/* The number of elements that a mean over axes is of. */
static double
count(const struct tensor *x, unsigned axes)
{
	double n = 1;

	for (int i = 0; i < x->ndim; i++)
		if (axes >> i & 1)
			n *= (double)x->dim[i];
	return n;
}

struct tensor *
op_mean(struct tensor *x, unsigned axes, bool keepdim)
{
	axes = want_axes("op_mean", x, axes);
	return sum("op_mean", x, axes, keepdim, 1 / count(x, axes), x->dtype);
}

struct tensor *
op_sum_all(struct tensor *x)
{
	return sum("op_sum_all", x, want_axes("op_sum_all", x, 0), false, 1, F32);
}

struct tensor *
op_mean_all(struct tensor *x)
{
	return sum("op_mean_all", x, want_axes("op_mean_all", x, 0), false, 1 / (double)x->n, F32);
}
