/* Parameters: layouts, files, gradients, ranges; first values; the segmentation nets' shapes. */
#include "base/err.h"
#include "base/rng.h"
#include "base/file.h"
#include "gpu/gpu.h"
#include "model/segnet.h"
#include "nn/init.h"
#include "nn/layer.h"
#include "nn/params.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* conv 3 -> 4, 3x3; depthwise 4; 1x1 as a matrix 4 -> 2; BN 2 */
struct net {
	struct params ps;
	struct conv_layer conv, dw, unused;
	struct linear_layer lin;
	struct bn_layer bn;
};

static void
net_init(struct net *n, bool grads)
{
	struct conv same = CONV_SAME(3);

	params_init(&n->ps, F32, grads);
	conv_layer_init(&n->conv, &n->ps, 3, 4, 3, same, true, "conv");
	same.groups = 4;
	conv_layer_init(&n->dw, &n->ps, 4, 4, 3, same, false, "dw");
	conv_layer_init(&n->unused, &n->ps, 5, 5, 1, (struct conv){ 0 }, false, "unused");
	linear_layer_init_1x1(&n->lin, &n->ps, 4, 2, true, "lin");
	bn_layer_init(&n->bn, &n->ps, 2, 0.1, 1e-5, "bn");
	params_ready(&n->ps);
}

static struct tensor *
net_forward(struct net *n, struct tensor *x)
{
	struct tensor *y = conv_layer_forward(&n->dw, op_relu(conv_layer_forward(&n->conv, x)));

	return bn_layer_forward(&n->bn, linear_layer_forward(&n->lin, y, ACT_NONE), true, ACT_RELU);
}

static float *
values(const struct param *p)
{
	float *v = xmalloc((size_t)p->n * sizeof(*v));

	params_get(p, v);
	return v;
}

static void
files_keep_their_layout(void **state)
{
	char path[] = "/tmp/phantom-params-XXXXXX";
	struct net a, b;
	struct safetensors st;
	struct param *p;
	float want[4 * 3 * 9], *got;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	scope_open();
	net_init(&a, false);
	net_init(&b, false);
	p = params_find(&a.ps, "conv.weight");
	assert_true(p->dim[0] == 4 && p->dim[1] == 3 && p->dim[2] == 3 && p->dim[3] == 3);
	assert_true(
	    p->t->dim[0] == 4 && p->t->dim[1] == 3 && p->t->dim[3] == 3 && p->t == a.conv.w);
	for (int i = 0; i < 108; i++)
		want[i] = (float)i;
	params_put(p, want);
	got = xmalloc(sizeof(want));
	tensor_get(p->t, got); /* OHWI */
	assert_true(got[0] == 0 && got[1] == 9 && got[2] == 18 && got[3] == 1 && got[27] == 27);
	params_get(p, got);
	assert_memory_equal(got, want, sizeof(want));
	free(got);
	assert_int_equal(params_find(&a.ps, "lin.weight")->t->ndim, 2);
	a.bn.count->count = 41;
	for (int i = 0; i < a.ps.n; i++)
		if (a.ps.p[i]->t && a.ps.p[i] != p)
			init_param(a.ps.p[i], INIT_NORMAL, 1, 3);
	assert_int_equal(params_save(&a.ps, path, NULL), 0);
	assert_int_equal(params_load_file(&b.ps, path, 0), 0);
	for (int i = 0; i < a.ps.n; i++) {
		float *x, *y;

		if (!a.ps.p[i]->t)
			continue;
		x = values(a.ps.p[i]);
		y = values(b.ps.p[i]);
		assert_memory_equal(x, y, (size_t)a.ps.p[i]->n * sizeof(float));
		free(x);
		free(y);
	}
	assert_int_equal(b.bn.count->count, 41);
	assert_int_equal(st_open(&st, path), 0);
	assert_int_equal(st_find(&st, "bn.num_batches_tracked")->dtype, ST_I64);
	assert_int_equal(st.n, a.ps.n);
	st_close(&st);
	params_release(&a.ps);
	params_release(&b.ps);
	scope_close();
	unlink(path);
}

