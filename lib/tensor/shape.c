/*
 * Moving values about. Each op is a strided copy, and each one's gradient another of these:
 * permute's the inverse permutation, slice's a placing among zeros, concat's slices.
 */
#include "tensor/ops.h"
#include "tensor/strided.h"

#include <string.h>

static struct strided
whole(const struct tensor *t)
{
	struct strided c = { .nd = t->ndim };

	memcpy(c.dim, t->dim, sizeof(c.dim));
	strides_of(t, c.xs);
	strides_of(t, c.ys);
	return c;
}

static struct tensor *
zeros(enum dtype dtype, int ndim, const int64_t *dim)
{
	return tensor_full(dtype, ndim, dim, 0);
}

/* ---- permute, flip --------------------------------------------------------------------------- */

static void
permute_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	int inverse[TENSOR_MAXDIM];

	for (int i = 0; i < gy->ndim; i++)
		inverse[n->i[i]] = i;
	g[0] = op_permute(gy, inverse);
}

struct tensor *
op_permute(struct tensor *x, const int *perm)
{
	int64_t dim[TENSOR_MAXDIM], xs[TENSOR_MAXDIM];
	unsigned seen = 0;
	struct strided c;
	struct tensor *y;
	struct node *n;

	strides_of(x, xs);
	for (int i = 0; i < x->ndim; i++) {
		int a = want_axis("op_permute", x, perm[i]);

		seen |= 1u << a;
		dim[i] = x->dim[a];
	}
	if (seen != (1u << x->ndim) - 1)
		op_die("op_permute", "of %s: an axis is named twice", tensor_shape(x));
	y = tensor_new(x->dtype, x->ndim, dim);
	c = whole(y);
	for (int i = 0; i < x->ndim; i++)
		c.xs[i] = xs[want_axis("op_permute", x, perm[i])];
	strided_copy("op_permute", x, y, c);
	n = op_done("op_permute", y, &x, 1, permute_back);
	for (int i = 0; n && i < x->ndim; i++)
		n->i[i] = want_axis("op_permute", x, perm[i]);
	return y;
}

static void
flip_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	g[0] = op_flip(gy, (int)n->i[0]);
}

struct tensor *
op_flip(struct tensor *x, int axis)
{
	struct tensor *y = tensor_like(x);
	struct strided c = whole(x);
	struct node *n;

	axis = want_axis("op_flip", x, axis);
	c.x0 = (c.dim[axis] - 1) * c.xs[axis];
	c.xs[axis] = -c.xs[axis];
	strided_copy("op_flip", x, y, c);
	n = op_done("op_flip", y, &x, 1, flip_back);
	if (n)
		n->i[0] = axis;
	return y;
}

/* ---- windows --------------------------------------------------------------------------------- */

/* Zeros before and after along each axis; negative: as much is cut off. */
struct margins {
	int64_t before[TENSOR_MAXDIM], after[TENSOR_MAXDIM];
};

static struct tensor *window(const char *op, struct tensor *x, const struct margins *);

static void
window_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	struct margins m = { 0 };

	for (int i = 0; i < gy->ndim; i++) {
		m.before[i] = -n->i[i];
		m.after[i] = -n->i[TENSOR_MAXDIM + i];
	}
	g[0] = window(n->op, gy, &m);
}

/* The one op behind slice, pad and their gradients. */
static struct tensor *
window(const char *op, struct tensor *x, const struct margins *m)
{
	int64_t dim[TENSOR_MAXDIM];
	struct strided c = whole(x);
	bool covered = true;
	struct tensor *y;
	struct node *n;

	for (int i = 0; i < x->ndim; i++) {
		int64_t b = m->before[i], a = m->after[i];

		dim[i] = x->dim[i] + b + a;
		/* what of x is seen */
		c.dim[i] = x->dim[i] + (b < 0 ? b : 0) + (a < 0 ? a : 0);
		if (dim[i] <= 0 || c.dim[i] <= 0)
			op_die(op, "leaves nothing of axis %d of %s", i, tensor_shape(x));
		covered = covered && b <= 0 && a <= 0;
	}
	y = covered ? tensor_new(x->dtype, x->ndim, dim) : zeros(x->dtype, x->ndim, dim);
	strides_of(y, c.ys);
	for (int i = 0; i < x->ndim; i++) {
		c.x0 += m->before[i] < 0 ? -m->before[i] * c.xs[i] : 0;
		c.y0 += m->before[i] > 0 ? m->before[i] * c.ys[i] : 0;
	}
	strided_copy(op, x, y, c);
	n = op_done(op, y, &x, 1, window_back);
	for (int i = 0; n && i < x->ndim; i++) {
		n->i[i] = m->before[i];
		n->i[TENSOR_MAXDIM + i] = m->after[i];
	}
	return y;
}

struct tensor *
op_slice(struct tensor *x, int axis, int64_t start, int64_t len)
{
	struct margins m = { 0 };

	axis = want_axis("op_slice", x, axis);
	if (start < 0 || len <= 0 || start > x->dim[axis] - len)
		op_die("op_slice", "%lld from %lld along axis %d of %s", (long long)len,
		    (long long)start, axis, tensor_shape(x));
	m.before[axis] = -start;
	m.after[axis] = start + len - x->dim[axis];
	return window("op_slice", x, &m);
}

struct tensor *
op_pad2d(struct tensor *x, int left, int right, int top, int bottom)
{
	if (x->ndim != 4)
		op_die("op_pad2d", "wants [N,H,W,C], not %s", tensor_shape(x));
	return window("op_pad2d", x,
	    &(struct margins){ .before = { 0, top, left, 0 }, .after = { 0, bottom, right, 0 } });
}

static void
concat_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	int64_t at = 0;

	for (int i = 0; i < n->nin; i++) {
		int64_t len = n->in[i]->dim[n->i[0]];

		if (n->need[i])
			g[i] = op_slice(gy, (int)n->i[0], at, len);
		at += len;
	}
}

struct tensor *
op_concat(struct tensor *const *x, int nx, int axis)
{
	int64_t dim[TENSOR_MAXDIM], ys[TENSOR_MAXDIM], at = 0;
	struct tensor *y;
	struct node *n;

	if (nx < 1 || nx > NODE_MAXIN)
		op_die("op_concat", "of %d tensors", nx);
	axis = want_axis("op_concat", x[0], axis);
	memcpy(dim, x[0]->dim, sizeof(dim));
	dim[axis] = 0;
	for (int i = 0; i < nx; i++) {
		bool fits = x[i]->ndim == x[0]->ndim && x[i]->dtype == x[0]->dtype;

		for (int j = 0; fits && j < x[0]->ndim; j++)
			fits = j == axis || x[i]->dim[j] == dim[j];
		if (!fits)
			op_die("op_concat", "%s and %s along axis %d", tensor_shape(x[0]),
			    tensor_shape(x[i]), axis);
		dim[axis] += x[i]->dim[axis];
	}
	y = tensor_new(x[0]->dtype, x[0]->ndim, dim);
	strides_of(y, ys);
	for (int i = 0; i < nx; i++) {
		struct strided c = whole(x[i]);

		memcpy(c.ys, ys, sizeof(ys));
		c.y0 = at * ys[axis];
		strided_copy("op_concat", x[i], y, c);
		at += x[i]->dim[axis];
	}
	n = op_done("op_concat", y, x, nx, concat_back);
	if (n)
		n->i[0] = axis;
	return y;
}
