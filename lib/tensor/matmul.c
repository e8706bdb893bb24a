/* Products of matrices, and linear layers. */
#include "base/mem.h"
#include "tensor/gemm.h"
#include "tensor/op.h"
#include "tensor/ops.h"

#include <string.h>

/* A matrix, or as many as `batch`; those of an input without leading dimensions are shared. */
struct mats {
	int64_t batch, rows, cols;
};

static struct mats
mats(const char *op, const struct tensor *x)
{
	struct mats m = { .batch = 1 };

	if (x->ndim < 2)
		op_die(op, "%s is no matrix", tensor_shape(x));
	for (int i = 0; i < x->ndim - 2; i++)
		m.batch *= x->dim[i];
	m.rows = x->dim[x->ndim - 2];
	m.cols = x->dim[x->ndim - 1];
	return m;
}

struct times {
	const char *op;
	struct tensor *x;                /* [batch, m, k], or [m, k] that all share */
	int64_t batch, m, k;
	bool shared;
	const struct tensor *bias;       /* as gemm's */
	double slope;
};

/* x times the matrices that p takes from y: [batch * m, p->cols]. */
static struct tensor *
times(const struct times *t, struct tensor *y, const struct pack *p)
{
	const enum dtype dt = t->x->dtype;
	const int64_t k4 = round_up(t->k, gemm_unit(dt)), n4 = round_up(p->cols, 4);
	struct tensor *z = tensor_empty(dt, t->batch * t->m, n4);

	gemm_run(&(struct gemm){ .op = t->op, .grid = grid_rows(t->m),
	    .a = t->k == k4 ? t->x : rows_resize(t->x, t->k, k4), .cs = k4,
	    .abatch = t->shared ? 0 : t->m * k4, .w = pack_of(y, p, t->m), .bias = t->bias, .y = z,
	    .ycols = n4, .ybatch = t->m * n4, .slope = t->slope });
	pack_done(y);
	return p->cols == n4 ? z : rows_resize(z, n4, p->cols);
}

/* x^T y of each batch: x [k,m], y [k,n] -> [m,n]. */
static struct tensor *
transposed_times(const char *op, const struct tensor *x, bool shared_x, const struct tensor *y,
    bool shared_y, int64_t batch, int64_t k, int64_t m, int64_t n)
{
	const int64_t m4 = round_up(m, 4), n4 = round_up(n, 4);
	struct tensor *z;

	if (m != m4)
		x = rows_resize(x, m, m4);
	if (n != n4)
		y = rows_resize(y, n, n4);
	z = wgrad_run(&(struct wgrad){ .op = op, .grid = grid_rows(k), .a = x, .as = m4, .rows = m,
	    .b = y, .cs = n4, .c = n4, .batch = batch, .abatch = shared_x ? 0 : k * m4,
	    .bbatch = shared_y ? 0 : k * n4 });
	return n == n4 ? z : rows_resize(z, n4, n);
}

static struct tensor *
matmul(struct tensor *x, struct tensor *y, bool ta, bool tb)
{
	struct mats a = mats("op_matmul", x), b = mats("op_matmul", y);
	const bool shared_x = x->ndim == 2, shared_y = y->ndim == 2;
	const int64_t batch = shared_x ? b.batch : a.batch, k = ta ? a.rows : a.cols;
	int64_t m = ta ? a.cols : a.rows, n = tb ? b.rows : b.cols;
	struct pack p = { .cols = n, .ch = k, .th = 1, .tw = 1, .sc = tb ? 1 : b.cols,
		.sn = tb ? b.cols : 1 };

	if (k != (tb ? b.cols : b.rows) || (!shared_x && !shared_y && (a.batch != b.batch)))
		op_die("op_matmul", "%s%s times %s%s", tensor_shape(x), ta ? " transposed" : "",
		    tensor_shape(y), tb ? " transposed" : "");
	if (ta && !tb)
		return transposed_times("op_matmul", x, shared_x, y, shared_y, batch, k, m, n);
	if (ta)
		x = rows_transpose(x, a.batch, k, m);
	if (!shared_y) {
		p.batch = batch;
		p.xbatch = b.rows * b.cols;
		return times(&(struct times){ "op_matmul", x, batch, m, k, shared_x, NULL, 1 }, y,
		    &p);
	}
	return times(&(struct times){ "op_matmul", x, 1, a.batch * m, k, false, NULL, 1 }, y, &p);
}

/* The gradient g of an input without leading dimensions, where the product has them. */
static struct tensor *
sum_batches(struct tensor *g, const struct tensor *in)
{
	if (in->ndim == 2 && g->ndim > 2)
		g = op_sum(g, (1u << (g->ndim - 2)) - 1, false);
	return g;
}

/* Of a matrix that all batches share, when rows can be taken together: x [..,k] as [rows, k]. */
static struct tensor *
flat(struct tensor *x)
{
	return x->ndim == 2 ? x : op_view(x, -1, x->dim[x->ndim - 1]);
}

