#include "tensor/strided.h"

#include <string.h>

void
strides_of(const struct tensor *t, int64_t stride[TENSOR_MAXDIM])
{
	int64_t s = 1;

	for (int i = t->ndim - 1; i >= 0; i--) {
		stride[i] = s;
		s *= t->dim[i];
	}
}

/* Drops dimensions of one and joins neighbours that both sides step through alike. */
static void
join(struct strided *c)
{
	int n = 0;

	for (int i = 0; i < c->nd; i++) {
		int64_t d = c->dim[i];

		if (d == 1)
			continue;
		if (n && c->xs[n - 1] == c->xs[i] * d && c->ys[n - 1] == c->ys[i] * d)
			c->dim[n - 1] *= d;
		else
			c->dim[n++] = d;
		c->xs[n - 1] = c->xs[i];
		c->ys[n - 1] = c->ys[i];
	}
	if (n == 0) {
		c->dim[0] = c->xs[0] = c->ys[0] = 1;
		n = 1;
	}
	c->nd = n;
}

/* The most elements of `size` bytes, up to 16 bytes, that always lie together on both sides. */
static int64_t
unit_of(const struct strided *c, int64_t size)
{
	int last = c->nd - 1;

	if (c->xs[last] != 1 || c->ys[last] != 1)
		return 1;
	for (int64_t u = 16 / size; u > 1; u /= 2) {
		bool fits = c->dim[last] % u == 0 && c->x0 % u == 0 && c->y0 % u == 0;

		for (int i = 0; i < last; i++)
			fits = fits && c->xs[i] % u == 0 && c->ys[i] % u == 0;
		if (fits)
			return u;
	}
	return 1;
}

static bool
in_order(const struct strided *c)
{
	int64_t want = 1;

	for (int i = c->nd - 1; i >= 0; want *= c->dim[i--])
		if (c->ys[i] != want)
			return false;
	return c->y0 == 0;
}

static enum kernel
kernel_of(const char *op, const struct tensor *x, int64_t bytes)
{
	bool texel = gpu_info()->texel;

	switch (bytes) {
	case 16:
		return texel ? K_STRIDED_16_T : K_STRIDED_16;
	case 8:
		return texel ? K_STRIDED_8_T : K_STRIDED_8;
	case 4:
		return texel ? K_STRIDED_4_T : K_STRIDED_4;
	case 2:
		return K_STRIDED_2;
	}
	op_die(op, "single bytes of %s cannot be moved apart", tensor_shape(x));
}

void
strided_copy(const char *op, const struct tensor *x, struct tensor *y, struct strided c)
{
	int64_t size = (int64_t)dtype_size(x->dtype), unit, n = 1;
	struct {
		uint32_t n;
		int32_t x0, y0;
		uint32_t dim[5], magic[5], shift[5];
		int32_t xs[6], ys[6];
	} p = { 0 };
	double bytes;

	if (x->n >= (int64_t)1 << 31 || y->n >= (int64_t)1 << 31)
		op_die(op, "%s is too large", tensor_shape(x->n > y->n ? x : y));
	join(&c);
	unit = unit_of(&c, size);
	for (int i = 0; i < c.nd; i++) {
		bool last = i == c.nd - 1 && unit > 1;

		c.dim[i] = last ? c.dim[i] / unit : c.dim[i];
		c.xs[i] = last ? 1 : c.xs[i] / unit;
		c.ys[i] = last ? 1 : c.ys[i] / unit;
		n *= c.dim[i];
		p.xs[i] = (int32_t)c.xs[i];
		p.ys[i] = (int32_t)c.ys[i];
		if (i) {
			struct fastdiv d = fastdiv((uint32_t)c.dim[i]);

			p.dim[i - 1] = d.d;
			p.magic[i - 1] = d.magic;
			p.shift[i - 1] = d.shift;
		}
	}
	c.y0 /= unit;
	p.n = (uint32_t)n;
	p.x0 = (int32_t)(c.x0 / unit);
	p.y0 = (int32_t)c.y0;
	bytes = 2 * (double)n * (double)(unit * size);
	gpu_run(&(struct gpu_call){ .kernel = kernel_of(op, x, unit * size),
	    .arg = { tensor_arg(x), tensor_arg(y) }, .nargs = 2,
	    .spec = { (uint32_t)c.nd, in_order(&c) }, .nspec = 2, .push = &p, .npush = sizeof(p),
	    .groups = { gpu_groups((uint64_t)n, FLAT_STEP) }, .bytes = bytes });
}