static void
what_does_not_fit_is_listed(void **state)
{
	static const float ones[200], bad[2] = { 1, NAN };
	const struct st_tensor t[] = {
		{ .name = "conv.weight", .dtype = ST_F32, .ndim = 4, .dim = { 4, 3, 3, 2 }, .n = 72,
		    .data = ones },
		{ .name = "conv.bias", .dtype = ST_F32, .ndim = 1, .dim = { 4 }, .n = 4,
		    .data = ones },
		{ .name = "lin.bias", .dtype = ST_F32, .ndim = 1, .dim = { 2 }, .n = 2,
		    .data = bad },
		{ .name = "other", .dtype = ST_F32, .ndim = 1, .dim = { 2 }, .n = 2, .data = ones },
	};
	struct safetensors st = { .path = "file", .t = (struct st_tensor *)t, .n = 4 };
	struct net n;
	float *v;

	(void)state;
	scope_open();
	net_init(&n, false);
	init_param(params_find(&n.ps, "conv.bias"), INIT_CONSTANT, 5, 0);
	assert_int_equal(params_load(&n.ps, &st, "", 0), -1);
	assert_non_null(strstr(errmsg(), "file: does not fit this network: "));
	assert_non_null(strstr(errmsg(), "misshapen conv.weight [4,3,3,2], not [4,3,3,3]"));
	assert_non_null(strstr(errmsg(), "missing dw.weight"));
	assert_non_null(strstr(errmsg(), "not finite: lin.bias"));
	assert_non_null(strstr(errmsg(), " more"));
	v = values(params_find(&n.ps, "conv.bias"));
	assert_true(v[0] == 5); /* nothing was changed */
	free(v);
	st.t++;
	st.n = 1;
	assert_int_equal(params_load(&n.ps, &st, "", PARAMS_MISSING), 0);
	v = values(params_find(&n.ps, "conv.bias"));
	assert_true(v[0] == 0);
	free(v);
	st.t += 2;
	assert_int_equal(params_load(&n.ps, &st, "", PARAMS_MISSING), -1);
	assert_non_null(strstr(errmsg(), "unknown other"));
	assert_int_equal(params_load(&n.ps, &st, "", PARAMS_MISSING | PARAMS_EXTRA), 0);
	params_release(&n.ps);
	scope_close();
}

/* Tensors of several pieces, from each type into each, turned and not; a number that is none at the
 * end. */
static void
pieces(void **state)
{
	enum { O = 530, I = 60, N = O * I * 9 };
	static const enum dtype dtypes[] = { F32, F16, BF16 };
	static const enum st_dtype stored[] = { ST_F32, ST_F16, ST_BF16, ST_F64 };
	const int64_t dim[] = { O, I, 3, 3 }, flat[] = { N / 10, 10 };
	float *x = xmalloc(N * sizeof(*x)), *got = xmalloc(N * sizeof(*got));
	double *wide = xmalloc(N * sizeof(*wide));
	uint16_t *half = xmalloc(N * sizeof(*half));
	struct rng r;

	(void)state;
	rng_init(&r, 1, 0);
	for (int i = 0; i < N; i++)
		x[i] = 2 * rng_float(&r) - 1;
	for (size_t k = 0; k < 4; k++)
		for (size_t d = 0; d < 3; d++) {
			struct st_tensor t[2] = { { .name = "conv", .dtype = stored[k], .ndim = 4,
			    .n = N },
				{ .name = "flat", .dtype = stored[k], .ndim = 2, .n = N } };
			struct safetensors st = { .path = "file", .t = t, .n = 2 };
			struct params ps;

			memcpy(t[0].dim, dim, sizeof(dim));
			memcpy(t[1].dim, flat, sizeof(flat));
			for (int i = 0; i < N; i++) {
				half[i] = stored[k] == ST_F16 ? f32_to_f16(x[i])
				    : f32_to_bf16(x[i]);
				wide[i] = x[i];
			}
			t[0].data = t[1].data = stored[k] == ST_F32 ? (void *)x
			    : stored[k] == ST_F64 ? (void *)wide : half;
			params_init(&ps, dtypes[d], false);
			params_add(&ps, NULL, PARAM_CONV, 4, dim, "conv");
			params_add(&ps, NULL, PARAM_PLAIN, 2, flat, "flat");
			params_ready(&ps);
			assert_int_equal(params_load(&ps, &st, "", 0), 0);
			for (int p = 0; p < 2; p++) {
				params_get(ps.p[p], got);
				for (int i = 0; i < N; i++) {
					float v = stored[k] == ST_F16 ? f16_to_f32(half[i])
					    : stored[k] == ST_BF16 ? bf16_to_f32(half[i]) : x[i];

					v = dtypes[d] == F16 ? f16_to_f32(f32_to_f16(v))
					    : dtypes[d] == BF16 ? bf16_to_f32(f32_to_bf16(v)) : v;
					assert_true(got[i] == v);
				}
			}
			half[N - 1] = 0x7f80 | 0x7c00;
			x[N - 1] = HUGE_VALF;
			wide[N - 1] = HUGE_VAL;
			assert_int_equal(params_load(&ps, &st, "", 0), -1);
			assert_non_null(strstr(errmsg(), "not finite: conv; not finite: flat"));
			x[N - 1] = 0;
			params_release(&ps);
		}
	free(x);
	free(got);
	free(half);
	free(wide);
}

