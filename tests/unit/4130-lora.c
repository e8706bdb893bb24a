/*
 * LoRA on a small U-Net and text encoder: what stands beside the weights equals what is merged into
 * them, in values and gradients; the three forms of files; and what does not fit is counted.
 */
#include "grad_check.h"
#include "scratch.h"

#include "model/lora.h"
#include "nn/init.h"

#include <stdio.h>
#include <unistd.h>

enum { RANK = 3 };
static const double alpha = 1.7;
/* linear, 1x1 and 3x3 convolutions, and one whose stride is 2 */
static const char *const targets[] =
    { "to_q", "to_out.0", "proj_in", "conv1", "downsamplers.0.conv" };
enum { TARGETS = sizeof(targets) / sizeof(*targets) };
static const char *const text_targets[] = { "q_proj", "fc1" };
static void
must(int ret)
{
	if (ret)
		fail_msg("%s", errmsg());
}

static void
random_net(struct params *ps)
{
	for (int i = 0; i < ps->n; i++)
		init_param(ps->p[i], INIT_UNIFORM, 0.2, 1);
}

static void
unet_open(struct unet *m, bool train)
{
	struct sd_config c;

	must(sd_config_named(&c, "mini"));
	must(unet_init(m, &c.unet, F32, train));
	random_net(&m->ps);
	sd_config_release(&c);
}

static void
lora_random(struct lora *l, struct unet *m)
{
	must(lora_init(l, &m->ps, targets, TARGETS, RANK, alpha, 5));
	for (int i = 0; i < l->n; i++)
		init_param(l->pair[i].b, INIT_NORMAL, 0.3, 6);
}

static struct tensor *
forward(const struct unet *m)
{
	return unet_forward(m, random_tensor(F32, 1, -1, 1, 2, 8, 8, 4), (const double[]){ 7, 800 },
	    random_tensor(F32, 2, -1, 1, 2, 5, m->cfg.context));
}

/* ||x - y|| / ||y|| */
static double
distance(const float *x, const float *y, int64_t n)
{
	double d = 0, s = 0;

	for (int64_t i = 0; i < n; i++) {
		d += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
		s += (double)y[i] * y[i];
	}
	return sqrt(d / s);
}

static double
apart(struct tensor *x, struct tensor *y)
{
	float *a = values(x), *b = values(y);
	double d = distance(a, b, x->n);

	free(a);
	free(b);
	return d;
}

static char *
file_in(const char *name)
{
	return path_join(scratch, name);
}

/* m's weights with the file merged into them. */
static void
merge_into(struct unet *m, const struct unet *from, const char *path, double scale)
{
	struct lora_file f;
	struct weights w;

	must(lora_open(&f, path, (const struct params *[SD_NETS]){ [SD_UNET] = &m->ps }));
	weights_from_params(&w, "memory", &from->ps);
	lora_merge(&f, SD_UNET, scale, &w);
	must(params_load(&m->ps, &w.st, "", 0));
	weights_close(&w);
	lora_close(&f);
}

/* W of a pair as a matrix [out,in]: d loss / d A = s B^T dW, d loss / d B = s dW A^T. Returns how
 * far the pair's own gradients are from that. */
static double
chain_rule(const struct lora_pair *p, const struct params *dense)
{
	char *name = xasprintf("%s.weight", p->target);
	const struct param *w = params_find(dense, name);
	int64_t out = w->dim[0], in = w->n / out, r = p->rank;
	float *g = xmalloc((size_t)w->n * sizeof(*g)), *a = xmalloc((size_t)(r * in) * sizeof(*a));
	float *b = xmalloc((size_t)(r * out) * sizeof(*b)),
	      *ga = xcalloc((size_t)(r * in), sizeof(*ga));
	float *gb = xcalloc((size_t)(r * out), sizeof(*gb));
	double s = p->alpha / p->rank, worst, d;

	params_get_grad(w, g);
	params_get(p->a, a);
	params_get(p->b, b);
	for (int64_t k = 0; k < r; k++)
		for (int64_t i = 0; i < in; i++) {
			double sum = 0;

			for (int64_t o = 0; o < out; o++)
				sum += (double)b[o * r + k] * g[o * in + i];
			ga[k * in + i] = (float)(s * sum);
		}
	for (int64_t o = 0; o < out; o++)
		for (int64_t k = 0; k < r; k++) {
			double sum = 0;

			for (int64_t i = 0; i < in; i++)
				sum += (double)g[o * in + i] * a[k * in + i];
			gb[o * r + k] = (float)(s * sum);
		}
	params_get_grad(p->a, a);
	params_get_grad(p->b, b);
	worst = distance(a, ga, r * in);
	d = distance(b, gb, r * out);
	free(name);
	free(g);
	free(a);
	free(b);
	free(ga);
	free(gb);
	return d > worst ? d : worst;
}

