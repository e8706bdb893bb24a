/*
 * Ops on two tensors, value by value, with NumPy's broadcasting; forward and backward side by side.
 * A gradient is that of the broadcast shape, summed to the input's own.
 */
#include "tensor/elementwise.h"

static struct tensor *
binary(const char *op, uint32_t code, struct tensor *x, struct tensor *y, struct node **n,
    void (*back)(struct node *, struct tensor *, struct tensor **))
{
	struct tensor *z = binary_run(op, code, x, y, 0, 0);

	*n = op_done(op, z, (struct tensor *[]){ x, y }, 2, back);
	return z;
}

static void
add_back(struct node *n, struct tensor *gz, struct tensor **g)
{
	for (int i = 0; i < 2; i++)
		if (n->need[i])
			g[i] = sum_to(gz, n->in[i]);
}

struct tensor *
op_add(struct tensor *x, struct tensor *y)
{
	struct node *n;

	return binary("op_add", B_ADD, x, y, &n, add_back);
}

static void
sub_back(struct node *n, struct tensor *gz, struct tensor **g)
{
	if (n->need[0])
		g[0] = sum_to(gz, n->in[0]);
	if (n->need[1])
		g[1] = op_neg(sum_to(gz, n->in[1]));
}

struct tensor *
op_sub(struct tensor *x, struct tensor *y)
{
	struct node *n;

	return binary("op_sub", B_SUB, x, y, &n, sub_back);
}

/* d(xy) = y dx + x dy */
static void
mul_back(struct node *n, struct tensor *gz, struct tensor **g)
{
	for (int i = 0; i < 2; i++)
		if (n->need[i])
			g[i] = mul_sum_to(gz, n->save[1 - i], n->in[i]);
}

struct tensor *
op_mul(struct tensor *x, struct tensor *y)
{
	struct node *n;
	struct tensor *z = binary("op_mul", B_MUL, x, y, &n, mul_back);

	if (n) {
		node_save(n, n->need[1] ? x : NULL);
		node_save(n, n->need[0] ? y : NULL);
	}
	return z;
}

/* d(x/y) = dx / y - z / y dy */
static void
div_back(struct node *n, struct tensor *gz, struct tensor **g)
{
	struct tensor *q = op_div(gz, n->save[0]);

	if (n->need[0])
		g[0] = sum_to(q, n->in[0]);
	if (n->need[1])
		g[1] = sum_to(op_neg(op_mul(q, n->save[1])), n->in[1]);
}

struct tensor *
op_div(struct tensor *x, struct tensor *y)
{
	struct node *n;
	struct tensor *z = binary("op_div", B_DIV, x, y, &n, div_back);

	if (n) {
		node_save(n, y);
		node_save(n, n->need[1] ? z : NULL);
	}
	return z;
}

/* The gradient goes where the larger (smaller) one was; i[0]: the code of "x wins". */
static void
extreme_back(struct node *n, struct tensor *gz, struct tensor **g)
{
	struct tensor *x = n->save[0], *y = n->save[1];
	struct tensor *mask = n->i[0] == B_MAX ? binary_run(n->op, B_GREATER_EQUAL, x, y, 0, 0)
	                                       : binary_run(n->op, B_GREATER_EQUAL, y, x, 0, 0);
	struct tensor *gx = op_mul(gz, mask);

	if (n->need[0])
		g[0] = sum_to(gx, n->in[0]);
	if (n->need[1])
		g[1] = sum_to(op_sub(gz, gx), n->in[1]);
}

static struct tensor *
extreme(const char *op, uint32_t code, struct tensor *x, struct tensor *y)
{
	struct node *n;
	struct tensor *z = binary(op, code, x, y, &n, extreme_back);

	if (n) {
		node_save(n, x);
		node_save(n, y);
		n->i[0] = code;
	}
	return z;
}

struct tensor *
op_maximum(struct tensor *x, struct tensor *y)
{
	return extreme("op_maximum", B_MAX, x, y);
}

struct tensor *
op_minimum(struct tensor *x, struct tensor *y)
{
	return extreme("op_minimum", B_MIN, x, y);
}

struct tensor *
op_greater(struct tensor *x, struct tensor *y)
{
	return binary_run("op_greater", B_GREATER, x, y, 0, 0);
}