static float *
random_floats(uint64_t seed, int64_t n)
{
	float *v = xmalloc((size_t)n * sizeof(*v));
	struct rng r;

	rng_init(&r, seed, 0);
	for (int64_t i = 0; i < n; i++)
		v[i] = 2 * rng_float(&r) - 1;
	return v;
}

/* Its weights but the grouped one are only there as products read them, if `packed`. */
struct small_net {
	struct params ps;
	struct conv_layer conv, grouped;
	struct linear_layer linear;
};

static struct tensor *
small_net_forward(struct small_net *n, const struct safetensors *st, enum dtype dtype, bool packed,
    struct tensor *x)
{
	unsigned was = params_packing(packed ? PARAMS_PACKED : 0);

	params_init(&n->ps, dtype, false);
	conv_layer_init(&n->conv, &n->ps, 24, 40, 3, CONV_SAME(3), true, "conv");
	conv_layer_init(&n->grouped, &n->ps, 40, 16, 1, (struct conv){ .groups = 2 }, false,
	    "grouped");
	linear_layer_init(&n->linear, &n->ps, 16, 70, false, "linear");
	params_ready(&n->ps);
	params_packing(was);
	assert_int_equal(params_load(&n->ps, st, "", 0), 0);
	x = conv_layer_forward(&n->conv, op_cast(x, dtype));
	return linear_layer_forward(&n->linear, conv_layer_forward(&n->grouped, x), ACT_NONE);
}

static void
packed_nets_compute_the_same(void **state)
{
	static const int64_t dims[4][4] =
	    { { 40, 24, 3, 3 }, { 40 }, { 16, 20, 1, 1 }, { 70, 16 } };
	static const char *const names[] =
	    { "conv.weight", "conv.bias", "grouped.weight", "linear.weight" };
	static const int ndim[] = { 4, 1, 4, 2 };
	static const enum dtype dtypes[] = { F32, F16, BF16 };
	struct st_tensor t[4];
	struct safetensors st = { .path = "file", .t = t, .n = 4 };

	(void)state;
	scope_open();
	for (int i = 0; i < 4; i++) {
		t[i] = (struct st_tensor){ .name = names[i], .dtype = ST_F32, .ndim = ndim[i],
			.n = 1 };
		memcpy(t[i].dim, dims[i], sizeof(dims[i]));
		for (int k = 0; k < ndim[i]; k++)
			t[i].n *= t[i].dim[k];
		t[i].data = random_floats((uint64_t)i, t[i].n);
	}
	for (size_t d = 0; d < 3; d++) {
		struct small_net plain, packed;
		float *first = random_floats(9, 2 * 5 * 6 * 24);
		struct tensor *x = tensor_from(F32, 4, (int64_t[]){ 2, 5, 6, 24 }, first);
		struct tensor *want = small_net_forward(&plain, &st, dtypes[d], false, x);
		struct tensor *got = small_net_forward(&packed, &st, dtypes[d], true, x);
		float *a = xmalloc((size_t)want->n * sizeof(*a)),
		      *b = xmalloc((size_t)want->n * sizeof(*b));

		tensor_get(want, a);
		tensor_get(got, b);
		assert_memory_equal(a, b, (size_t)want->n * sizeof(*a));
		assert_null(packed.conv.w->buf);
		assert_null(packed.linear.w->buf);
		assert_non_null(packed.grouped.w->buf);
		free(first);
		free(a);
		free(b);
		params_release(&plain.ps);
		params_release(&packed.ps);
	}
	for (int i = 0; i < 4; i++)
		free((void *)(uintptr_t)t[i].data);
	scope_close();
}

