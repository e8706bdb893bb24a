/* Optimisers against torch.optim's formulas in double, the clipping norm, resuming, running
 * means. */
#include "grad_check.h"

#include "base/err.h"
#include "nn/ema.h"
#include "nn/gradscale.h"
#include "nn/optim.h"

#include <unistd.h>

enum { PARAMS = 5, STEPS = 10 };
/* sizes: one value, odd, at 8-bit's threshold of 4096 and above; the third gets no gradient */
static const int64_t sizes[PARAMS] = { 1, 37, 300, 4095, 5003 };
enum { IDLE = 2 };

static void
net_init(struct params *ps)
{
	params_init(ps, F32, true);
	for (int i = 0; i < PARAMS; i++)
		params_add(ps, NULL, PARAM_PLAIN, 1, &sizes[i], "p%d", i);
	params_ready(ps);
	for (int i = 0; i < PARAMS; i++) {
		float *x = xmalloc((size_t)sizes[i] * sizeof(*x));

		fill_random(x, sizes[i], (uint64_t)i, -1, 1);
		params_put(ps->p[i], x);
		free(x);
	}
}

/* The gradients of step s: of several magnitudes, some of them 0. */
static void
gradient(float *g, int i, int s, float scale)
{
	fill_random(g, sizes[i], (uint64_t)(100 + 10 * s + i), -1, 1);
	for (int64_t j = 0; j < sizes[i]; j++)
		g[j] = j % 7 == 3 ? 0 : scale * g[j] * powf(10, (float)(j % 4) - 3);
}

static void
set_gradients(struct params *ps, int s, float scale)
{
	params_zero_grad(ps);
	for (int i = 0; i < PARAMS; i++) {
		float *g = xmalloc((size_t)sizes[i] * sizeof(*g));

		gradient(g, i, s, scale);
		if (i != IDLE)
			tensor_set(ps->p[i]->t->grad, g);
		free(g);
	}
}

/* One step of one value by torch's formula; m, v: its moments. */
static void
reference(const struct optim_conf *c, double lr, int t, double g, double *p, double *m, double *v)
{
	if (c->kind == OPTIM_SGD) {
		g += c->weight_decay * *p;
		*m = c->momentum * *m + g;
		*p -= lr * (c->nesterov ? g + c->momentum * *m : *m);
		return;
	}
	if (c->kind == OPTIM_ADAM)
		g += c->weight_decay * *p;
	else
		*p *= 1 - lr * c->weight_decay;
	*m = c->beta1 * *m + (1 - c->beta1) * g;
	*v = c->beta2 * *v + (1 - c->beta2) * g * g;
	*p -= lr / (1 - pow(c->beta1, t)) * *m / (sqrt(*v) / sqrt(1 - pow(c->beta2, t)) + c->eps);
}

static const struct optim_conf confs[] = {
	{ .kind = OPTIM_SGD, .weight_decay = 0.1 },
	{ .kind = OPTIM_SGD, .momentum = 0.9, .weight_decay = 0.1 },
	{ .kind = OPTIM_SGD, .momentum = 0.9, .nesterov = true },
	{ .kind = OPTIM_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.1 },
	{ .kind = OPTIM_ADAM, .beta1 = 0, .beta2 = 0.99, .eps = 1e-8 },
	{ .kind = OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.1 },
	{ .kind = OPTIM_ADAMW8, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.1 },
};
enum { CONFS = sizeof(confs) / sizeof(*confs), ADAMW8_CONF = CONFS - 1 };

/* Ten steps; the parameters' changes against the reference's, by the largest change. */
static void
steps_match(void **state)
{
	(void)state;
	for (int k = 0; k < CONFS; k++) {
		const struct optim_conf *c = &confs[k];
		struct params ps;
		struct optim o;
		double worst = 0, lr = c->kind == OPTIM_SGD ? 0.1 : 1e-2;

		net_init(&ps);
		optim_init(&o, c, (struct params *[]){ &ps }, 1);
		for (int s = 1; s <= STEPS; s++) {
			scope_open();
			set_gradients(&ps, s, 8);
			if (s % 2) /* every second step with clipping */
				optim_clip(&o, 1e9, 8);
			else
				set_gradients(&ps, s, 1);
			optim_step(&o, lr);
			scope_close();
		}
		for (int i = 0; i < PARAMS; i++) {
			size_t n = (size_t)sizes[i];
			float *got = xmalloc(n * 4), *was = xmalloc(n * 4), *g = xmalloc(n * 4);
			double *p = xcalloc(n, 8), *m = xcalloc(n, 8), *v = xcalloc(n, 8), err = 0,
			       move = 0;

			params_get(ps.p[i], got);
			fill_random(was, (int64_t)n, (uint64_t)i, -1, 1);
			for (size_t j = 0; j < n; j++)
				p[j] = was[j];
			for (int s = 1; s <= STEPS && i != IDLE; s++) {
				gradient(g, i, s, 1);
				for (size_t j = 0; j < n; j++)
					reference(c, lr, s, g[j], &p[j], &m[j], &v[j]);
			}
			for (size_t j = 0; j < n; j++) {
				err = fmax(err, fabs(got[j] - p[j]));
				move = fmax(move, fabs(p[j] - was[j]));
			}
			if (i == IDLE)
				assert_true(err == 0);
			else if (k == ADAMW8_CONF && sizes[i] >= 4096) {
				/* what 8 bits of moments do to single values; observed: 0.3 of the
				 * change */
				print_message(
				    "# conf %d tensor %d: off by %.2g of a change of %.2g\n", k, i,
				    err, move);
				assert_true(err < 0.6 * move);
			} else
				worst = fmax(worst, err / move);
			free(got);
			free(was);
			free(g);
			free(p);
			free(m);
			free(v);
		}
		/* observed: 1e-7 to 9e-6 */
		print_message("# conf %d: off by %.2g of 3e-5 of the largest change\n", k, worst);
		assert_true(worst < 3e-5);
		optim_release(&o);
		params_release(&ps);
	}
}

