/*
 * The tape. Each recorded output refers to its node, each node to its inputs and to what backward
 * wants, so the graph lives as long as anything in it is reachable. A walk gathers the nodes below
 * an output, latest first: every consumer of a value is passed before its producer, so its gradient
 * is complete when it is used, and dropped right after.
 */
#include "base/err.h"
#include "base/mem.h"
#include "tensor/op.h"
#include "tensor/walk.h"

#include <stdlib.h>
#include <string.h>

static bool recording = true, in_backward;
static uint64_t next_order = 1, next_mark = 1;

bool
grads_on(void)
{
	return recording;
}

bool
grads_set(bool on)
{
	bool was = recording;

	recording = on;
	return was;
}

bool
tape_in_backward(void)
{
	return in_backward;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void
node_clear(struct node *n)
{
	for (int i = 0; i < n->nin; i++)
		tensor_unref(n->in[i]);
	for (int i = 0; i < n->nsave; i++)
		tensor_unref(n->save[i]);
	n->nin = n->nsave = 0;
	n->back = NULL;
}

/* Freeing a node may free the tensors it was made from, and so their nodes: a long chain, which is
 * gone through here in a loop. */
void
node_unref(struct node *n)
{
	static struct node *dead;
	static bool busy;

	if (!n || --n->refs > 0)
		return;
	n->next = dead;
	dead = n;
	if (busy)
		return;
	busy = true;
	while ((n = dead)) {
		dead = n->next;
		node_clear(n);
		free(n);
	}
	busy = false;
}

/* What a node keeps of an input: a leaf itself; of anything else only shape and place on the tape,
 * so that its memory is free unless somebody saves it. */
static struct tensor *
input(struct tensor *t)
{
	struct tensor *place;

	if (!t->node)
		return tensor_ref(t);
	place = tensor_hold(tensor_alias(t));
	gbuf_unref(place->buf);
	place->buf = NULL;
	return place;
}

struct node *
node_new(const char *op, struct tensor *out, struct tensor *const *in, int nin,
    void (*back)(struct node *, struct tensor *, struct tensor **))
{
	struct node *n = xcalloc(1, sizeof(*n));

	if (nin > NODE_MAXIN)
		die("%s: %d inputs", op, nin);
	n->op = op;
	n->back = back;
	n->order = next_order++;
	n->refs = 1;
	n->nin = nin;
	for (int i = 0; i < nin; i++) {
		n->in[i] = in[i] ? input(in[i]) : NULL;
		n->need[i] = in[i] && in[i]->requires_grad;
	}
	out->node = n;
	out->requires_grad = true;
	return n;
}

static int checking = -1; /* not asked yet */

void
tensor_check(bool on)
{
	checking = on;
}

static void
check_numbers(const char *op, const struct tensor *t)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(CHECK);
	struct gbuf *flag;
	uint32_t n = (uint32_t)t->n, found;

	if (checking < 0)
		checking = getenv("PHANTOM_CHECK") && strcmp(getenv("PHANTOM_CHECK"), "0") != 0;
	if (!checking || !dtype_is_float(t->dtype))
		return;
	flag = gbuf_new(4, MEM_WORK);
	gpu_fill(flag, 0, 4, 0);
	gpu_run(&(struct gpu_call){ .kernel = kernel_for(op, k, t->dtype),
	    .arg = { tensor_arg(t), { flag, 0, 4 } }, .nargs = 2, .push = &n, .npush = sizeof(n),
	    .groups = { gpu_groups(((uint64_t)t->n + 3) / 4, FLAT_STEP) } });
	gpu_read(flag, 0, &found, 4);
	gbuf_unref(flag);
	if (found)
		die("PHANTOM_CHECK: %s made a NaN in %s", op, tensor_shape(t));
}

struct node *
op_done(const char *op, struct tensor *out, struct tensor *const *in, int nin,
    void (*back)(struct node *, struct tensor *, struct tensor **))
{
	check_numbers(op, out);
	if (!recording || !back)
		return NULL;
	for (int i = 0; i < nin; i++)
		if (in[i] && in[i]->requires_grad)
			return node_new(op, out, in, nin, back);
	return NULL;
}

/* An output that its own node keeps would keep the node in turn: what is kept instead is another
 * handle, off the tape, and each walk puts it back on for as long as back() runs. */
