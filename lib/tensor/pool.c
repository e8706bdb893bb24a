/*
 * Pooling. Both kinds are linear once the places of the maxima are known, so each has a pair of
 * maps that are each other's transpose: the backward pass of one is the other, to any order.
 */
#include "tensor/pixels.h"
#include "tensor/ops.h"

enum { MAX_WINDOW = 15 }; /* a place in it fits a byte */

/* Of a window, and whether padding counts in a mean. */
struct pool {
	int k, stride, pad;
	bool count_pad;
};

static int64_t
windows(const char *op, const struct tensor *x, int axis, struct pool p)
{
	int64_t room = x->dim[axis] + 2 * p.pad - p.k;

	if (room < 0)
		op_die(op, "%s: smaller than the window of %d with padding %d", tensor_shape(x),
		    p.k, p.pad);
	return room / p.stride + 1;
}

static void
check(const char *op, const struct tensor *x, struct pool p)
{
	want_image(op, x);
	if (p.k < 1 || p.stride < 1 || p.pad < 0 || 2 * p.pad > p.k)
		op_die(op, "window %d, stride %d, padding %d", p.k, p.stride, p.pad);
}

static void
to_node(struct node *nd, struct pool p, const int64_t dim[4])
{
	nd->i[0] = p.k;
	nd->i[1] = p.stride;
	nd->i[2] = p.pad;
	nd->i[3] = p.count_pad;
	for (int i = 0; i < 4; i++)
		nd->i[4 + i] = dim[i];
}

static struct pool
from_node(const struct node *nd)
{
	return (struct pool){ (int)nd->i[0], (int)nd->i[1], (int)nd->i[2], nd->i[3] != 0 };
}

static double
bytes_of(const struct tensor *t)
{
	return (double)t->n * (double)dtype_size(t->dtype);
}

/* One kernel of shaders/pool.glsl; index may be NULL. */
static void
run(const char *op, const enum kernel k[3][3], struct tensor *x, struct tensor *y,
    struct tensor *index, struct pool p)
{
	struct {
		struct pixel_push pixels;
		int32_t h, w, height, width, pad, count_pad;
	} push = { .h = (int32_t)x->dim[1], .w = (int32_t)x->dim[2], .height = (int32_t)y->dim[1],
		.width = (int32_t)y->dim[2], .pad = p.pad, .count_pad = p.count_pad };
	struct gpu_call c = pixel_call(op, y, &push.pixels);

	c.kernel = k[x->dtype][access_of(x->dim[3])];
	c.arg[0] = tensor_arg(x);
	c.arg[1] = tensor_arg(y);
	if (index)
		c.arg[2] = tensor_arg(index);
	c.nargs = index ? 3 : 2;
	c.spec[1] = (uint32_t)p.k;
	c.spec[2] = (uint32_t)p.stride;
	c.nspec = 3;
	c.push = &push;
	c.npush = sizeof(push);
	c.flops = (double)y->n * p.k * p.k;
	c.bytes = bytes_of(x) + bytes_of(y) + (index ? bytes_of(index) : 0);
	gpu_run(&c);
}

/* ---- maxima ---------------------------------------------------------------------------------- */

static struct tensor *max_take(struct tensor *x, struct tensor *index, struct pool,
    const int64_t dim[4]);

static void
max_spread_back(struct node *nd, struct tensor *gy, struct tensor **gx)
{
	gx[0] = max_take(gy, nd->save[0], from_node(nd), nd->i + 4);
}

/* Of the windows' values gy, to an image of shape dim: each to where its maximum was. */
static struct tensor *
max_spread(struct tensor *gy, struct tensor *index, struct pool p, const int64_t dim[4])
{
	static const enum kernel k[3][3] = KERNELS_BY_ACCESS(MAX_POOL_SPREAD);
	struct tensor *x = tensor_new(gy->dtype, 4, dim);
	struct node *nd;

	run("max_pool2d", k, gy, x, index, p);
	nd = op_done("max_pool2d", x, &gy, 1, max_spread_back);
	if (nd) {
		node_save(nd, index);
		to_node(nd, p, gy->dim);
	}
	return x;
}