/* Weights as f16 in a net that works in F32: those that products can widen. */
struct widened_net {
	struct params ps;
	struct conv_layer conv, up;
	struct linear_layer linear, odd;
};

static struct tensor *
widened_net_forward(struct widened_net *n, const struct safetensors *st, bool widened,
    struct tensor *x)
{
	unsigned was = params_packing(
	    widened ? PARAMS_PACKED | PARAMS_DOUBLING | PARAMS_WIDENED : 0);

	params_init(&n->ps, widened ? F16 : F32, false);
	conv_layer_init(&n->conv, &n->ps, 24, 64, 3, CONV_SAME(3), false, "conv");
	conv_layer_init(&n->up, &n->ps, 64, 128, 3, CONV_SAME(3), false, "up");
	params_up2(&n->ps, &n->up.w);
	linear_layer_init(&n->linear, &n->ps, 128, 64, false, "linear");
	linear_layer_init(&n->odd, &n->ps, 64, 6, false, "odd");
	params_ready(&n->ps);
	params_packing(was);
	assert_int_equal(params_load(&n->ps, st, "", 0), 0);
	x = conv_layer_forward(&n->conv, x);
	x = op_up2_conv2d(x, layer_weight(n->up.w, x), NULL);
	x = linear_layer_forward(&n->linear, x, ACT_NONE);
	return linear_layer_forward(&n->odd, x, ACT_NONE);
}

/* Values are so round that f16 holds them, and sums of four of them. */
static void
widened_nets_compute_as_f32(void **state)
{
	static const int64_t dims[4][4] =
	    { { 64, 24, 3, 3 }, { 128, 64, 3, 3 }, { 64, 128 }, { 6, 64 } };
	static const char *const names[] =
	    { "conv.weight", "up.weight", "linear.weight", "odd.weight" };
	struct st_tensor t[4];
	struct safetensors st = { .path = "file", .t = t, .n = 4 };
	struct widened_net plain, widened;
	struct tensor *x, *want, *got;
	float *first = random_floats(9, 2 * 5 * 6 * 24), *a, *b;

	(void)state;
	scope_open();
	for (int i = 0; i < 4; i++) {
		float *v;

		t[i] = (struct st_tensor){ .name = names[i], .dtype = ST_F32,
			.ndim = i < 2 ? 4 : 2, .n = 1 };
		memcpy(t[i].dim, dims[i], sizeof(dims[i]));
		for (int k = 0; k < t[i].ndim; k++)
			t[i].n *= t[i].dim[k];
		v = random_floats((uint64_t)i, t[i].n);
		for (int64_t k = 0; k < t[i].n; k++)
			v[k] = rintf(v[k] * 64) / 64;
		t[i].data = v;
	}
	x = tensor_from(F32, 4, (int64_t[]){ 2, 5, 6, 24 }, first);
	want = widened_net_forward(&plain, &st, false, x);
	got = widened_net_forward(&widened, &st, true, x);
	a = xmalloc((size_t)want->n * sizeof(*a));
	b = xmalloc((size_t)want->n * sizeof(*b));
	tensor_get(want, a);
	tensor_get(got, b);
	assert_memory_equal(a, b, (size_t)want->n * sizeof(*a));
	assert_int_equal(widened.up.w->dtype, op_widens(128, 64) ? F16 : F32);
	assert_int_equal(widened.odd.w->dtype, F32);
	assert_null(widened.up.w->buf);
	params_release(&plain.ps);
	params_release(&widened.ps);
	for (int i = 0; i < 4; i++)
		free((void *)(uintptr_t)t[i].data);
	free(first);
	free(a);
	free(b);
	scope_close();
}

