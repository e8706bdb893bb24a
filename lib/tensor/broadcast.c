/* Two inputs, one kernel: how their shapes meet, and which of its ways of reading serves. */
#include "tensor/elementwise.h"

#include <string.h>

int
broadcast_shape(const char *op, const struct tensor *x, const struct tensor *y,
    int64_t dim[TENSOR_MAXDIM])
{
	int nd = x->ndim > y->ndim ? x->ndim : y->ndim;

	for (int i = 1; i <= nd; i++) {
		int64_t a = i <= x->ndim ? x->dim[x->ndim - i] : 1,
		    b = i <= y->ndim ? y->dim[y->ndim - i] : 1;

		if (a != b && a != 1 && b != 1)
			op_die(op, "%s and %s do not broadcast", tensor_shape(x), tensor_shape(y));
		dim[nd - i] = a == 1 ? b : a;
	}
	return nd;
}

/* The output's dimensions, neighbours joined where both inputs step alike, and the inputs'
 * strides. */
struct plan {
	int nd;
	int64_t dim[TENSOR_MAXDIM], xs[TENSOR_MAXDIM], ys[TENSOR_MAXDIM];
};

static int64_t
stride_of(const struct tensor *t, int from_end)
{
	int64_t s = 1;

	if (from_end > t->ndim || t->dim[t->ndim - from_end] == 1)
		return 0;
	for (int i = 1; i < from_end; i++)
		s *= t->dim[t->ndim - i];
	return s;
}

static void
make_plan(struct plan *p, const struct tensor *x, const struct tensor *y, int nd,
    const int64_t *dim)
{
	*p = (struct plan){ 0 };
	for (int i = 0; i < nd; i++) {
		int64_t d = dim[i], xs = stride_of(x, nd - i), ys = stride_of(y, nd - i);
		int k = p->nd - 1;

		if (d == 1)
			continue;
		if (k >= 0 && p->xs[k] == xs * d && p->ys[k] == ys * d)
			p->dim[k] *= d;
		else
			p->dim[k = p->nd++] = d;
		p->xs[k] = xs;
		p->ys[k] = ys;
	}
	if (p->nd == 0)
		*p = (struct plan){ 1, { 1 }, { 1 }, { 1 } };
}

static bool
contiguous(const struct plan *p, const int64_t *stride)
{
	int64_t want = 1;

	for (int i = p->nd - 1; i >= 0; want *= p->dim[i--])
		if (stride[i] != want)
			return false;
	return true;
}

struct push {
	uint32_t groups;
	float a, b;
	uint32_t dim[5], magic[5], shift[5], xs[6], ys[6];
};

/* How one input is read, its strides in the units of that. */
static uint32_t
reading(const struct plan *p, const int64_t *stride, bool each, uint32_t out[TENSOR_MAXDIM])
{
	uint32_t read = each ? READ_EACH : stride[p->nd - 1] ? READ_GROUP : READ_SPLAT;

	for (int i = 0; i < p->nd; i++)
		out[i] = (uint32_t)(read == READ_GROUP && i < p->nd - 1 ? stride[i] /
		    4 : stride[i]);
	return contiguous(p, stride) ? READ_FLAT : read;
}

struct tensor *
binary_to(const char *op, uint32_t code, struct tensor *x, struct tensor *y, int nd,
    const int64_t *dim, double a, double b)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(BINARY);
	struct tensor *z;
	struct plan p;
	struct push u = { .a = (float)a, .b = (float)b };
	uint32_t spec[4] = { code };
	bool each;

	want_same_dtype(op, x, y);
	z = tensor_new(x->dtype, nd, dim);
	make_plan(&p, x, y, nd, dim);
	each = p.nd > 1 && p.dim[p.nd - 1] % 4;
	if (z->n >= (int64_t)1 << (each ? 31 : 32))
		op_die(op, "%s is too large", tensor_shape(z));
	spec[1] = reading(&p, p.xs, each, u.xs);
	spec[2] = reading(&p, p.ys, each, u.ys);
	spec[3] = (uint32_t)p.nd;
	/* in groups from here on; one dimension may have any length: what lies past the end is
	 * nobody's */
	if (!each)
		p.dim[p.nd - 1] = (p.dim[p.nd - 1] + 3) / 4;
	for (int i = 1; i < p.nd; i++) {
		struct fastdiv d = fastdiv((uint32_t)p.dim[i]);

		u.dim[i - 1] = d.d;
		u.magic[i - 1] = d.magic;
		u.shift[i - 1] = d.shift;
	}
	u.groups = (uint32_t)((z->n + 3) / 4);
	gpu_run(&(struct gpu_call){ .kernel = kernel_for(op, k, x->dtype),
	    .arg = { tensor_arg(x), tensor_arg(y), tensor_arg(z) }, .nargs = 3,
	    .spec = { spec[0], spec[1], spec[2], spec[3] }, .nspec = 4, .push = &u,
	    .npush = sizeof(u), .groups = { gpu_groups(u.groups, FLAT_STEP) },
	    .flops = (double)z->n, .bytes = (double)(x->n + y->n + z->n) *
	    (double)dtype_size(x->dtype) });
	return z;
}

struct tensor *
binary_run(const char *op, uint32_t code, struct tensor *x, struct tensor *y, double a, double b)
{
	int64_t dim[TENSOR_MAXDIM];
	int nd = broadcast_shape(op, x, y, dim);

	return binary_to(op, code, x, y, nd, dim, a, b);
}

static unsigned
broadcast_axes(const struct tensor *like, int nd, const int64_t *dim)
{
	unsigned axes = 0;

	for (int i = 1; i <= nd; i++)
		if (i > like->ndim || (like->dim[like->ndim - i] == 1 && dim[nd - i] != 1))
			axes |= 1u << (nd - i);
	return axes;
}

struct tensor *
sum_to(struct tensor *g, const struct tensor *like)
{
	unsigned axes = broadcast_axes(like, g->ndim, g->dim);

	if (same_shape(g, like))
		return g;
	return op_reshape(axes ? op_sum(g, axes, true) : g, like->ndim, like->dim);
}

struct tensor *
mul_sum_to(struct tensor *g, struct tensor *y, const struct tensor *like)
{
	unsigned axes = broadcast_axes(like, g->ndim, g->dim);

	if (!axes || grads_on() || !same_shape(g, y))
		return sum_to(op_mul(g, y), like);
	return tensor_view(sum_product(g, y, axes), like->ndim, like->dim);
}

static void
broadcast_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	g[0] = sum_to(gy, n->in[0]);
}

struct tensor *
op_broadcast(struct tensor *x, int nd, const int64_t *dim)
{
	struct tensor *y;

	want_float("op_broadcast", x);
	for (int i = 1; i <= x->ndim; i++)
		if (i > nd || (x->dim[x->ndim - i] != 1 && x->dim[x->ndim - i] != dim[nd - i]))
			op_die("op_broadcast", "%s to %d dimensions, the last of %lld",
			    tensor_shape(x), nd, nd ? (long long)dim[nd - 1] : 1);
	y = binary_to("op_broadcast", B_FIRST, x, x, nd, dim, 0, 0);
	op_done("op_broadcast", y, &x, 1, broadcast_back);
	return y;
}