static void
matmul_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	struct tensor *x = n->save[0], *y = n->save[1];
	const bool ta = n->i[0], tb = n->i[1];
	const bool rows = n->in[1]->ndim == 2 && n->in[0]->ndim > 2 && !ta;

	if (n->need[0])
		g[0] = sum_batches(ta ? op_matmul(y, gy, tb, true) : op_matmul(gy, y, false, !tb),
		    n->in[0]);
	if (!n->need[1])
		return;
	if (rows)
		g[1] = tb ? op_matmul(flat(gy), flat(x), true, false)
		    : op_matmul(flat(x), flat(gy), true, false);
	else
		g[1] = sum_batches(tb ? op_matmul(gy, x, true, ta) : op_matmul(x, gy, !ta, false),
		    n->in[1]);
}

struct tensor *
op_matmul(struct tensor *x, struct tensor *y, bool ta, bool tb)
{
	struct tensor *lead = x->ndim > 2 ? x : y, *z;
	int64_t dim[TENSOR_MAXDIM];
	struct node *n;
	bool was = grads_set(false);

	want_same_dtype("op_matmul", x, y);
	scope_open();
	z = matmul(x, y, ta, tb);
	memcpy(dim, lead->dim, sizeof(dim));
	dim[lead->ndim - 2] = x->dim[x->ndim - (ta ? 1 : 2)];
	dim[lead->ndim - 1] = y->dim[y->ndim - (tb ? 2 : 1)];
	for (int i = 0; i < lead->ndim - 2 && x->ndim > 2 && y->ndim > 2; i++)
		if (x->ndim != y->ndim || x->dim[i] != y->dim[i])
			op_die("op_matmul", "%s times %s", tensor_shape(x), tensor_shape(y));
	z = scope_keep(tensor_view(z, lead->ndim, dim));
	grads_set(was);
	n = op_done("op_matmul", z, (struct tensor *[]){ x, y }, 2, matmul_back);
	if (n) {
		node_save(n, n->need[1] ? x : NULL);
		node_save(n, n->need[0] ? y : NULL);
		n->i[0] = ta;
		n->i[1] = tb;
	}
	return z;
}

/* ---- linear ---------------------------------------------------------------------------------- */

static void
linear_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	struct tensor *x = n->save[0], *w = n->save[1], *rows = flat(gy);

	if (n->need[0])
		g[0] = op_reshape(op_matmul(rows, w, false, false), n->in[0]->ndim, n->in[0]->dim);
	if (n->need[1])
		g[1] = op_matmul(rows, flat(x), true, false);
	if (n->need[2])
		g[2] = op_cast(op_sum(rows, 1, false), n->in[2]->dtype);
}

static struct tensor *
linear(struct tensor *x, struct tensor *w, struct tensor *b, double slope)
{
	const int64_t in = x->ndim ? x->dim[x->ndim - 1] : 0, out = w->ndim == 2 ? w->dim[0] : 0;
	struct tensor *in_[] = { x, w, b }, *y;
	int64_t dim[TENSOR_MAXDIM];
	struct pack p;
	struct node *n;

	if (w->ndim == 2)
		want_weight("op_linear", x, w);
	if (w->ndim != 2 || x->ndim < 1 || w->dim[1] != in ||
	    (b && (b->ndim != 1 || b->dim[0] != out)))
		op_die("op_linear", "%s by %s, bias %s", tensor_shape(x), tensor_shape(w),
		    tensor_shape(b));
	p = pack_weight(w, 1);
	scope_open();
	y = times(&(struct times){ "op_linear", x, 1, x->n / in, in, false,
	    bias_wide(b, 1, round_up(out, 4)), slope }, w, &p);
	memcpy(dim, x->dim, sizeof(dim));
	dim[x->ndim - 1] = out;
	y = scope_keep(tensor_view(y, x->ndim, dim));
	n = op_done("op_linear", y, in_, 3, linear_back);
	if (n) {
		node_save(n, n->need[1] ? x : NULL);
		node_save(n, n->need[0] ? w : NULL);
	}
	return y;
}

struct tensor *
op_linear(struct tensor *x, struct tensor *w, struct tensor *b)
{
	return linear(x, w, b, 1);
}

struct tensor *
op_act(struct tensor *x, enum act act)
{
	switch (act) {
	case ACT_RELU:
		return op_relu(x);
	case ACT_SILU:
		return op_silu(x);
	case ACT_GELU:
		return op_gelu(x);
	case ACT_QUICK_GELU:
		return op_quick_gelu(x);
	case ACT_SIGMOID:
		return op_sigmoid(x);
	case ACT_LRELU:
		return op_lrelu(x, 0.2);
	default:
		return x;
	}
}

bool
act_fuses(enum act act, struct tensor *const *in, int n, double *slope)
{
	*slope = act == ACT_RELU ? 0 : act == ACT_LRELU ? 0.2 : 1;
	for (int i = 0; i < n; i++)
		if (grads_on() && in[i] && in[i]->requires_grad)
			return false;
	return act == ACT_NONE || act == ACT_RELU || act == ACT_LRELU;
}

struct tensor *
op_linear_act(struct tensor *x, struct tensor *w, struct tensor *b, enum act act)
{
	double slope;

	if (act_fuses(act, (struct tensor *[]){ x, w, b }, 3, &slope))
		return linear(x, w, b, slope);
	return op_act(linear(x, w, b, 1), act);
}