static void
gradients_reach_what_was_used(void **state)
{
	struct net n;
	const struct prange *r;
	struct tensor *x;
	size_t covered = 0;
	int nr;

	(void)state;
	scope_open();
	net_init(&n, true);
	for (int i = 0; i < n.ps.n; i++)
		if (n.ps.p[i]->kind != PARAM_COUNT && n.ps.p[i]->kind != PARAM_BUFFER)
			init_param(n.ps.p[i], INIT_NORMAL, 0.3, 11);
	x = op_normal(4, (int64_t[]){ 2, 6, 5, 3 }, 4);
	params_zero_grad(&n.ps);
	assert_int_equal(params_ranges(&n.ps, &r), 0);
	backward(op_sum_all(op_square(net_forward(&n, x))));
	assert_false(param_has_grad(params_find(&n.ps, "unused.weight")));
	assert_false(param_has_grad(params_find(&n.ps, "bn.running_mean")));
	assert_true(param_has_grad(params_find(&n.ps, "conv.weight")));
	assert_true(param_has_grad(params_find(&n.ps, "bn.bias")));
	nr = params_ranges(&n.ps, &r);
	assert_int_equal(nr, 2); /* before and after the unused one */
	for (int i = 0; i < nr; i++) {
		assert_true(r[i].off % 256 == 0 && r[i].len % 256 == 0);
		covered += r[i].len;
	}
	assert_true(covered >= (size_t)(params_elements(&n.ps) - 25) * 4);
	assert_int_equal(params_freeze(&n.ps, "conv.", true), 2);
	params_zero_grad(&n.ps);
	backward(op_sum_all(op_square(net_forward(&n, x))));
	assert_false(param_has_grad(params_find(&n.ps, "conv.weight")));
	assert_int_equal(n.bn.count->count, 2);
	params_release(&n.ps);
	scope_close();
}

static void
first_values_have_their_spread(void **state)
{
	struct params ps;
	struct param *p, *b;
	const struct { enum init how; double std; } want[] = {
		{ INIT_NORMAL, 0.5 }, { INIT_UNIFORM, 0.5 / 1.7320508 },
		{ INIT_TORCH, 1 / sqrt(64.0 * 9) / 1.7320508 },
		    { INIT_KAIMING_NORMAL_OUT, sqrt(2 / (32.0 * 9)) },
		{ INIT_KAIMING_UNIFORM_IN, sqrt(2 / (64.0 * 9)) },
		{ INIT_XAVIER_UNIFORM, sqrt(2 / (96.0 * 9)) } };
	float *v, *w;

	(void)state;
	scope_open();
	params_init(&ps, F32, false);
	p = params_add(&ps, NULL, PARAM_CONV, 4, (int64_t[]){ 32, 64, 3, 3 }, "a.weight");
	b = params_add(&ps, NULL, PARAM_PLAIN, 1, (int64_t[]){ 32 }, "a.bias");
	params_ready(&ps);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		double sum = 0, sq = 0;

		init_param(p, want[i].how, 0.5, 1);
		v = values(p);
		for (int64_t k = 0; k < p->n; k++) {
			sum += v[k];
			sq += (double)v[k] * v[k];
		}
		assert_true(fabs(sum / (double)p->n) < 4 * want[i].std / sqrt((double)p->n));
		/* seen 0.005 */
		assert_true(fabs(sqrt(sq / (double)p->n) / want[i].std - 1) < 0.02);
		free(v);
	}
	/* by seed and name */
	init_param(p, INIT_NORMAL, 1, 1);
	v = values(p);
	init_param(p, INIT_NORMAL, 1, 1);
	w = values(p);
	assert_memory_equal(v, w, (size_t)p->n * sizeof(float));
	free(w);
	init_param(p, INIT_NORMAL, 1, 2);
	w = values(p);
	assert_memory_not_equal(v, w, (size_t)p->n * sizeof(float));
	free(v);
	free(w);
	init_bias_torch(b, p, 1);
	v = values(b);
	for (int i = 0; i < 32; i++)
		assert_true(fabsf(v[i]) <= 1.0f / 24);
	free(v);
	params_release(&ps);
	scope_close();
}

