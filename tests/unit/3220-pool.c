/* Pooling: values, gradients, second gradients, in all types. */
#include "grad_check.h"

struct shape {
	int64_t n, h, w, c;
	int k, stride, pad;
};

static const struct shape shapes[] = {
	{ 2, 5, 7, 3, 3, 2, 1 }, { 1, 9, 8, 8, 2, 2, 0 }, { 2, 6, 6, 12, 3, 1, 1 },
	    { 1, 7, 5, 4, 3, 3, 0 },
	{ 1, 4, 4, 1, 4, 1, 0 }, { 2, 11, 13, 5, 5, 2, 2 }, { 1, 12, 9, 8, 3, 2, 0 },
	    { 1, 2, 2, 4, 2, 5, 1 },
	{ 1, 33, 31, 20, 3, 2, 1 },
};
enum { SHAPES = sizeof(shapes) / sizeof(*shapes) };

enum kind { MAX, AVG, AVG_PAD };

static struct tensor *
pool(enum kind kind, struct tensor *x, const struct shape *s)
{
	if (kind == MAX)
		return op_max_pool2d(x, s->k, s->stride, s->pad);
	return op_avg_pool2d(x, s->k, s->stride, s->pad, kind == AVG_PAD);
}

/* The value of one window; *at: where its first maximum is. */
static double
window(enum kind kind, const float *x, const struct shape *s, int64_t n, int64_t oy, int64_t ox,
    int64_t c, int64_t *at)
{
	double best = -INFINITY, sum = 0;
	int count = 0;

	*at = -1;
	for (int ky = 0; ky < s->k; ky++)
		for (int kx = 0; kx < s->k; kx++) {
			int64_t y = oy * s->stride - s->pad + ky, z = ox * s->stride - s->pad + kx,
			        i;

			if (y < 0 || y >= s->h || z < 0 || z >= s->w)
				continue;
			i = ((n * s->h + y) * s->w + z) * s->c + c;
			if (*at < 0 || x[i] > best || isnan(x[i])) {
				best = x[i];
				*at = i;
			}
			sum += x[i];
			count++;
		}
	return kind == MAX ? best : sum / (kind == AVG ? count : s->k * s->k);
}

/* want: the pool of x; gx: the gradient of sum(gy pool(x)). */
static void
reference(enum kind kind, const float *x, const struct shape *s, int64_t oh, int64_t ow,
    double *want, const float *gy, double *gx)
{
	memset(gx, 0, (size_t)(s->n * s->h * s->w * s->c) * sizeof(*gx));
	for (int64_t n = 0; n < s->n; n++)
		for (int64_t oy = 0; oy < oh; oy++)
			for (int64_t ox = 0; ox < ow; ox++)
				for (int64_t c = 0; c < s->c; c++) {
					int64_t at, o = ((n * oh + oy) * ow + ox) * s->c + c;

					want[o] = window(kind, x, s, n, oy, ox, c, &at);
					if (kind == MAX) {
						gx[at] += gy[o];
						continue;
					}
					for (int ky = 0; ky < s->k; ky++)
						for (int kx = 0; kx < s->k; kx++) {
							int64_t y = oy * s->stride - s->pad + ky;
							int64_t z = ox * s->stride - s->pad + kx,
							        inside = 0;

							if (y < 0 || y >= s->h || z < 0 ||
							    z >= s->w)
								continue;
							for (int j = 0; j < s->k * s->k; j++) {
								int64_t jy = oy * s->stride -
								    s->pad + j / s->k;
								int64_t jz = ox * s->stride -
								    s->pad + j % s->k;

								inside += jy >= 0 && jy < s->h &&
								    jz >= 0 && jz < s->w;
							}
							gx[((n * s->h + y) * s->w + z) * s->c +
							    c] += gy[o] /
							    (kind == AVG ? (double)inside
							                 : s->k * s->k);
						}
				}
}