/* Observed: values 3e-7, none of it 2e-7, gradients 9.6e-6. */
static void
beside_and_merged(void **state)
{
	char *path = file_in("beside.safetensors");
	struct unet m, dense;
	struct tensor *plain, *y;
	double worst = 0, d;
	struct lora l;

	(void)state;
	unet_open(&m, false);
	unet_open(&dense, true);
	scope_open();
	plain = tensor_detach(forward(&m));
	lora_random(&l, &m);
	must(lora_save((const struct lora *[SD_NETS]){ [SD_UNET] = &l }, LORA_KOHYA, path, NULL));
	merge_into(&dense, &m, path, 1);
	y = forward(&m);
	d = apart(y, forward(&dense));
	print_message("beside and merged: %.2g apart (bound 2e-6); without: %.2g\n", d,
	    apart(plain, y));
	assert_true(d < 2e-6);
	assert_true(apart(plain, y) > 0.1);
	for (int k = 0; k < 2; k++) {
		m.checkpointing = k;
		params_zero_grad(&l.ps);
		params_zero_grad(&dense.ps);
		backward(op_mean_all(op_square(forward(&m))));
		backward(op_mean_all(op_square(forward(&dense))));
		for (int i = 0; i < l.n; i++)
			worst = fmax(worst, chain_rule(&l.pair[i], &dense.ps));
		print_message("gradients of %d pairs: %.2g apart (bound 1e-4)\n", l.n, worst);
		assert_true(worst < 1e-4);
	}
	lora_strength(&l, 0.5);
	merge_into(&dense, &m, path, 0.5);
	d = apart(forward(&m), forward(&dense));
	print_message("half of it: %.2g apart (bound 2e-6)\n", d);
	assert_true(d < 2e-6);
	lora_strength(&l, 0);
	d = apart(forward(&m), plain);
	/* where gradients are wanted images are made larger before a convolution, not in it: other
	 * roundings */
	print_message("none of it: %.2g apart (bound 2e-6)\n", d);
	assert_true(d < 2e-6);
	lora_strength(&l, 1);
	lora_release(&l);
	m.checkpointing = false;
	assert_true(apart(forward(&m), plain) == 0);
	scope_close();
	unet_release(&m);
	unet_release(&dense);
	free(path);
}

/* A new one changes nothing: B is 0; A's deviation is 1/rank. */
static void
new_pairs(void **state)
{
	static const char *const nothing[] = { "to_q", "to_nowhere" };
	double sum = 0, square = 0;
	int64_t n = 0;
	struct unet m;
	struct lora l;

	(void)state;
	unet_open(&m, false);
	scope_open();
	must(lora_init(&l, &m.ps, targets, TARGETS, RANK, RANK, 5));
	for (int i = 0; i < l.n; i++) {
		float *a = values(l.pair[i].a->t);

		for (int64_t k = 0; k < l.pair[i].a->n; k++, n++) {
			sum += a[k];
			square += (double)a[k] * a[k];
		}
		free(a);
	}
	print_message("deviation of %lld values: %g (1/%d)\n", (long long)n,
	    sqrt(square / (double)n), RANK);
	assert_true(fabs(sqrt(square / (double)n) * RANK - 1) < 0.02);
	assert_true(fabs(sum / (double)n) < 0.02);
	scope_close();
	lora_release(&l);
	assert_int_equal(lora_init(&l, &m.ps, nothing, 2, RANK, RANK, 5), -1);
	assert_non_null(strstr(errmsg(), "to_nowhere"));
	unet_release(&m);
}