/* ---- 8 bits ---------------------------------------------------------------------------------- */

/* The 256 values of the dynamic map, from its definition. */
static int
dynamic_map(bool sign, double *map)
{
	int n = 0;

	map[n++] = 0;
	map[n++] = 1;
	for (int d = 0; d < 7; d++) {
		int pieces = 1 << (d + !sign);

		for (int j = 0; j < pieces; j++) {
			map[n] = pow(10, d - 6) * (0.1 + 0.9 * (j + 0.5) / pieces);
			n++;
			if (sign) {
				map[n] = -map[n - 1];
				n++;
			}
		}
	}
	return n;
}

static double
nearest(const double *map, double x)
{
	double best = 0;

	for (int i = 0; i < 256; i++)
		if (fabs(map[i] - x) < fabs(best - x))
			best = map[i];
	return best;
}

/* One tensor, whose moments are rounded to the map after each step as the reference does. */
static void
eight_bits_match(void **state)
{
	const struct optim_conf *c = &confs[ADAMW8_CONF];
	enum { N = 5003, T = 4 };
	double map[2][256], *p = xcalloc(N, 8), *m = xcalloc(N, 8), *v = xcalloc(N, 8), worst = 0;
	float *got = xmalloc(N * 4), *g = xmalloc(N * 4);
	struct params ps;
	struct optim o;
	int off = 0;

	(void)state;
	assert_int_equal(dynamic_map(true, map[0]), 256);
	assert_int_equal(dynamic_map(false, map[1]), 256);
	net_init(&ps);
	optim_init(&o, c, (struct params *[]){ &ps }, 1);
	params_get(ps.p[4], got);
	for (int j = 0; j < N; j++)
		p[j] = got[j];
	for (int s = 1; s <= T; s++) {
		set_gradients(&ps, s, 1);
		optim_step(&o, 1e-2);
		gradient(g, 4, s, 1);
		for (int b = 0; b < N; b += 256) {
			double top_m = 0, top_v = 0;
			int end = b + 256 < N ? b + 256 : N;

			for (int j = b; j < end; j++) {
				reference(c, 1e-2, s, g[j], &p[j], &m[j], &v[j]);
				top_m = fmax(top_m, fabs(m[j]));
				top_v = fmax(top_v, v[j]);
			}
			for (int j = b; j < end; j++) {
				double least = v[j] > 0 ? top_v * 1e-6 * (0.1 + 0.9 * 0.25) : 0;

				m[j] = top_m * nearest(map[0], m[j] / top_m);
				v[j] = fmax(top_v * nearest(map[1], v[j] / top_v), least);
			}
		}
	}
	params_get(ps.p[4], got);
	for (int j = 0; j < N; j++) {
		double e = fabs(got[j] - p[j]);

		/* a value on the edge of two codes may fall to either side */
		if (e > 1e-6)
			off++;
		else
			worst = fmax(worst, e);
	}
	/* observed: none, the others by 4e-7 */
	print_message("# 8-bit: %d of %d values off by a code, the others by %.2g\n", off, N,
	    worst);
	assert_true(off <= 5);
	optim_release(&o);
	params_release(&ps);
	free(p);
	free(m);
	free(v);
	free(g);
	free(got);
}

/* ---- clipping -------------------------------------------------------------------------------- */

static void
norm_and_factor(void **state)
{
	struct params ps;
	struct optim o;
	double want = 0, got;
	float before, after, g[1];

	(void)state;
	net_init(&ps);
	optim_init(&o, &confs[0], (struct params *[]){ &ps }, 1);
	o.conf.weight_decay = 0;
	for (int i = 0; i < PARAMS; i++) {
		float *x = xmalloc((size_t)sizes[i] * 4);

		gradient(x, i, 1, 1);
		for (int64_t j = 0; j < sizes[i] && i != IDLE; j++)
			want += (double)x[j] * x[j];
		free(x);
	}
	want = sqrt(want);
	scope_open();
	set_gradients(&ps, 1, 4);
	params_get(ps.p[0], &before);
	gradient(g, 0, 1, 1);
	got = tensor_item(optim_clip(&o, want / 3, 4));
	/* observed: 1e-7 */
	print_message("# norm %.9g, want %.9g\n", got, want);
	assert_true(fabs(got / want - 1) < 1e-6);
	optim_step(&o, 1);
	params_get(ps.p[0], &after);
	assert_true(fabs((before - after) - g[0] / 3) < 1e-6);
	/* the factor is spent: the next step is unclipped */
	set_gradients(&ps, 1, 1);
	optim_step(&o, 1);
	params_get(ps.p[0], &before);
	assert_true(fabs((after - before) - g[0]) < 1e-6);
	/* an infinity is seen */
	set_gradients(&ps, 1, 1);
	gpu_fill(ps.slab[0].grad, ps.p[3]->off + 4, 4, 0x7F800000u);
	assert_true(!isfinite(tensor_item(optim_clip(&o, 1, 1))));
	scope_close();
	optim_release(&o);
	params_release(&ps);
}