static void
max_take_back(struct node *nd, struct tensor *gy, struct tensor **gx)
{
	gx[0] = max_spread(gy, nd->save[0], from_node(nd), nd->i + 4);
}

/* Of the image x, to windows of shape dim: what is where each one's maximum was. */
static struct tensor *
max_take(struct tensor *x, struct tensor *index, struct pool p, const int64_t dim[4])
{
	static const enum kernel k[3][3] = KERNELS_BY_ACCESS(MAX_POOL_TAKE);
	struct tensor *y = tensor_new(x->dtype, 4, dim);
	struct node *nd;

	run("max_pool2d", k, x, y, index, p);
	nd = op_done("max_pool2d", y, &x, 1, max_take_back);
	if (nd) {
		node_save(nd, index);
		to_node(nd, p, x->dim);
	}
	return y;
}

struct tensor *
op_max_pool2d(struct tensor *x, int k, int stride, int pad)
{
	static const enum kernel plain[3][3] = KERNELS_BY_ACCESS(MAX_POOL);
	static const enum kernel indexed[3][3] = KERNELS_BY_ACCESS(MAX_POOL_INDEX);
	const char *op = "max_pool2d";
	struct pool p = { k, stride, pad, false };
	bool record = grads_on() && x->requires_grad;
	struct tensor *y, *index = NULL;
	struct node *nd;

	check(op, x, p);
	if (k > MAX_WINDOW)
		op_die(op, "a window of %d: more than %d", k, MAX_WINDOW);
	y = tensor_empty(x->dtype, x->dim[0], windows(op, x, 1, p), windows(op, x, 2, p),
	    x->dim[3]);
	if (record)
		index = tensor_empty(I32, x->dim[0], y->dim[1], y->dim[2],
		    x->dim[3] % 4 ? x->dim[3] : x->dim[3] / 4);
	run(op, record ? indexed : plain, x, y, index, p);
	nd = op_done(op, y, &x, 1, max_take_back);
	if (nd) {
		node_save(nd, index);
		to_node(nd, p, x->dim);
	}
	return y;
}

/* ---- means ----------------------------------------------------------------------------------- */

static struct tensor *avg_pool(struct tensor *x, struct pool);

static void
avg_spread_back(struct node *nd, struct tensor *gy, struct tensor **gx)
{
	gx[0] = avg_pool(gy, from_node(nd));
}

static void
avg_pool_back(struct node *nd, struct tensor *gy, struct tensor **gx)
{
	static const enum kernel k[3][3] = KERNELS_BY_ACCESS(AVG_POOL_SPREAD);
	struct pool p = from_node(nd);
	struct node *spread;

	gx[0] = tensor_new(gy->dtype, 4, nd->i + 4);
	run("avg_pool2d", k, gy, gx[0], NULL, p);
	spread = op_done("avg_pool2d", gx[0], &gy, 1, avg_spread_back);
	if (spread)
		to_node(spread, p, gy->dim);
}

static struct tensor *
avg_pool(struct tensor *x, struct pool p)
{
	static const enum kernel k[3][3] = KERNELS_BY_ACCESS(AVG_POOL);
	const char *op = "avg_pool2d";
	struct tensor *y = tensor_empty(x->dtype, x->dim[0], windows(op, x, 1, p),
	    windows(op, x, 2, p), x->dim[3]);
	struct node *nd;

	run(op, k, x, y, NULL, p);
	nd = op_done(op, y, &x, 1, avg_pool_back);
	if (nd)
		to_node(nd, p, x->dim);
	return y;
}

struct tensor *
op_avg_pool2d(struct tensor *x, int k, int stride, int pad, bool count_pad)
{
	struct pool p = { k, stride, pad, count_pad };

	check("avg_pool2d", x, p);
	return avg_pool(x, p);
}

struct tensor *
op_global_avg_pool(struct tensor *x)
{
	want_image("global_avg_pool", x);
	return op_mean(x, 1u << 1 | 1u << 2, false);
}