static void
values_and_gradients_match(void **state)
{
	(void)state;
	for (int i = 0; i < SHAPES; i++)
		for (enum dtype d = F32; d <= BF16; d++)
			for (enum kind kind = MAX; kind <= AVG_PAD; kind++) {
				const struct shape *s = &shapes[i];
				struct tensor *x, *y, *gy, *gx[1], *again[1], *r;
				double *want, *dwant;
				float *fx, *fg;

				scope_open();
				/* few different values, so that maxima have ties */
				x = random_tensor(d, (uint64_t)i, -2, 2, s->n, s->h, s->w, s->c);
				fx = values(x);
				for (int64_t j = 0; j < x->n; j++)
					fx[j] = roundf(fx[j] * 4) / 4;
				tensor_set(x, fx);
				x->requires_grad = true;
				y = pool(kind, x, s);
				gy = random_tensor_of(d, 9, -1, 1, 4, y->dim);
				fg = values(gy);
				want = xmalloc((size_t)y->n * sizeof(*want));
				dwant = xmalloc((size_t)x->n * sizeof(*dwant));
				reference(kind, fx, s, y->dim[1], y->dim[2], want, fg, dwant);
				/* observed: 0 for maxima, 3e-7 for means */
				near("pool", y, want, 2e-6 + 2 * dtype_eps(d));
				gy->requires_grad = true;
				grad_of(y, gy, &x, 1, true, gx);
				near("its gradient", gx[0], dwant, 2e-6 + 4 * dtype_eps(d));
				/* the gradient is linear in gy: its own gradient with r for x is
				 * the pool's at r, with x's maxima: sum(r gx) = sum(gy take(r)) */
				r = random_tensor_of(d, 5, -1, 1, 4, x->dim);
				grad_of(gx[0], r, &gy, 1, false, again);
				if (d == F32) {
					float *fr = values(r), *fa = values(again[0]),
					      *gxv = values(gx[0]);
					double left = 0, right = 0;

					for (int64_t j = 0; j < x->n; j++)
						left += (double)fr[j] * gxv[j];
					for (int64_t j = 0; j < y->n; j++)
						right += (double)fg[j] * fa[j];
					print_message("# transpose: %.9g %.9g\n", left, right);
					assert_true(fabs(left - right) < 1e-5 * (1 + fabs(left)));
					free(fr);
					free(fa);
					free(gxv);
				}
				free(want);
				free(dwant);
				free(fx);
				free(fg);
				scope_close();
			}
}

static struct tensor *
squared_max(void *ctx, struct tensor **in, int n)
{
	(void)n;
	return op_square(pool(*(enum kind *)ctx, in[0], &shapes[0]));
}

static void
second_gradients_match(void **state)
{
	(void)state;
	scope_open();
	for (enum kind kind = MAX; kind <= AVG_PAD; kind++) {
		float v[2 * 5 * 7 * 3];
		struct tensor *x;

		/* no two nearer than a step, so that no maximum moves */
		for (int i = 0; i < 210; i++)
			v[i] = (float)(i * 37 % 210) * 0.1f - 10;
		x = tensor_from(F32, 4, (int64_t[]){ 2, 5, 7, 3 }, v);
		/* observed: 2e-4 */
		check_grad_twice("pool squared", squared_max, &kind, &x, 1, 2e-3);
	}
	scope_close();
}

static void
not_a_number_is_the_maximum(void **state)
{
	float x[16] = { 0 }, y[4];

	(void)state;
	scope_open();
	x[5] = NAN;
	x[10] = -INFINITY;
	for (int i = 0; i < 16; i++)
		if (i != 5)
			x[i] = -INFINITY;
	tensor_get(op_max_pool2d(tensor_from(F32, 4, (int64_t[]){ 1, 4, 4, 1 }, x), 2, 2, 0), y);
	assert_true(isnan(y[0]) && y[1] == -INFINITY && y[2] == -INFINITY && y[3] == -INFINITY);
	scope_close();
}

static void
global_mean(void **state)
{
	struct tensor *x;
	double want[2 * 12] = { 0 };
	float *fx;

	(void)state;
	scope_open();
	x = random_tensor(F32, 1, -1, 1, 2, 9, 7, 12);
	fx = values(x);
	for (int64_t i = 0; i < x->n; i++)
		want[i / (9 * 7 * 12) * 12 + i % 12] += fx[i] / 63;
	near("global_avg_pool", op_global_avg_pool(x), want, 1e-6);
	free(fx);
	scope_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_and_gradients_match),
		cmocka_unit_test(second_gradients_match),
		cmocka_unit_test(not_a_number_is_the_maximum),
		cmocka_unit_test(global_mean),
	};

	return cmocka_run_group_tests(tests, check_setup, NULL);
}
