/* Losses, made of other ops, so that they can be differentiated as often as those. */
#include "tensor/elementwise.h"

static struct tensor *
in_f32(struct tensor *x)
{
	return x->dtype == F32 ? x : op_cast(x, F32);
}

/* sum over rows of -w[label] log softmax(x)[label], divided by the sum of the w[label]: a one-hot
 * matrix times w picks both. A class to be ignored has weight 0. */
struct tensor *
op_cross_entropy(struct tensor *x, struct tensor *labels, struct tensor *weight, int ignore)
{
	int classes = x->ndim ? (int)x->dim[x->ndim - 1] : 0;
	struct tensor *w, *picked, *y;

	want_float("op_cross_entropy", x);
	if (!classes || labels->n * classes != x->n)
		op_die("op_cross_entropy", "%s with labels %s", tensor_shape(x),
		    tensor_shape(labels));
	if (weight && (weight->dtype != F32 || weight->n != classes))
		op_die("op_cross_entropy", "%s with weights %s", tensor_shape(x),
		    tensor_shape(weight));
	scope_open();
	w = op_one_hot(labels, classes);
	if (weight)
		w = op_mul(w, op_view(tensor_detach(weight), classes));
	if (ignore >= 0 && ignore < classes) {
		struct tensor *id = tensor_full(I32, 1, (int64_t[]){ 1 }, ignore);

		w = op_mul(w, op_affine(op_one_hot(id, classes), -1, 1));
	}
	w = op_reshape(w, x->ndim, x->dim);
	picked = op_mul(op_log_softmax(in_f32(x)), w);
	y = op_neg(op_div(op_sum_all(picked), op_sum_all(w)));
	return scope_keep(y);
}

static void
bce_back(struct node *n, struct tensor *gz, struct tensor **g)
{
	struct tensor *x = n->save[0], *y = n->save[1];

	if (n->need[0])
		g[0] = op_mul(gz, op_sub(op_sigmoid(x), y));
	if (n->need[1])
		g[1] = op_neg(op_mul(gz, x));
}

/* softplus(x) - x y, value by value */
static struct tensor *
bce(struct tensor *x, struct tensor *y)
{
	struct tensor *z = binary_run("op_bce_with_logits", B_BCE, x, y, 0, 0);
	struct node *n = op_done("op_bce_with_logits", z, (struct tensor *[]){ x, y }, 2, bce_back);

	if (n) {
		node_save(n, x);
		node_save(n, y);
	}
	return z;
}

/* With positives weighted by p it is (1 - y) x + (1 + (p - 1) y) softplus(-x). */
struct tensor *
op_bce_with_logits(struct tensor *x, struct tensor *y, struct tensor *pos_weight)
{
	struct tensor *z;

	want_same_dtype("op_bce_with_logits", x, y);
	if (!same_shape(x, y))
		op_die("op_bce_with_logits", "%s and %s", tensor_shape(x), tensor_shape(y));
	if (pos_weight && pos_weight->dtype != F32)
		op_die("op_bce_with_logits", "weights %s", tensor_shape(pos_weight));
	scope_open();
	x = in_f32(x);
	y = in_f32(y);
	if (pos_weight) {
		struct tensor *w = op_affine(op_mul(op_affine(pos_weight, 1, -1), y), 1, 1);

		z = op_add(op_mul(op_affine(y, -1, 1), x), op_mul(w, op_softplus(op_neg(x))));
	} else {
		z = bce(x, y);
	}
	return scope_keep(op_mean_all(z));
}

struct tensor *
op_mse(struct tensor *x, struct tensor *y)
{
	want_same_dtype("op_mse", x, y);
	if (!same_shape(x, y))
		op_die("op_mse", "%s and %s", tensor_shape(x), tensor_shape(y));
	scope_open();
	return scope_keep(op_mean_all(op_square(op_sub(in_f32(x), in_f32(y)))));
}