void
node_save(struct node *n, struct tensor *t)
{
	struct tensor *own;

	if (n->nsave == NODE_MAXSAVE)
		die("%s: too much to save", n->op);
	if (t && t->node == n) {
		own = tensor_hold(tensor_detach(t));
		n->save_out |= 1u << n->nsave;
		n->save[n->nsave++] = own;
		return;
	}
	n->save[n->nsave++] = t ? tensor_ref(t) : NULL;
}

/* ---- walks ----------------------------------------------------------------------------------- */

struct entry {
	uint64_t order; /* the node's: it may be gone when the walk is past it */
	struct node *node;
	struct tensor *grad;
	bool target;  /* one of the sought tensors is this node's output */
	bool deeper;  /* something sought lies below */
};

struct walk {
	struct entry *e; /* latest first */
	size_t n, cap;
	struct tensor *const *x; /* what is sought, besides parameters if `leaves` */
	struct tensor **gx;
	int nx;
	bool leaves, create_graph;
};

static int
latest_first(const void *a, const void *b)
{
	uint64_t x = ((const struct entry *)a)->order, y = ((const struct entry *)b)->order;

	return (x < y) - (x > y);
}

static struct entry *
entry_of(const struct walk *w, const struct node *n)
{
	size_t lo = 0, hi = w->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (w->e[mid].order == n->order)
			return &w->e[mid];
		if (w->e[mid].order > n->order)
			lo = mid + 1;
		else
			hi = mid;
	}
	die("tape: %s is not part of this walk", n->op);
}

static void
gather(struct walk *w, struct node *top)
{
	struct node **stack = NULL;
	size_t nstack = 0, cap = 0;
	uint64_t mark = next_mark++;

	stack = xgrow(stack, &cap, 1, sizeof(*stack));
	stack[nstack++] = top;
	top->mark = mark;
	while (nstack) {
		struct node *n = stack[--nstack];

		if (!n->back)
			die("backward: the graph of %s was used and freed before", n->op);
		w->e = xgrow(w->e, &w->cap, w->n + 1, sizeof(*w->e));
		w->e[w->n++] = (struct entry){ .order = n->order, .node = n };
		n->refs++;
		for (int i = 0; i < n->nin; i++) {
			struct node *m = n->need[i] ? n->in[i]->node : NULL;

			if (!m || m->mark == mark)
				continue;
			m->mark = mark;
			stack = xgrow(stack, &cap, nstack + 1, sizeof(*stack));
			stack[nstack++] = m;
		}
	}
	free(stack);
	qsort(w->e, w->n, sizeof(*w->e), latest_first);
}

/* Whether the gradient of n's input i is of use. */
static bool
sought(const struct walk *w, const struct node *n, int i)
{
	const struct tensor *t = n->in[i];
	const struct entry *e;

	if (!n->need[i])
		return false;
	if (t->node) {
		e = entry_of(w, t->node);
		return e->target || e->deeper;
	}
	for (int k = 0; k < w->nx; k++)
		if (w->x[k] == t)
			return true;
	return w->leaves;
}

static void
mark_sought(struct walk *w)
{
	for (int k = 0; k < w->nx; k++)
		for (size_t j = 0; w->x[k]->node && j < w->n; j++)
			w->e[j].target |= w->e[j].node == w->x[k]->node;
	for (size_t j = w->n; j-- > 0;) {
		struct node *n = w->e[j].node;

		w->e[j].deeper = w->leaves;
		for (int i = 0; i < n->nin && !w->e[j].deeper; i++)
			w->e[j].deeper = sought(w, n, i);
	}
}

static void
add_to(struct tensor **sum, struct tensor *g)
{
	struct tensor *s;

	if (!*sum) {
		*sum = tensor_ref(g);
		return;
	}
	s = tensor_ref(op_add(*sum, g));
	tensor_unref(*sum);
	*sum = s;
}

static void
leaf_add(struct tensor *leaf, struct tensor *g)
{
	bool fresh = !leaf->grad;

	if (fresh)
		leaf->grad = tensor_hold(tensor_new_for(MEM_GRAD, F32, leaf->ndim, leaf->dim));
	tensor_accumulate(leaf->grad, g, fresh || leaf->grad->stale);
	leaf->grad->stale = false;
}

static void
deliver(struct walk *w, struct tensor *t, struct tensor *g)
{
	bool mine = false;

	if (t->node) {
		add_to(&entry_of(w, t->node)->grad, g);
		return;
	}
	for (int k = 0; k < w->nx; k++) {
		if (w->x[k] != t)
			continue;
		add_to(&w->gx[k], g);
		mine = true;
	}
	if (!mine && w->leaves)
		leaf_add(t, g);
}

