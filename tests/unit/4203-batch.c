/*
 * What stands beside a sample in a batch does not change one bit of its result: products,
 * convolutions, norms, attention, a whole U-Net and autoencoder, so that an image is a function of
 * its own job, and a sample's latents are its own.
 */
#include "base/err.h"
#include "base/rng.h"
#include "model/sd_config.h"
#include "nn/init.h"
#include "tensor/ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 5 };

/* n samples of the shape; the same values for the same seed. */
static struct tensor *
samples(int n, int ndim, const int64_t *dim, uint64_t seed)
{
	int64_t d[TENSOR_MAXDIM] = { n }, size = n;
	struct tensor *t;
	struct rng r;
	float *v;

	for (int i = 0; i < ndim; i++)
		size *= d[i + 1] = dim[i];
	v = malloc((size_t)size * sizeof(*v));
	rng_init(&r, seed, 0);
	for (int64_t i = 0; i < size; i++)
		v[i] = (float)rng_normal(&r);
	t = tensor_from(F32, ndim + 1, d, v);
	free(v);
	return t;
}

/* The first sample of many equals the one of one. */
static void
same(const char *what, struct tensor *many, struct tensor *one)
{
	float *a = malloc((size_t)many->n * sizeof(*a)), *b = malloc((size_t)one->n * sizeof(*b));

	tensor_get(many, a);
	tensor_get(one, b);
	if (memcmp(a, b, (size_t)one->n * sizeof(*b)) != 0)
		fail_msg("%s %s: the batch changed it", what, tensor_shape(one));
	free(a);
	free(b);
}

/* An op on N samples, and on one. */
#define SAME(name, many, one) \
	do { \
		struct tensor *y_; \
		op_samples(N); \
		y_ = (many); \
		op_samples(1); \
		same((name), y_, (one)); \
	} while (0)

/* Sizes of U-Nets and autoencoders, large and small. */
static const int64_t sizes[][3] = { { 4, 4, 16 }, { 8, 8, 64 }, { 12, 20, 48 }, { 16, 16, 320 },
	{ 8, 8, 640 }, { 32, 32, 8 }, { 64, 64, 16 } };

static void
ops(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		int64_t h = sizes[i][0], w = sizes[i][1], c = sizes[i][2], t[] = { h * w, c },
		    s[] = { 77, c };
		struct tensor *x, *y, *p, *q, *u, *v, *weight;

		scope_open();
		x = samples(N, 3, sizes[i], i);
		y = samples(1, 3, sizes[i], i);
		SAME("group_norm", op_group_norm(x, 8, NULL, NULL, 1e-5, ACT_SILU),
		    op_group_norm(y, 8, NULL, NULL, 1e-5, ACT_SILU));
		weight = samples((int)c, 3, (const int64_t[]){ 3, 3, c }, 9);
		SAME("conv2d", op_conv2d(x, weight, NULL, CONV_SAME(3)),
		    op_conv2d(y, weight, NULL, CONV_SAME(3)));
		p = samples(N, 2, t, i);
		q = samples(1, 2, t, i);
		weight = samples((int)(2 * c), 1, &c, 8);
		SAME("linear", op_linear(p, weight, NULL), op_linear(q, weight, NULL));
		SAME("layer_norm", op_layer_norm(p, NULL, NULL, 1e-5),
		    op_layer_norm(q, NULL, NULL, 1e-5));
		SAME("gelu", op_gelu(p), op_gelu(q));
		u = samples(N, 2, s, 7);
		v = samples(1, 2, s, 7);
		if (h * w <= 256) {
			SAME("attention", op_attention(p, p, p, 2, 0, false),
			    op_attention(q, q, q, 2, 0, false));
			SAME("cross", op_attention(p, u, u, 2, 0, false),
			    op_attention(q, v, v, 2, 0, false));
		}
		scope_close();
	}
}

static void
nets(void **state)
{
	const double t[N] = { 333, 333, 333, 333, 333 };
	struct tensor *x, *y, *u, *v;
	struct sd_config c;
	struct unet m;

	(void)state;
	assert_int_equal(sd_config_named(&c, "tiny"), 0);
	assert_int_equal(unet_init(&m, &c.unet, F32, false), 0);
	for (int i = 0; i < m.ps.n; i++)
		init_param(m.ps.p[i], INIT_UNIFORM, 0.05, 1);
	scope_open();
	x = samples(N, 3, (const int64_t[]){ 16, 16, 4 }, 1);
	y = samples(1, 3, (const int64_t[]){ 16, 16, 4 }, 1);
	u = samples(N, 2, (const int64_t[]){ 77, c.unet.context }, 2);
	v = samples(1, 2, (const int64_t[]){ 77, c.unet.context }, 2);
	SAME("unet", unet_forward(&m, x, t, u), unet_forward(&m, y, t, v));
	scope_close();
	unet_release(&m);
	sd_config_release(&c);
}

static void
autoencoder(void **state)
{
	static const int64_t px[][3] = { { 32, 32, 3 }, { 64, 96, 3 } };
	struct tensor *mean[2], *logvar[2], *x, *y;
	struct sd_config c;
	struct vae m;

	(void)state;
	assert_int_equal(sd_config_named(&c, "tiny"), 0);
	assert_int_equal(vae_init(&m, &c.vae, F32, false), 0);
	for (int i = 0; i < m.ps.n; i++)
		init_param(m.ps.p[i], INIT_UNIFORM, 0.05, 1);
	for (size_t i = 0; i < sizeof(px) / sizeof(*px); i++) {
		scope_open();
		op_samples(N);
		vae_encode(&m, samples(N, 3, px[i], 3), &mean[0], &logvar[0]);
		op_samples(1);
		vae_encode(&m, samples(1, 3, px[i], 3), &mean[1], &logvar[1]);
		same("mean", mean[0], mean[1]);
		same("log variance", logvar[0], logvar[1]);
		x = samples(N, 3, (const int64_t[]){ 8, 12, c.vae.latent }, 4);
		y = samples(1, 3, (const int64_t[]){ 8, 12, c.vae.latent }, 4);
		SAME("decoded", vae_decode(&m, x), vae_decode(&m, y));
		scope_close();
	}
	vae_release(&m);
	sd_config_release(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ops),
		cmocka_unit_test(nets),
		cmocka_unit_test(autoencoder),
	};

	gpu_open(NULL);
	grads_set(false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
