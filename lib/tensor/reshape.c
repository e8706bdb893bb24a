/* Views: the same memory under another shape. */
#include "tensor/op.h"
#include "tensor/ops.h"

static void
reshape_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	g[0] = op_reshape(gy, n->in[0]->ndim, n->in[0]->dim);
}

struct tensor *
op_reshape(struct tensor *x, int ndim, const int64_t *dim)
{
	int64_t d[TENSOR_MAXDIM], n = 1;
	int open = -1;
	struct tensor *y;

	if (ndim < 0 || ndim > TENSOR_MAXDIM)
		op_die("op_reshape", "%s to %d dimensions", tensor_shape(x), ndim);
	for (int i = 0; i < ndim; i++) {
		d[i] = dim[i];
		if (d[i] == -1 && open < 0)
			open = i;
		else
			n *= d[i];
	}
	if (open >= 0 && n > 0)
		n *= d[open] = x->n / n;
	if (n != x->n)
		op_die("op_reshape", "%s to one of %lld elements", tensor_shape(x), (long long)n);
	y = tensor_view(x, ndim, d);
	op_done("op_reshape", y, &x, 1, reshape_back);
	return y;
}