/* One step: from the gradient of e's output to those of its inputs. */
static void
step(struct walk *w, struct entry *e)
{
	struct node *n = e->node;
	struct tensor *gx[NODE_MAXIN] = { NULL }, *own[NODE_MAXSAVE] = { NULL };
	bool need[NODE_MAXIN];

	memcpy(need, n->need, sizeof(need));
	scope_open();
	for (int i = 0; i < n->nin; i++)
		n->need[i] = sought(w, n, i);
	for (int i = 0; i < n->nsave && w->create_graph; i++) {
		if (!(n->save_out & 1u << i))
			continue;
		own[i] = n->save[i];
		n->save[i] = tensor_detach(own[i]);
		n->save[i]->node = n;
		n->save[i]->requires_grad = true;
		n->refs++;
	}
	n->back(n, e->grad, gx);
	for (int i = 0; i < n->nsave; i++)
		if (own[i])
			n->save[i] = own[i];
	for (int i = 0; i < n->nin; i++) {
		if (!n->need[i] || !gx[i])
			continue;
		if (!same_shape(gx[i], n->in[i]) || gx[i]->dtype != n->in[i]->dtype)
			op_die(n->op, "gradient %s for input %d of %s", tensor_shape(gx[i]), i,
			    tensor_shape(n->in[i]));
		deliver(w, n->in[i], gx[i]);
	}
	memcpy(n->need, need, sizeof(need));
	scope_close();
}

static void
run(struct walk *w, struct tensor *y, struct tensor *gy)
{
	bool was = grads_set(w->create_graph), was_backward = in_backward;

	in_backward = w->leaves;
	gather(w, y->node);
	mark_sought(w);
	w->e[0].grad = tensor_ref(gy);
	for (size_t j = 0; j < w->n; j++) {
		struct entry *e = &w->e[j];

		for (int k = 0; k < w->nx && e->grad && e->target; k++)
			if (w->x[k]->node == e->node)
				add_to(&w->gx[k], e->grad);
		if (e->grad && e->deeper)
			step(w, e);
		tensor_unref(e->grad);
		if (!w->create_graph)
			node_clear(e->node);
		node_unref(e->node);
	}
	free(w->e);
	grads_set(was);
	in_backward = was_backward;
}

static void
want_gradient(const char *what, const struct tensor *y, const struct tensor *gy)
{
	if (!same_shape(y, gy) || y->dtype != gy->dtype)
		op_die(what, "gradient %s of %s", tensor_shape(gy), tensor_shape(y));
}

void
tape_walk(struct tensor *y, struct tensor *gy, struct tensor *const *x, int n, bool leaves,
    bool create_graph, struct tensor **gx)
{
	struct walk w = { .x = x, .gx = gx, .nx = n, .leaves = leaves,
		.create_graph = create_graph };

	want_gradient("backward", y, gy);
	for (int k = 0; k < n; k++)
		gx[k] = NULL;
	if (y->node) {
		scope_open();
		run(&w, y, gy);
		scope_close();
	} else {
		for (int k = 0; k < n; k++)
			if (x[k] == y)
				add_to(&gx[k], gy);
	}
	/* handles of the caller's scope: what gx[k] is now may be one of another's */
	for (int k = 0; k < n; k++) {
		struct tensor *g = gx[k];

		if (g)
			gx[k] = tensor_alias(g);
		tensor_unref(g);
	}
}

void
backward_scaled(struct tensor *loss, double seed)
{
	if (loss->n != 1)
		op_die("backward", "of %s: not one number", tensor_shape(loss));
	if (!loss->requires_grad)
		op_die("backward", "of %s, which depends on nothing that requires a gradient",
		    tensor_shape(loss));
	scope_open();
	if (loss->node)
		tape_walk(loss, tensor_full(loss->dtype, loss->ndim, loss->dim, seed), NULL, 0,
		    true, false, NULL);
	else
		leaf_add(loss, tensor_full(loss->dtype, loss->ndim, loss->dim, seed));
	scope_close();
}

void
backward(struct tensor *loss)
{
	backward_scaled(loss, 1);
}

void
grad_of(struct tensor *y, struct tensor *gy, struct tensor *const *x, int n, bool create_graph,
    struct tensor **gx)
{
	struct tensor *ones = NULL;

	if (!gy)
		gy = ones = tensor_hold(tensor_full(y->dtype, y->ndim, y->dim, 1));
	tape_walk(y, gy, x, n, false, create_graph, gx);
	tensor_drop(ones);
}
