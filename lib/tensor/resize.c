/* Resizing of images: linear maps, each with its transpose, so backward works to any order. */
#include "tensor/pixels.h"
#include "tensor/ops.h"

#include <stddef.h>

enum mode { NEAREST, BILINEAR, BILINEAR_CORNERS };

/* The commonest case has kernels of its own: every pixel becomes 2 by 2. */
static void
run_twice(struct tensor *x, struct tensor *y, bool spread)
{
	static const enum kernel k[2][3][3] = { KERNELS_BY_ACCESS(RESIZE_TWICE),
		KERNELS_BY_ACCESS(RESIZE_TWICE_SPREAD) };
	struct pixel_push push;
	struct gpu_call c = pixel_call("resize", spread ? y : x, &push);

	c.kernel = k[spread][x->dtype][access_of(x->dim[3])];
	c.arg[0] = tensor_arg(x);
	c.arg[1] = tensor_arg(y);
	c.nargs = 2;
	c.push = &push;
	c.npush = sizeof(push);
	c.flops = spread ? (double)x->n : 0;
	c.bytes = (double)(x->n + y->n) * (double)dtype_size(x->dtype);
	gpu_run(&c);
}


/* Input per output along an axis of n in and m out; 0 where corners are aligned and there is
 * one. */
static float
step_of(enum mode mode, int64_t n, int64_t m)
{
	if (mode == BILINEAR_CORNERS)
		return m > 1 ? (float)(n - 1) / (float)(m - 1) : 0;
	return (float)n / (float)m;
}

struct push {
	struct pixel_push pixels;
	struct fastdiv height, width;
	int32_t h, w;
	float step_y, step_x, half; /* of bilinear kernels */
};

/* From x to y; spread: y is the smaller kind of image that forward took, x its gradient's. */
static void
run(struct tensor *x, struct tensor *y, enum mode mode, bool spread)
{
	static const enum kernel k[2][2][3][3] = {
		{ KERNELS_BY_ACCESS(RESIZE_NEAREST), KERNELS_BY_ACCESS(RESIZE_NEAREST_SPREAD) },
		{ KERNELS_BY_ACCESS(RESIZE_BILINEAR), KERNELS_BY_ACCESS(RESIZE_BILINEAR_SPREAD) } };
	const struct tensor *in = spread ? y : x, *out = spread ? x : y;
	struct push push = { .height = fastdiv((uint32_t)y->dim[1]),
		.width = fastdiv((uint32_t)y->dim[2]), .h = (int32_t)x->dim[1],
		.w = (int32_t)x->dim[2], .step_y = step_of(mode, in->dim[1], out->dim[1]),
		.step_x = step_of(mode, in->dim[2], out->dim[2]),
		.half = mode == BILINEAR_CORNERS ? 0 : 0.5f };
	struct gpu_call c;

	if (mode == NEAREST && out->dim[1] == 2 * in->dim[1] && out->dim[2] == 2 * in->dim[2]) {
		run_twice(x, y, spread);
		return;
	}
	c = pixel_call("resize", y, &push.pixels);
	c.kernel = k[mode != NEAREST][spread][x->dtype][access_of(x->dim[3])];
	c.arg[0] = tensor_arg(x);
	c.arg[1] = tensor_arg(y);
	c.nargs = 2;
	c.push = &push;
	c.npush = mode == NEAREST ? offsetof(struct push, step_y) : sizeof(push);
	c.flops = (double)out->n * (mode == NEAREST ? 1 : 7);
	c.bytes = (double)(x->n + y->n) * (double)dtype_size(x->dtype);
	gpu_run(&c);
}

/* How many outputs, of m, an input of n may have gone into. */
static int64_t
reach(int64_t n, int64_t m)
{
	return 2 * ((m + n - 1) / n) + 4;
}

/* The transpose, from gy to an image of h by w: in one pass, or axis by axis and in f32 where a
 * value would gather from very many. */
static struct tensor *
spread(struct tensor *gy, int64_t h, int64_t w, enum mode mode)
{
	struct tensor *x = tensor_empty(gy->dtype, gy->dim[0], h, w, gy->dim[3]), *rows, *wide;
	int64_t ry = reach(h, gy->dim[1]), rx = reach(w, gy->dim[2]);
	bool was;

	if (ry > MAX_LOOP || rx > MAX_LOOP)
		op_die("resize", "%s to %s", tensor_shape(x), tensor_shape(gy));
	if (ry * rx < MAX_LOOP / 16) {
		run(gy, x, mode, true);
		return x;
	}
	was = grads_set(false);
	rows = tensor_empty(F32, gy->dim[0], h, gy->dim[2], gy->dim[3]);
	wide = tensor_like_in(x, F32);
	run(op_cast(gy, F32), rows, mode, true);
	run(rows, wide, mode, true);
	x = op_cast(wide, gy->dtype);
	grads_set(was);
	return x;
}

static struct tensor *resize(struct tensor *x, int64_t h, int64_t w, enum mode);

static void
spread_back(struct node *nd, struct tensor *gy, struct tensor **gx)
{
	gx[0] = resize(gy, nd->i[1], nd->i[2], (enum mode)nd->i[0]);
}

static void
resize_back(struct node *nd, struct tensor *gy, struct tensor **gx)
{
	enum mode mode = (enum mode)nd->i[0];
	struct node *up;

	gx[0] = spread(gy, nd->i[1], nd->i[2], mode);
	up = op_done("resize", gx[0], &gy, 1, spread_back);
	if (up) {
		up->i[0] = mode;
		up->i[1] = gy->dim[1];
		up->i[2] = gy->dim[2];
	}
}

static struct tensor *
resize(struct tensor *x, int64_t h, int64_t w, enum mode mode)
{
	struct tensor *y;
	struct node *nd;

	want_image("resize", x);
	if (h < 1 || w < 1 || h * x->dim[1] >= (int64_t)1 << 31 ||
	    w * x->dim[2] >= (int64_t)1 << 31)
		op_die("resize", "%s to %lld by %lld", tensor_shape(x), (long long)h, (long long)w);
	y = tensor_empty(x->dtype, x->dim[0], h, w, x->dim[3]);
	run(x, y, mode, false);
	nd = op_done("resize", y, &x, 1, resize_back);
	if (nd) {
		nd->i[0] = mode;
		nd->i[1] = x->dim[1];
		nd->i[2] = x->dim[2];
	}
	return y;
}

struct tensor *
op_resize_nearest(struct tensor *x, int h, int w)
{
	return resize(x, h, w, NEAREST);
}

struct tensor *
op_resize_bilinear(struct tensor *x, int h, int w, bool align_corners)
{
	return resize(x, h, w, align_corners ? BILINEAR_CORNERS : BILINEAR);
}