/* Numbers of parameters of the library's own nets. */
static void
nets_have_the_published_sizes(void **state)
{
	static const struct { const char *arch, *encoder; int classes; int64_t n; } known[] = {
		{ "unet", "resnet18", 1, 14328209 }, { "unet", "resnet34", 1, 24436369 },
		{ "unet", "resnet50", 1, 32521105 }, { "unet", "efficientnet-b0", 1, 6251469 },
		{ "unetplusplus", "resnet34", 1, 26078609 },
		    { "unetplusplus", "efficientnet-b2", 2, 10401444 } };

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct segnet_config c, d;
		struct segnet net;
		struct st_tensor *t;
		struct sb sb = { 0 }, again = { 0 };
		struct json j;

		scope_open();
		assert_int_equal(segnet_config_named(&c, known[i].arch, known[i].encoder), 0);
		c.classes = known[i].classes;
		assert_int_equal(segnet_init(&net, &c, false), 0);
		assert_int_equal(params_elements(&net.ps), known[i].n);

		/* what its tensors say is what it was made from, and so is its JSON */
		sb_putc(&sb, '{');
		segnet_config_put(&c, &sb);
		sb_putc(&sb, '}');
		t = xcalloc((size_t)net.ps.n, sizeof(*t));
		for (int k = 0; k < net.ps.n; k++) {
			t[k].name = net.ps.p[k]->name;
			t[k].ndim = net.ps.p[k]->ndim;
			memcpy(t[k].dim, net.ps.p[k]->dim, sizeof(net.ps.p[k]->dim));
		}
		assert_int_equal(segnet_config_from(&d, t, net.ps.n, NULL), 0);
		sb_putc(&again, '{');
		segnet_config_put(&d, &again);
		sb_putc(&again, '}');
		assert_string_equal(again.s, sb.s);
		assert_int_equal(json_parse(&j, sb.s, sb.len), 0);
		assert_int_equal(segnet_config_get(&d, &j, 0), 0);
		sb_clear(&again);
		sb_putc(&again, '{');
		segnet_config_put(&d, &again);
		sb_putc(&again, '}');
		assert_string_equal(again.s, sb.s);
		json_release(&j);
		free(t);
		sb_release(&sb);
		sb_release(&again);
		segnet_release(&net);
		scope_close();
	}
}

/* Values of a net's feature k for one picture; caller frees. */
static float *
feature_of(const struct segnet *net, int k, size_t *n)
{
	static float in[64 * 64 * 3];
	struct tensor *f[UNET_MAXDEPTH];
	float *v;

	for (int i = 0; i < 64 * 64 * 3; i++)
		in[i] = sinf((float)i);
	segnet_forward(net, tensor_from(F32, 4, (int64_t[]){ 1, 64, 64, 3 }, in), false, 0, f);
	*n = (size_t)f[k]->n;
	v = xmalloc(*n * sizeof(*v));
	tensor_get(f[k], v);
	return v;
}

/* segmentation_models.pytorch cuts b0 before block 9 (encoders/efficientnet.py: stage_idxs
 * 3, 5, 9, 16), b1 after the whole stage (5, 8, 16, 23). What block 9, or 16, makes is to be seen
 * in the fifth feature alone. */
static void
efficientnet_features_are_cut_as_published(void **state)
{
	static const struct { const char *encoder, *last; } cut[] = {
		{ "efficientnet-b0", "encoder._blocks.9._project_conv.weight" },
		{ "efficientnet-b1", "encoder._blocks.16._project_conv.weight" } };

	(void)state;
	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		struct segnet_config c;
		struct segnet net;
		struct param *p;
		float *before[2], *after, *zero;
		size_t n;

		scope_open();
		assert_int_equal(segnet_config_named(&c, "unet", cut[i].encoder), 0);
		segnet_config_widen(&c, 0.25);
		assert_int_equal(segnet_init(&net, &c, false), 0);
		segnet_init_weights(&net, 1);
		for (int k = 0; k < 2; k++)
			before[k] = feature_of(&net, 3 + k, &n);
		p = params_find(&net.ps, cut[i].last);
		assert_non_null(p);
		zero = xcalloc((size_t)p->n, sizeof(*zero));
		params_put(p, zero);
		for (int k = 0; k < 2; k++) {
			after = feature_of(&net, 3 + k, &n);
			assert_int_equal(memcmp(before[k], after, n * sizeof(*after)) != 0, k);
			free(after);
			free(before[k]);
		}
		free(zero);
		segnet_release(&net);
		scope_close();
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_keep_their_layout),
		cmocka_unit_test(what_does_not_fit_is_listed),
		cmocka_unit_test(pieces),
		cmocka_unit_test(packed_nets_compute_the_same),
		cmocka_unit_test(widened_nets_compute_as_f32),
		cmocka_unit_test(gradients_reach_what_was_used),
		cmocka_unit_test(first_values_have_their_spread),
		cmocka_unit_test(nets_have_the_published_sizes),
		cmocka_unit_test(efficientnet_features_are_cut_as_published),
	};

	(void)argc;
	prog_init(argv[0]);
	gpu_open(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