/* Two nets in one file of each form, read again as they were. */
static void
forms(void **state)
{
	static const char *const name[] =
	    { "peft.safetensors", "diffusers.safetensors", "kohya.safetensors" };
	static const char *const key[] =
	    { "unet.conv_in.lora_A.weight", "unet.conv_in.lora.down.weight",
		"lora_unet_conv_in.lora_down.weight" };
	static const char *const text_key[] = {
		"text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_B.weight",
		"text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_linear_layer.up.weight",
		"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight",
	};
	static const char *const all[] = { "conv_in", "to_q", "proj_in" };
	struct lora l, lt, again;
	struct sd_config c;
	struct unet m;
	struct clip t;

	(void)state;
	unet_open(&m, false);
	must(sd_config_named(&c, "mini"));
	c.text.vocab = 10;
	must(clip_init(&t, &c.text, F32, false));
	sd_config_release(&c);
	random_net(&t.ps);
	must(lora_init(&l, &m.ps, all, 3, RANK, alpha, 5));
	must(lora_init(&lt, &t.ps, text_targets, 2, 2, 2, 5));
	for (int i = 0; i < l.n; i++)
		init_param(l.pair[i].b, INIT_NORMAL, 0.3, 6);
	for (int form = 0; form < 3; form++) {
		char *path = file_in(name[form]);
		struct safetensors st;
		struct lora_file f;
		struct unet m2;

		must(lora_save((const struct lora *[SD_NETS]){ [SD_UNET] = &l, [SD_TEXT] = &lt },
		    (enum lora_form)form, path, NULL));
		must(st_open(&st, path));
		assert_non_null(st_find(&st, key[form]));
		assert_int_equal(st_find(&st, key[form])->ndim, 4);
		assert_non_null(st_find(&st, text_key[form]));
		assert_int_equal(st.n, (form == LORA_KOHYA ? 3 : 2) * (l.n + lt.n));
		st_close(&st);
		must(lora_open(&f, path,
		    (const struct params *[SD_NETS]){ [SD_UNET] = &m.ps, [SD_TEXT] = &t.ps }));
		assert_int_equal(f.n, l.n + lt.n);
		unet_open(&m2, false);
		must(lora_load(&again, &m2.ps, &f, SD_UNET));
		assert_int_equal(again.n, l.n);
		for (int i = 0; i < l.n; i++) {
			float *x, *y;
			/* where alpha has no place, B has alpha / rank in it */
			double k = form == LORA_KOHYA ? 1 : alpha / RANK;

			scope_open();
			x = values(l.pair[i].b->t);
			y = values(again.pair[i].b->t);
			assert_string_equal(again.pair[i].target, l.pair[i].target);
			for (int64_t j = 0; j < l.pair[i].b->n; j++)
				assert_true(y[j] == (float)(k * x[j]));
			free(x);
			free(y);
			x = values(l.pair[i].a->t);
			y = values(again.pair[i].a->t);
			assert_memory_equal(x, y, (size_t)l.pair[i].a->n * sizeof(*x));
			free(x);
			free(y);
			scope_close();
			assert_true(fabs(again.pair[i].adapter.scale -
			    (form == LORA_KOHYA ? alpha / RANK : 1)) < 1e-7);
		}
		lora_release(&again);
		must(lora_load(&again, &t.ps, &f, SD_TEXT));
		assert_int_equal(again.n, lt.n);
		lora_release(&again);
		assert_int_equal(lora_load(&again, &m2.ps, &f, SD_VAE), -1);
		unet_release(&m2);
		lora_close(&f);
		free(path);
	}
	lora_release(&l);
	lora_release(&lt);
	unet_release(&m);
	clip_release(&t);
}

/* ---- files of others ------------------------------------------------------------------------- */

struct made {
	const char *name;
	int ndim;
	int64_t dim[4];
	float value;
};

static char *
make_file(const char *name, const struct made *m, size_t n, const char *const *meta)
{
	struct st_tensor t[16];
	char *path = file_in(name);

	for (size_t i = 0; i < n; i++) {
		float *v;

		t[i] = (struct st_tensor){ .name = m[i].name, .dtype = ST_F32, .ndim = m[i].ndim,
			.n = 1 };
		for (int k = 0; k < m[i].ndim; k++)
			t[i].n *= t[i].dim[k] = m[i].dim[k];
		t[i].data = v = xmalloc((size_t)t[i].n * sizeof(*v));
		for (int64_t k = 0; k < t[i].n; k++)
			v[k] = m[i].value;
	}
	must(st_write(path, t, (int)n, meta));
	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)t[i].data);
	return path;
}

#define AT "mid_block.attentions.0.transformer_blocks.0.attn1."