static void
the_loss_scale_moves(void **state)
{
	struct gradscale g;

	(void)state;
	gradscale_init(&g);
	g.interval = 3;
	assert_true(gradscale_update(&g, 1) && g.scale == 65536);
	assert_false(gradscale_update(&g, INFINITY));
	assert_false(gradscale_update(&g, NAN));
	assert_true(g.scale == 16384);
	for (int i = 0; i < 3; i++)
		assert_true(gradscale_update(&g, 1));
	assert_true(g.scale == 32768);
}

/* ---- resuming -------------------------------------------------------------------------------- */

static void
resuming_is_exact(void **state)
{
	char path[] = "/tmp/phantom-optim-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	for (int k = 1; k < CONFS; k++) {
		float *value[2][PARAMS];

		for (int resume = 0; resume < 2; resume++) {
			struct params ps;
			struct optim o;

			net_init(&ps);
			optim_init(&o, &confs[k], (struct params *[]){ &ps }, 1);
			for (int s = 1; s <= 6; s++) {
				if (resume && s == 4) {
					assert_int_equal(optim_save(&o, path), 0);
					optim_release(&o);
					optim_init(&o, &confs[k], (struct params *[]){ &ps }, 1);
					if (optim_load(&o, path))
						fail_msg("%s", errmsg());
					assert_int_equal(o.step, 3);
				}
				set_gradients(&ps, s, 1);
				optim_step(&o, 1e-2);
			}
			for (int i = 0; i < PARAMS; i++) {
				value[resume][i] = xmalloc((size_t)sizes[i] * 4);
				params_get(ps.p[i], value[resume][i]);
			}
			optim_release(&o);
			params_release(&ps);
		}
		for (int i = 0; i < PARAMS; i++) {
			assert_memory_equal(value[0][i], value[1][i], (size_t)sizes[i] * 4);
			free(value[0][i]);
			free(value[1][i]);
		}
	}
	unlink(path);
}

static void
foreign_state_is_refused(void **state)
{
	char path[] = "/tmp/phantom-optim-XXXXXX";
	int fd = mkstemp(path);
	struct params ps, other;
	struct optim o, q;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	net_init(&ps);
	params_init(&other, F32, true);
	params_add(&other, NULL, PARAM_PLAIN, 1, (int64_t[]){ 999 }, "x");
	params_ready(&other);
	optim_init(&o, &confs[3], (struct params *[]){ &ps }, 1);
	assert_int_equal(optim_save(&o, path), 0);
	optim_init(&q, &confs[5], (struct params *[]){ &ps }, 1);
	assert_int_equal(optim_load(&q, path), -1);
	optim_release(&q);
	optim_init(&q, &confs[3], (struct params *[]){ &other }, 1);
	assert_int_equal(optim_load(&q, path), -1);
	print_message("# %s\n", errmsg());
	optim_release(&q);
	optim_release(&o);
	params_release(&other);
	params_release(&ps);
	unlink(path);
}

/* ---- running means --------------------------------------------------------------------------- */

static void
means_follow(void **state)
{
	struct params ps;
	struct ema e;
	double mean = 0;
	float x, y;

	(void)state;
	net_init(&ps);
	ema_init(&e, (struct params *[]){ &ps }, 1, false);
	params_get(ps.p[0], &x);
	for (int n = 1; n <= 5; n++) {
		double d = ema_decay(0.9999, n);

		x += (float)n;
		params_put(ps.p[0], &x);
		ema_update(&e, d);
		mean = d * mean + (1 - d) * x;
	}
	ema_swap(&e);
	params_get(ps.p[0], &y);
	assert_true(fabs(y - mean) < 1e-5);
	ema_swap(&e);
	params_get(ps.p[0], &y);
	assert_true(y == x);
	ema_release(&e);
	params_release(&ps);
	assert_true(ema_decay(0.9999, 1) == 0 && ema_decay(0.9999, 2) == 2. / 11);
	assert_true(ema_decay(0.5, 100) == 0.5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_match),
		cmocka_unit_test(eight_bits_match),
		cmocka_unit_test(norm_and_factor),
		cmocka_unit_test(the_loss_scale_moves),
		cmocka_unit_test(resuming_is_exact),
		cmocka_unit_test(foreign_state_is_refused),
		cmocka_unit_test(means_follow),
	};

	return cmocka_run_group_tests(tests, check_setup, NULL);
}
