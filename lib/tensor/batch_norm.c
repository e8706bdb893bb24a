#include "tensor/colnorm.h"

struct tensor *
op_batch_norm(struct tensor *x, struct tensor *w, struct tensor *b, struct tensor *running_mean,
    struct tensor *running_var, double momentum, double eps, bool train, enum act act)
{
	struct colnorm c = { .op = "batch_norm", .n = 1, .eps = eps, .act = act, .train = train,
		.running_mean = running_mean, .running_var = running_var, .momentum = momentum };
	struct tensor *y, *coef, *stat;

	if (x->ndim < 2 || x->n == 0)
		op_die(c.op, "input %s", tensor_shape(x));
	c.channels = c.groups = x->dim[x->ndim - 1];
	c.rows = x->n / c.channels;
	colnorm_check(&c, x, w, b);
	if (!running_mean != !running_var || (!train && !running_mean))
		op_die(c.op, "running statistics missing");
	y = colnorm_forward(&c, x, w, b, &coef, &stat);
	colnorm_record(&c, y, x, w, b, coef, stat);
	return y;
}
