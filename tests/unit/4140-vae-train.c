/* Training steps of the autoencoder: the loss by its formula, and scores by their sums. */
#include "grad_check.h"

#include "base/err.h"
#include "model/sd_config.h"
#include "model/vae_train.h"
#include "nn/init.h"

#include <stdio.h>

enum { N = 3, H = 16, W = 24, VALUES = N * H * W * 3 };

static void
small(struct vae *m, bool train)
{
	struct sd_config c;

	if (sd_config_named(&c, "mini") || vae_init(m, &c.vae, F32, train))
		fail_msg("%s", errmsg());
	sd_config_release(&c);
	for (int i = 0; i < m->ps.n; i++)
		init_param(m->ps.p[i], INIT_UNIFORM, m->ps.p[i]->ndim > 1 ? 0.1 : 0.5, 2);
}

/* Without noise (logvar far down) the loss is a function of mean, logvar and decoder alone. */
static void
formula(void **state)
{
	struct tensor *mean, *logvar, *y;
	float x[VALUES], *out, *mu, *lv;
	double absolute = 0, square = 0, kl = 0, total;
	struct vae_train t;
	struct vae_loss l;
	struct param *b;
	struct vae m;

	(void)state;
	small(&m, true);
	/* the second half of quant_conv's biases are logvars */
	b = params_find(&m.ps, "quant_conv.bias");
	params_put(b, (const float[]){ 0.1f, 0.2f, 0.3f, 0.4f, -28, -28, -28, -28 });
	fill_random(x, VALUES, 4, -1, 1);
	scope_open();
	vae_encode(&m, tensor_from(F32, 4, (int64_t[]){ N, H, W, 3 }, x), &mean, &logvar);
	y = vae_decode(&m, mean);
	out = values(y);
	mu = values(mean);
	lv = values(logvar);
	for (int i = 0; i < VALUES; i++) {
		absolute += fabs((double)out[i] - x[i]) / VALUES;
		square += ((double)out[i] - x[i]) * ((double)out[i] - x[i]) / VALUES;
	}
	for (int64_t i = 0; i < mean->n; i++)
		kl += 0.5 * ((double)mu[i] * mu[i] + exp(lv[i]) - 1 - lv[i]) / VALUES;
	scope_close();
	vae_train_init(&t, &m, &(struct vae_train_conf){ .steps = 2, .lr = 1e-3, .kl = 0.25 });
	vae_train_step(&t, x, N, H, W, &l);
	total = absolute + square + 0.25 * kl;
	print_message(
	    "loss %.7g, by the formula %.7g; its parts are off by %.2g %.2g %.2g (bound 1e-6)\n",
	    l.total, total, l.absolute - absolute, l.square - square, l.kl - kl);
	assert_true(fabs(l.total - total) < 1e-6 * total);
	assert_true(fabs(l.absolute - absolute) < 1e-6);
	assert_true(fabs(l.square - square) < 1e-6);
	assert_true(fabs(l.kl - kl) < 1e-6 * kl);
	assert_true(l.grad_norm > 0);
	assert_int_equal(t.step, 1);
	vae_train_release(&t);
	vae_release(&m);
	free(out);
	free(mu);
	free(lv);
}

/* All at once and one by one are the same; the latents' noise counts in their deviation. */
static void
scores(void **state)
{
	struct vae_score all = { 0 }, each = { 0 };
	float x[VALUES];
	struct vae m;
	struct param *b;
	double psnr;

	(void)state;
	small(&m, false);
	fill_random(x, VALUES, 4, -1, 1);
	vae_score_add(&all, &m, x, N, H, W);
	for (int i = 0; i < N; i++)
		vae_score_add(&each, &m, x + i * H * W * 3, 1, H, W);
	psnr = 10 * log10(4 / (all.error / VALUES));
	print_message("%.3f dB, one by one %.3f\n", vae_score_psnr(&all), vae_score_psnr(&each));
	assert_true(all.values == VALUES && each.values == VALUES);
	assert_true(fabs(vae_score_psnr(&all) - psnr) < 1e-9);
	assert_true(fabs(vae_score_psnr(&each) - psnr) < 1e-4);
	/* means of 0 and variances of 9: a deviation of 3 (288 values: within 4 of its own) */
	b = params_find(&m.ps, "quant_conv.weight");
	init_param(b, INIT_CONSTANT, 0, 0);
	params_put(params_find(&m.ps, "quant_conv.bias"),
	    (const float[]){ 0, 0, 0, 0, 2.1972246f, 2.1972246f, 2.1972246f, 2.1972246f });
	all = (struct vae_score){ 0 };
	vae_score_add(&all, &m, x, N, H, W);
	print_message("deviation %.3f of %g latents (3 within 0.5)\n", vae_score_deviation(&all),
	    all.latents);
	assert_true(fabs(vae_score_deviation(&all) - 3) < 0.5);
	vae_release(&m);
}

/* Log variances are 6 lower, means are what they were. */
static void
quiet(void **state)
{
	struct tensor *mean[2], *logvar[2];
	float x[VALUES], *a, *b;
	struct vae m;

	(void)state;
	small(&m, false);
	fill_random(x, VALUES, 4, -1, 1);
	scope_open();
	for (int i = 0; i < 2; i++) {
		vae_encode(&m, tensor_from(F32, 4, (int64_t[]){ N, H, W, 3 }, x), &mean[i],
		    &logvar[i]);
		if (i == 0)
			vae_train_quiet(&m);
	}
	a = values(mean[0]);
	b = values(mean[1]);
	assert_memory_equal(a, b, (size_t)mean[0]->n * sizeof(*a));
	free(a);
	free(b);
	a = values(logvar[0]);
	b = values(logvar[1]);
	for (int64_t i = 0; i < logvar[0]->n; i++)
		assert_true(fabs((double)a[i] - 6 - b[i]) < 1e-5);
	free(a);
	free(b);
	scope_close();
	vae_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formula),
		cmocka_unit_test(scores),
		cmocka_unit_test(quiet),
	};

	prog_init("4140-vae-train");
	return cmocka_run_group_tests(tests, check_setup, NULL);
}
