/* Group, instance and layer normalisation: values, first and second gradients, in all types. */
#include "grad_check.h"

enum kind { GROUP, INSTANCE, LAYER };

struct norm {
	enum kind kind;
	int groups;
	enum act act;
};

static struct tensor *
norm(void *ctx, struct tensor **in, int n)
{
	const struct norm *c = ctx;
	struct tensor *w = n > 1 ? in[1] : NULL, *b = n > 1 ? in[2] : NULL;

	if (c->kind == GROUP)
		return op_group_norm(in[0], c->groups, w, b, 1e-4, c->act);
	return c->kind == LAYER ? op_layer_norm(in[0], w, b, 1e-4) : op_instance_norm(in[0], w, b,
	    1e-4);
}

/* x [n, rows, c]; each sample's groups of channels by themselves. */
static void
reference(const float *x, const float *w, const float *b, int64_t n, int64_t rows, int64_t c,
    int64_t groups, enum act act, double *y)
{
	int64_t width = c / groups, each = rows * width;

	for (int64_t s = 0; s < n; s++)
		for (int64_t g = 0; g < groups; g++) {
			const float *p = x + s * rows * c + g * width;
			double m = 0, v = 0;

			for (int64_t i = 0; i < each; i++)
				m += p[i / width * c + i % width] / (double)each;
			for (int64_t i = 0; i < each; i++)
				v += pow(p[i / width * c + i % width] - m, 2) / (double)each;
			for (int64_t i = 0; i < each; i++) {
				int64_t j = g * width + i % width;
				double z = (p[i / width * c + i % width] - m) / sqrt(v + 1e-4);

				z = (w ? w[j] : 1) * z + (b ? b[j] : 0);
				y[s * rows * c + i / width * c + j] = act == ACT_SILU ? z /
				    (1 + exp(-z)) : z;
			}
		}
}

static void
one(enum dtype d, const struct norm *k, bool affine, double lo, double hi, double tol, int64_t n,
    int64_t h, int64_t wd, int64_t c)
{
	static const char *const names[] = { "group_norm", "instance_norm", "layer_norm" };
	struct tensor *in[] =
	    { random_tensor(d, 1, lo, hi, n, h, wd, c), random_tensor(F32, 2, 0.5, 1.5, c),
		random_tensor(F32, 3, -1, 1, c) };
	float *x = values(in[0]), *w = affine ? values(in[1]) : NULL, *b = affine ? values(in[2])
	    : NULL;
	double *y = xmalloc((size_t)in[0]->n * sizeof(*y));

	if (k->kind == LAYER)
		reference(x, w, b, n * h * wd, 1, c, 1, k->act, y);
	else
		reference(x, w, b, n, h * wd, c, k->kind == GROUP ? k->groups : c, k->act, y);
	near(names[k->kind], norm((void *)k, in, affine ? 3 : 1), y, tol + 4 * dtype_eps(d));
	free(x);
	free(w);
	free(b);
	free(y);
}

static void
values_match(void **state)
{
	static const int64_t shape[][5] =
	    { { 2, 5, 7, 6, 3 }, { 3, 9, 11, 20, 4 }, { 1, 4, 4, 320, 32 },
		{ 2, 33, 17, 12, 1 }, { 2, 8, 8, 1280, 32 }, { 1, 300, 20, 4, 2 },
		    { 2, 1, 3, 1000, 8 } };

	(void)state;
	for (enum dtype d = F32; d <= BF16; d++)
		for (size_t i = 0; i < sizeof(shape) / sizeof(*shape); i++)
			for (int k = 0; k < 4; k++) {
				const int64_t *s = shape[i];
				struct norm c = { (enum kind[]){ GROUP, GROUP, INSTANCE, LAYER }[k],
				    (int)s[4],
					k == 1 ? ACT_SILU : ACT_NONE };

				scope_open();
				/* observed: 3e-7 to 2e-6 */
				one(d, &c, i % 2 == 0, -2, 3, 2e-5, s[0], s[1], s[2], s[3]);
				scope_close();
			}
}

/* A mean of a thousand deviations; x itself has 6e-5 of a deviation. Observed: 6e-5. */
static void
large_means_lose_nothing(void **state)
{
	(void)state;
	for (enum kind k = GROUP; k <= LAYER; k++) {
		struct norm c = { k, 4, ACT_NONE };

		scope_open();
		one(F32, &c, true, 999, 1001, 3e-4, 2, 24, 9, 64);
		one(F32, &c, true, 999, 1001, 3e-4, 1, 5, 9, 1284);
		scope_close();
	}
}

static void
gradients_match(void **state)
{
	static const int64_t shape[][5] =
	    { { 2, 3, 5, 6, 3 }, { 2, 5, 3, 8, 2 }, { 1, 4, 3, 40, 4 } };

	(void)state;
	for (size_t i = 0; i < sizeof(shape) / sizeof(*shape); i++)
		for (int k = 0; k < 4; k++) {
			const int64_t *s = shape[i];
			struct norm c = { (enum kind[]){ GROUP, GROUP, INSTANCE, LAYER }[k],
			    (int)s[4],
				k == 1 ? ACT_SILU : ACT_NONE };
			struct tensor *in[3];

			scope_open();
			in[0] = random_tensor(F32, 1, -2, 2, s[0], s[1], s[2], s[3]);
			in[1] = random_tensor(F32, 2, 0.5, 1.5, s[3]);
			in[2] = random_tensor(F32, 3, -1, 1, s[3]);
			check_grad("norm", norm, &c, in, 3, 2e-3);
			check_grad("norm without scale", norm, &c, in, 1, 2e-3);
			check_grad_twice("norm", norm, &c, in, 3, 5e-3);
			scope_close();
		}
}

/* The fused backward passes against the one that is composed of other ops. */
static void
fused_is_composed(void **state)
{
	static const int64_t shape[][5] =
	    { { 3, 7, 5, 12, 4 }, { 2, 9, 9, 10, 2 }, { 2, 16, 16, 160, 32 },
		{ 1, 40, 33, 64, 8 } };

	(void)state;
	for (enum dtype d = F32; d <= BF16; d++)
		for (int k = 0; k < 16; k++) {
			const int64_t *s = shape[k / 4];
			struct norm c = { (enum kind[]){ GROUP, GROUP, INSTANCE, LAYER }[k % 4],
			    (int)s[4],
				k % 4 == 1 ? ACT_SILU : ACT_NONE };
			struct tensor *in[3], *gy;

			scope_open();
			in[0] = random_tensor(d, 1, -2, 2, s[0], s[1], s[2], s[3]);
			in[1] = random_tensor(F32, 2, 0.5, 1.5, s[3]);
			in[2] = random_tensor(F32, 3, -1, 1, s[3]);
			gy = random_tensor(d, 6, -1, 1, s[0], s[1], s[2], s[3]);
			check_fused(norm, &c, in, 3, gy);
			scope_close();
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_match),
		cmocka_unit_test(large_means_lose_nothing),
		cmocka_unit_test(gradients_match),
		cmocka_unit_test(fused_is_composed),
	};

	return cmocka_run_group_tests(tests, check_setup, NULL);
}