static void
others(void **state)
{
	static const struct made processor[] = {
		{ "unet." AT "processor.to_q_lora.down.weight", 2, { 2, 32 }, 1 },
		{ "unet." AT "processor.to_q_lora.up.weight", 2, { 32, 2 }, 1 },
		{ "unet." AT "processor.to_out_lora.down.weight", 2, { 2, 32 }, 1 },
		{ "unet." AT "processor.to_out_lora.up.weight", 2, { 32, 2 }, 1 },
	};
	static const struct made peft[] = {
		{ "base_model.model." AT "to_q.lora_A.weight", 2, { 2, 32 }, 1 },
		{ "base_model.model." AT "to_q.lora_B.weight", 2, { 32, 2 }, 1 },
	};
	static const struct made bad[] = {
		{ "unet." AT "to_q.lora_A.weight", 2, { 2, 32 }, 1 },       /* no B */
		{ "unet." AT "to_k.lora_A.weight", 2, { 2, 31 }, 1 },       /* misshapen */
		{ "unet." AT "to_k.lora_B.weight", 2, { 32, 2 }, 1 },
		{ "unet." AT "to_v.lora_A.weight", 2, { 2, 32 }, 1 },       /* ranks differ */
		{ "unet." AT "to_v.lora_B.weight", 2, { 32, 4 }, 1 },
		{ "unet." AT "to_x.lora_A.weight", 2, { 2, 32 }, 1 },       /* unknown */
		{ "unet." AT "to_out.0.hada_w1_a", 2, { 2, 32 }, 1 },       /* unknown */
		{ "unet." AT "to_out.0.lora_A.weight", 2, { 2, 32 }, HUGE_VALF }, /* not finite */
		{ "unet." AT "to_out.0.lora_B.weight", 2, { 32, 2 }, 1 },
		{ "text_encoder.x.lora_A.weight", 2, { 2, 32 }, 1 },        /* unknown */
	};
	const char *const meta[] =
	    { "lora_adapter_metadata", "{\"unet.lora_alpha\": 8, \"unet.r\": 2}", NULL };
	const char *const dora[] = { "lora_adapter_metadata", "{\"unet.use_dora\": true}", NULL };
	const struct params *nets[SD_NETS] = { NULL };
	char *path, *config;
	struct lora_use u;
	struct lora_file f;
	struct unet m;

	(void)state;
	unet_open(&m, false);
	nets[SD_UNET] = &m.ps;
	path = make_file("processor.safetensors", processor, 4, NULL);
	must(lora_open(&f, path, nets));
	assert_int_equal(f.n, 2);
	assert_string_equal(f.e[1].target, AT "to_out.0");
	assert_true(f.e[1].alpha == 2);
	lora_close(&f);
	free(path);
	path = make_file("meta.safetensors", peft, 2, meta);
	must(lora_open(&f, path, nets));
	assert_true(f.e[0].alpha == 8);
	lora_close(&f);
	free(path);
	path = make_file("dora.safetensors", peft, 2, dora);
	assert_int_equal(lora_open(&f, path, nets), -1);
	assert_non_null(strstr(errmsg(), "use_dora"));
	free(path);
	path = make_file("bad.safetensors", bad, 10, NULL);
	assert_int_equal(lora_open(&f, path, nets), -1);
	print_message("%s\n", errmsg());
	/* to_k, to_v, to_x, hada, infinite, text; and the B that to_q lacks */
	assert_non_null(strstr(errmsg(), "(7 tensors)"));
	/* a folder as PEFT leaves it, and a strength behind a colon */
	lora_use_parse(&u, "a/b:0.25");
	assert_string_equal(u.path, "a/b");
	assert_true(u.scale == 0.25);
	free(u.path);
	lora_use_parse(&u, "C:x");
	assert_string_equal(u.path, "C:x");
	free(u.path);
	free(path);
	path = make_file("adapter_model.safetensors", peft, 2, NULL);
	config = file_in("adapter_config.json");
	must(file_write(config, "{\"lora_alpha\": 6}", 17));
	must(lora_open(&f, scratch, nets));
	assert_true(f.e[0].alpha == 6 && f.e[0].rank == 2);
	lora_close(&f);
	free(config);
	free(path);
	unet_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beside_and_merged),
		cmocka_unit_test(new_pairs),
		cmocka_unit_test(forms),
		cmocka_unit_test(others),
	};

	prog_init("4130-lora");
	scratch_make();
	return cmocka_run_group_tests(tests, check_setup, scratch_remove);
}
