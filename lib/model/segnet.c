#include "model/segnet.h"

#include "base/err.h"
#include "nn/init.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
segnet_config_named(struct segnet_config *c, const char *arch, const char *encoder)
{
	static const int decoder[UNET_MAXDEPTH] = { 256, 128, 64, 32, 16 };

	*c = (struct segnet_config){ .depth = 5, .in_channels = 3, .classes = 1 };
	memcpy(c->decoder, decoder, sizeof(decoder));
	if (!strcmp(arch, "unetplusplus"))
		c->plusplus = true;
	else if (strcmp(arch, "unet"))
		return err("%s: no such architecture (%s)", arch, SEGNET_ARCHS);
	snprintf(c->encoder, sizeof(c->encoder), "%s", encoder);
	c->effnet = !strncmp(encoder, "efficientnet", 12);
	if (!c->effnet && strncmp(encoder, "resnet", 6))
		return err("%s: no such encoder", encoder);
	return c->effnet ? effnet_config_named(&c->eff, encoder) :
	                   resnet_config_named(&c->resnet, encoder);
}

static int
scaled(int c, double factor)
{
	int n = (int)(c * factor + 4) / 8 * 8;

	return n < 8 ? 8 : n;
}

void
segnet_config_widen(struct segnet_config *c, double factor)
{
	c->resnet.stem = scaled(c->resnet.stem, factor);
	for (int i = 0; i < 4; i++)
		c->resnet.width[i] = scaled(c->resnet.width[i], factor);
	c->eff.stem = scaled(c->eff.stem, factor);
	c->eff.head = scaled(c->eff.head, factor);
	for (int i = 0; i < EFFNET_STAGES; i++)
		c->eff.out[i] = scaled(c->eff.out[i], factor);
}

/* ---- from tensors ---------------------------------------------------------------------------- */

struct names {
	const struct st_tensor *t;
	int n;
};

