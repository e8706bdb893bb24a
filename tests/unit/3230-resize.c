/* Resizing: values against the definition, gradients as the transpose, in all types. */
#include "grad_check.h"

struct shape {
	int64_t n, h, w, c, oh, ow;
};

static const struct shape shapes[] = {
	{ 2, 5, 7, 3, 10, 14 }, { 1, 4, 4, 8, 8, 8 }, { 1, 8, 6, 12, 3, 5 }, { 2, 3, 1, 4, 7, 2 },
	{ 1, 1, 1, 5, 4, 6 }, { 1, 9, 7, 1, 1, 1 }, { 1, 6, 6, 4, 6, 6 }, { 1, 13, 17, 4, 29, 31 },
	{ 1, 16, 16, 3, 5, 37 }, { 1, 2, 3, 4, 50, 1 }, { 1, 1, 2, 1, 300, 310 },
};
enum { SHAPES = sizeof(shapes) / sizeof(*shapes) };

static struct tensor *
resize(int mode, struct tensor *x, int64_t h, int64_t w)
{
	if (mode == 0)
		return op_resize_nearest(x, (int)h, (int)w);
	return op_resize_bilinear(x, (int)h, (int)w, mode == 2);
}

/* The weight of input i, of n, in output o, of m. */
static double
weight(int mode, int64_t o, int64_t m, int64_t i, int64_t n)
{
	double s;
	int64_t a, b;

	if (mode == 0)
		return o * n / m == i;
	if (mode == 2)
		s = m > 1 ? (double)o * (double)(n - 1) / (double)(m - 1) : 0;
	else
		s = fmax(0, ((double)o + 0.5) * (double)n / (double)m - 0.5);
	a = (int64_t)s < n - 1 ? (int64_t)s : n - 1;
	b = a + 1 < n ? a + 1 : n - 1;
	return (a == i) * (1 - (s - floor(s))) + (b == i) * (s - floor(s));
}

/* y = resized x, or with `spread` x = the gradient for y. */
static void
reference(int mode, const struct shape *s, bool spread, const float *in, double *out)
{
	memset(out, 0, (size_t)(s->n * s->c * (spread ? s->h * s->w : s->oh * s->ow)) *
	    sizeof(*out));
	for (int64_t n = 0; n < s->n; n++)
		for (int64_t oy = 0; oy < s->oh; oy++)
			for (int64_t y = 0; y < s->h; y++) {
				double wy = weight(mode, oy, s->oh, y, s->h);

				for (int64_t ox = 0; wy != 0 && ox < s->ow; ox++)
					for (int64_t x = 0; x < s->w; x++) {
						double w = wy * weight(mode, ox, s->ow, x, s->w);

						for (int64_t c = 0; w != 0 && c < s->c; c++) {
							int64_t i =
							    ((n * s->h + y) * s->w + x) * s->c + c;
							int64_t o =
							    ((n * s->oh + oy) * s->ow + ox) * s->c +
							    c;

							out[spread ? i : o] += w *
							    in[spread ? o : i];
						}
					}
			}
}

static void
values_and_gradients_match(void **state)
{
	(void)state;
	for (int i = 0; i < SHAPES; i++)
		for (enum dtype d = F32; d <= BF16; d++)
			for (int mode = 0; mode < 3; mode++) {
				const struct shape *s = &shapes[i];
				struct tensor *x, *y, *gy, *gx[1], *again[1], *r;
				double *want;
				float *f;

				scope_open();
				x = random_tensor(d, (uint64_t)i, -2, 2, s->n, s->h, s->w, s->c);
				x->requires_grad = true;
				y = resize(mode, x, s->oh, s->ow);
				gy = random_tensor_of(d, 9, -1, 1, 4, y->dim);
				gy->requires_grad = true;
				want = xmalloc((size_t)(x->n + y->n) * sizeof(*want));
				f = values(x);
				reference(mode, s, false, f, want);
				/* observed: 0 for nearest, to 5e-6 for bilinear: places are f32 */
				near("resize", y, want, 2e-5 + 2 * dtype_eps(d));
				free(f);
				grad_of(y, gy, &x, 1, true, gx);
				f = values(gy);
				reference(mode, s, true, f, want);
				near("its gradient", gx[0], want, 2e-5 + 2 * dtype_eps(d));
				free(f);
				/* the gradient's gradient is the resizing again */
				r = random_tensor_of(d, 5, -1, 1, 4, x->dim);
				grad_of(gx[0], r, &gy, 1, false, again);
				f = values(r);
				reference(mode, s, false, f, want);
				near("its gradient's gradient", again[0], want,
				    2e-5 + 2 * dtype_eps(d));
				free(f);
				free(want);
				scope_close();
			}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_and_gradients_match),
	};

	return cmocka_run_group_tests(tests, check_setup, NULL);
}