/* Side i of the tensor that fmt names; 0 if it is not there. */
static int __attribute__((format(printf, 3, 4)))
side(const struct names *in, int i, const char *fmt, ...)
{
	char name[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	for (int k = 0; k < in->n; k++)
		if (!strcmp(in->t[k].name, name))
			return i < in->t[k].ndim && in->t[k].dim[i] < INT_MAX ? (int)in->t[k].dim[i]
			    : 0;
	return 0;
}

static int
resnet_from(struct segnet_config *c, const struct names *in)
{
	struct resnet_config *r = &c->resnet, known;
	static const char *const all[] =
	    { "resnet18", "resnet34", "resnet50", "resnet101", "resnet152" };

	r->stem = side(in, 0, "encoder.conv1.weight");
	c->in_channels = side(in, 1, "encoder.conv1.weight");
	for (int l = 0; l < 4; l++) {
		int wide;

		while (side(in, 0, "encoder.layer%d.%d.conv1.weight", l + 1, r->blocks[l]))
			r->blocks[l]++;
		r->width[l] = side(in, 0, "encoder.layer%d.0.conv1.weight", l + 1);
		wide = side(in, 0, "encoder.layer%d.0.conv3.weight", l + 1);
		r->expansion = wide && r->width[l] ? wide / r->width[l] : 1;
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!resnet_config_named(&known, all[i]) && known.expansion == r->expansion &&
		    !memcmp(known.blocks, r->blocks, sizeof(r->blocks))) {
			snprintf(c->encoder, sizeof(c->encoder), "%s", all[i]);
			return 0;
		}
	return err("no known ResNet has these blocks");
}

/* Which EfficientNet: the number of blocks, then the widths, then the hint decides (b1 and b2
 * differ by their widths only). */
static int
effnet_from(struct segnet_config *c, const struct names *in, const char *hint)
{
	int blocks = 0, best = -1, best_score = -1;

	while (side(in, 0, "encoder._blocks.%d._project_conv.weight", blocks))
		blocks++;
	for (int v = 0; v < 8; v++) {
		char name[32], tag[16];
		struct effnet_config k;
		int n = 0, score;

		snprintf(name, sizeof(name), "efficientnet-b%d", v);
		snprintf(tag, sizeof(tag), "b%d", v);
		effnet_config_named(&k, name);
		for (int s = 0; s < EFFNET_STAGES; s++)
			n += k.repeats[s];
		if (n != blocks)
			continue;
		score = (k.head == side(in, 0, "encoder._conv_head.weight")) * 4 +
		    (hint && strstr(hint, tag)) * 2 + (v == 2);
		if (score > best_score) {
			best = v;
			best_score = score;
		}
	}
	if (best < 0)
		return err("no known EfficientNet has %d blocks", blocks);
	snprintf(c->encoder, sizeof(c->encoder), "efficientnet-b%d", best);
	effnet_config_named(&c->eff, c->encoder);
	c->in_channels = side(in, 1, "encoder._conv_stem.weight");
	c->eff.stem = side(in, 0, "encoder._conv_stem.weight");
	c->eff.head = side(in, 0, "encoder._conv_head.weight");
	for (int s = 0, n = 0; s < EFFNET_STAGES; s++) {
		c->eff.out[s] = side(in, 0, "encoder._blocks.%d._project_conv.weight", n);
		n += c->eff.repeats[s];
	}
	return 0;
}

int
segnet_config_from(struct segnet_config *c, const struct st_tensor *t, int n, const char *hint)
{
	struct names in = { t, n };
	const char *at;
	int out;

	*c = (struct segnet_config){ 0 };
	c->classes = side(&in, 0, "segmentation_head.0.weight");
	c->effnet = side(&in, 0, "encoder._conv_stem.weight") > 0;
	if (!c->classes || (!c->effnet && !side(&in, 0, "encoder.conv1.weight")))
		return err("these are no tensors of a segmentation net");
	if (c->effnet ? effnet_from(c, &in, hint) : resnet_from(c, &in))
		return -1;
	c->plusplus = side(&in, 0, "decoder.blocks.x_0_0.conv1.0.weight") > 0;
	at = c->plusplus ? "x_0_" : "";
	while (c->depth < UNET_MAXDEPTH &&
	    (out = side(&in, 0, "decoder.blocks.%s%d.conv1.0.weight", at, c->depth)))
		c->decoder[c->depth++] = out;
	c->scse = side(&in, 0, "decoder.blocks.%s0.attention2.attention.sSE.0.weight", at) > 0;
	if (hint && strstr(hint, "sigmoid"))
		c->activation = SEG_SIGMOID;
	else if (hint && strstr(hint, "softmax"))
		c->activation = SEG_SOFTMAX;
	return 0;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void
put_ints(struct sb *sb, const char *key, const int *v, int n)
{
	sb_printf(sb, ",\"%s\":[", key);
	for (int i = 0; i < n; i++)
		sb_printf(sb, "%s%d", i ? "," : "", v[i]);
	sb_putc(sb, ']');
}

void
segnet_config_put(const struct segnet_config *c, struct sb *sb)
{
	static const char *const act[] = { "none", "sigmoid", "softmax" };
	int e[2 + EFFNET_STAGES] = { 0 }, n = 5;

	e[0] = c->effnet ? c->eff.stem : c->resnet.stem;
	if (c->effnet) {
		memcpy(e + 1, c->eff.out, sizeof(c->eff.out));
		e[1 + EFFNET_STAGES] = c->eff.head;
		n = 2 + EFFNET_STAGES;
	} else {
		memcpy(e + 1, c->resnet.width, sizeof(c->resnet.width));
	}
	sb_printf(sb, "\"arch\":\"%s\",\"encoder\":\"%s\"", c->plusplus ? "unetplusplus" : "unet",
	    c->encoder);
	put_ints(sb, "encoder_channels", e, n);
	put_ints(sb, "decoder_channels", c->decoder, c->depth);
	sb_printf(sb,
	    ",\"attention\":\"%s\",\"in_channels\":%d,\"classes\":%d,\"activation\":\"%s\"",
	    c->scse ? "scse" : "none", c->in_channels, c->classes, act[c->activation]);
}

/* An array of n positive ints (at most max; how many stands in *n). */
static int
get_ints(const struct json *j, int v, const char *key, int *out, int max, int *n)
{
	int a = json_get(j, v, key);

	if (a < 0 || j->v[a].type != JSON_ARRAY || j->v[a].size < 1 || j->v[a].size > max)
		return err("%s: want an array of 1 to %d numbers", key, max);
	*n = j->v[a].size;
	for (int i = 0, e = a + 1; i < *n; i++, e = j->v[e].next) {
		int64_t x;

		if (json_int(j, e, &x) || x < 1 || x > 65536)
			return err("%s: a number of channels is not in 1..65536", key);
		out[i] = (int)x;
	}
	return 0;
}

static int
get_one(const struct json *j, int v, const char *key, int *out)
{
	int64_t x;

	if (json_int(j, json_get(j, v, key), &x) || x < 1 || x > 65536)
		return err("%s: want a number in 1..65536", key);
	*out = (int)x;
	return 0;
}

static int
get_all(struct segnet_config *c, const struct json *j, int v, struct arena *mem)
{
	const char *arch = json_str(j, json_get(j, v, "arch"), mem);
	const char *encoder = json_str(j, json_get(j, v, "encoder"), mem);
	const char *att = json_str(j, json_get(j, v, "attention"), mem);
	const char *act = json_str(j, json_get(j, v, "activation"), mem);
	int e[2 + EFFNET_STAGES], n;

	if (!arch || !encoder)
		return err("no arch or encoder");
	if (segnet_config_named(c, arch, encoder) ||
	    get_ints(j, v, "decoder_channels", c->decoder, UNET_MAXDEPTH, &c->depth) ||
	    get_ints(j, v, "encoder_channels", e, 2 + EFFNET_STAGES, &n) ||
	    get_one(j, v, "in_channels", &c->in_channels) || get_one(j, v, "classes", &c->classes))
		return -1;
	if (n != (c->effnet ? 2 + EFFNET_STAGES : 5))
		return err("encoder_channels: %d numbers are not those of %s", n, encoder);
	if (c->effnet) {
		c->eff.stem = e[0];
		memcpy(c->eff.out, e + 1, sizeof(c->eff.out));
		c->eff.head = e[1 + EFFNET_STAGES];
	} else {
		c->resnet.stem = e[0];
		memcpy(c->resnet.width, e + 1, sizeof(c->resnet.width));
	}
	c->scse = att && !strcmp(att, "scse");
	c->activation = act && !strcmp(act, "sigmoid") ? SEG_SIGMOID :
	    act && !strcmp(act, "softmax") ? SEG_SOFTMAX : SEG_NONE;
	return 0;
}

int
segnet_config_get(struct segnet_config *c, const struct json *j, int v)
{
	struct arena mem = { 0 };
	int r = v < 0 || j->v[v].type != JSON_OBJECT ? err("no segmentation net is described") :
	                                               get_all(c, j, v, &mem);

	arena_release(&mem);
	return r;
}

/* ---- the net --------------------------------------------------------------------------------- */

int
segnet_init(struct segnet *net, const struct segnet_config *c, bool train)
{
	int f[5];

	*net = (struct segnet){ .cfg = *c };
	if (c->depth < 3 || c->depth > UNET_MAXDEPTH)
		return err("a depth of %d: want 3 to 5", c->depth);
	params_init(&net->ps, F32, train);
	if (c->effnet) {
		effnet_init(&net->eff, &net->ps, "encoder.", &c->eff, c->in_channels);
		effnet_channels(&c->eff, f);
	} else {
		resnet_init(&net->resnet, &net->ps, "encoder.", &c->resnet, c->in_channels);
		resnet_channels(&c->resnet, f);
	}
	if (unet_decoder_init(&net->decoder, &net->ps, "decoder.", c->plusplus, c->depth, f,
	        c->decoder, c->scse)) {
		segnet_release(net);
		return -1;
	}
	conv_layer_init(&net->head, &net->ps, c->decoder[c->depth - 1], c->classes, 3, CONV_SAME(3),
	    true, "segmentation_head.0");
	params_ready(&net->ps);
	return 0;
}

void
segnet_release(struct segnet *net)
{
	resnet_release(&net->resnet);
	effnet_release(&net->eff);
	params_release(&net->ps);
	*net = (struct segnet){ 0 };
}

static bool
ends(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

static void
init_one(struct segnet *net, struct param *p, uint64_t seed)
{
	bool encoder = !strncmp(p->name, "encoder.", 8);

	if (p->kind == PARAM_COUNT) {
		p->count = 0;
	} else if (p->ndim == 1) {
		struct param *weight = NULL;

		if (ends(p->name, ".bias")) {
			char *w = xasprintf("%.*sweight", (int)strlen(p->name) - 4, p->name);

			weight = params_find(&net->ps, w);
			free(w);
		}
		if (encoder && weight && weight->ndim > 1)
			init_bias_torch(p, weight, seed);
		else
			init_param(p, INIT_CONSTANT,
			    ends(p->name, ".weight") || ends(p->name, "_var"), seed);
	} else if (encoder) {
		init_param(p, net->cfg.effnet ? INIT_TORCH : INIT_KAIMING_NORMAL_OUT, 0, seed);
	} else if (!strncmp(p->name, "decoder.", 8)) {
		init_param(p, INIT_KAIMING_UNIFORM_IN, 0, seed);
	} else {
		init_param(p, INIT_XAVIER_UNIFORM, 0, seed);
	}
}

void
segnet_init_weights(struct segnet *net, uint64_t seed)
{
	for (int i = 0; i < net->ps.n; i++)
		init_one(net, net->ps.p[i], seed);
}

/* A first convolution [O,C,k,k] for `want` channels instead of C, in mem. */
static void
adapt_first(struct st_tensor *t, int want, struct arena *mem)
{
	int64_t out = t->dim[0], in = t->dim[1], area = t->dim[2] * t->dim[3];
	float *src = arena_alloc(mem, (size_t)t->n * sizeof(float));
	float *dst = arena_alloc(mem, (size_t)(out * want * area) * sizeof(float));

	st_get_f32(t, src);
	for (int64_t o = 0; o < out; o++)
		for (int64_t c = 0; c < want; c++)
			for (int64_t k = 0; k < area; k++) {
				float v = 0;

				if (want == 1)
					for (int64_t i = 0; i < in; i++)
						v += src[(o * in + i) * area + k];
				else
					v = src[(o * in + c % in) * area + k] *
					    ((float)in / (float)want);
				dst[(o * want + c) * area + k] = v;
			}
	t->dtype = ST_F32;
	t->dim[1] = want;
	t->n = out * want * area;
	t->data = dst;
}

int
segnet_load_encoder(struct segnet *net, const char *path)
{
	struct safetensors file, st;
	struct arena mem = { 0 };
	const char *first = net->cfg.effnet ? "_conv_stem.weight" : "conv1.weight";
	int r;

	if (st_open(&file, path))
		return -1;
	st = file;
	st.t = arena_alloc(&mem, ((size_t)file.n + 1) * sizeof(*st.t));
	if (file.n)
		memcpy(st.t, file.t, (size_t)file.n * sizeof(*st.t));
	for (int i = 0; i < st.n; i++) {
		struct st_tensor *t = &st.t[i];

		if (!strncmp(t->name, "encoder.", 8))
			t->name += 8;
		if (!strcmp(t->name, first) && t->ndim == 4 && t->dim[1] == 3 &&
		    net->cfg.in_channels != 3)
			adapt_first(t, net->cfg.in_channels, &mem);
	}
	r = params_load(&net->ps, &st, "encoder.", PARAMS_EXTRA);
	arena_release(&mem);
	st_close(&file);
	return r;
}

struct tensor *
segnet_forward(const struct segnet *net, struct tensor *x, bool train, uint64_t seed,
    struct tensor **features)
{
	const struct segnet_config *c = &net->cfg;
	struct tensor *f[UNET_MAXDEPTH] = { 0 };
	int64_t unit = (int64_t)1 << c->depth;

	if (x->ndim != 4 || x->dim[3] != c->in_channels || x->dim[1] % unit || x->dim[2] % unit)
		die("segnet: an input of %s; want sides in multiples of %lld and %d channels",
		    tensor_shape(x), (long long)unit, c->in_channels);
	if (c->effnet)
		effnet_features(&net->eff, x, train, seed, c->depth, f);
	else
		resnet_features(&net->resnet, x, train, c->depth, f);
	if (features)
		memcpy(features, f, (size_t)c->depth * sizeof(struct tensor *));
	x = conv_layer_forward(&net->head, unet_decoder_forward(&net->decoder, f, train));
	return c->activation == SEG_SIGMOID ? op_sigmoid(x) :
	    c->activation == SEG_SOFTMAX ? op_softmax(x) : x;
}
