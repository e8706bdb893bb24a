#include "model/unet.h"

#include "base/err.h"
#include "base/mem.h"
#include "model/sd_blocks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNET_MAXLAYERS = 8 };

/* One transformer block between two projections: self-attention, cross-attention, gated MLP. */
struct unet_attention {
	struct gn_layer norm;
	struct linear_layer in, out;
	struct ln_layer norm1, norm2, norm3;
	struct linear_layer q1, k1, v1, out1, q2, k2, v2, out2, gate, ff;
	int heads;
};

/* A resnet and, in levels with attention, what follows it: what checkpointing recomputes. */
struct stage {
	struct sd_resnet resnet;
	struct unet_attention attention;
	bool cross;
};

struct unet_level {
	struct stage stage[UNET_MAXLAYERS + 1];
	struct conv_layer sample; /* .w NULL: none */
};

struct unet_blocks {
	struct conv_layer in, out;
	struct linear_layer time1, time2;
	struct unet_level down[UNET_LEVELS], up[UNET_LEVELS];
	struct stage mid[2]; /* the first has attention */
	struct gn_layer norm;
};

/* ---- configuration --------------------------------------------------------------------------- */

/* A number for all levels or a list of one each. */
static int
get_list(const struct json *j, int obj, const char *key, int levels, int *out)
{
	int v = json_get(j, obj, key);
	int64_t n;

	if (v < 0 || j->v[v].type == JSON_NULL)
		return 0;
	if (j->v[v].type == JSON_ARRAY && j->v[v].size != levels)
		return err("%s: %d numbers for %d levels", key, j->v[v].size, levels);
	for (int i = 0, e = j->v[v].type == JSON_ARRAY ? v + 1 : v; i < levels; i++) {
		if (json_int(j, e, &n) || n < 1 || n > 1 << 16)
			return err("%s: want whole numbers", key);
		out[i] = (int)n;
		if (j->v[v].type == JSON_ARRAY)
			e = j->v[e].next;
	}
	return 0;
}

static int
get_types(const struct json *j, int obj, const char *key, const char *cross, const char *plain,
    int levels, bool *out)
{
	int v = json_get(j, obj, key), ret = 0;
	struct arena mem = { 0 };

	if (v < 0)
		return 0;
	if (j->v[v].type != JSON_ARRAY || j->v[v].size != levels)
		return err("%s: want one for each of %d levels", key, levels);
	for (int i = 0, e = v + 1; i < levels && ret == 0; i++, e = j->v[e].next) {
		const char *s = json_str(j, e, &mem);

		out[i] = s && strcmp(s, cross) == 0;
		if (!s || (!out[i] && strcmp(s, plain) != 0))
			ret = err("%s: '%s' is not supported (%s and %s are)", key, s ? s : "?",
			    cross, plain);
	}
	arena_release(&mem);
	return ret;
}

/* What other nets of the class have, and this one does not. */
static const struct sd_only only[] = { { "act_fn", "silu" }, { "center_input_sample", "false" },
	{ "class_embed_type", "null" }, { "num_class_embeds", "null" },
	{ "addition_embed_type", "null" }, { "encoder_hid_dim", "null" },
	{ "encoder_hid_dim_type", "null" }, { "time_embedding_type", "positional" },
	{ "time_embedding_dim", "null" }, { "time_embedding_act_fn", "null" },
	{ "timestep_post_act", "null" }, { "time_cond_proj_dim", "null" },
	{ "conv_in_kernel", "3" }, { "conv_out_kernel", "3" }, { "downsample_padding", "1" },
	{ "mid_block_type", "UNetMidBlock2DCrossAttn" }, { "mid_block_scale_factor", "1" },
	{ "mid_block_only_cross_attention", "false" }, { "only_cross_attention", "false" },
	{ "dual_cross_attention", "false" }, { "cross_attention_norm", "null" },
	{ "attention_type", "default" }, { "transformer_layers_per_block", "1" },
	{ "resnet_time_scale_shift", "default" }, { "resnet_skip_time_act", "false" },
	{ "resnet_out_scale_factor", "1" }, { 0 } };

static int
config_get(struct unet_config *c, const struct json *j, int v)
{
	int w = json_get(j, v, "block_out_channels"), layers = json_get(j, v, "layers_per_block");

	*c = (struct unet_config){ .in_channels = 4, .out_channels = 4, .levels = 4,
		.width = { 320, 640, 1280, 1280 }, .cross_down = { true, true, true, false },
		.cross_up = { false, true, true, true }, .layers = 2, .heads = { 8, 8, 8, 8 },
		.context = 1280, .groups = 32, .eps = 1e-5, .flip_sin_to_cos = true,
		.sample_size = 64 };
	if (w >= 0) {
		if (j->v[w].type != JSON_ARRAY || j->v[w].size < 1 || j->v[w].size > UNET_LEVELS)
			return err("block_out_channels: want 1 to %d numbers", UNET_LEVELS);
		c->levels = j->v[w].size;
	}
	if (layers >= 0 && j->v[layers].type == JSON_ARRAY)
		return err("layers_per_block: a list is not supported");
	if (sd_config_only(j, v, only) ||
	    get_list(j, v, "block_out_channels", c->levels, c->width) ||
	    get_list(j, v, "attention_head_dim", c->levels, c->heads) ||
	    get_list(j, v, "num_attention_heads", c->levels, c->heads) ||
	    json_member_int(j, v, "in_channels", 1, 1024, &c->in_channels) ||
	    json_member_int(j, v, "out_channels", 1, 1024, &c->out_channels) ||
	    json_member_int(j, v, "layers_per_block", 1, UNET_MAXLAYERS, &c->layers) ||
	    json_member_int(j, v, "cross_attention_dim", 1, 1 << 16, &c->context) ||
	    json_member_int(j, v, "norm_num_groups", 1, 1024, &c->groups) ||
	    json_member_int(j, v, "sample_size", 1, 1 << 16, &c->sample_size) ||
	    json_member_bool(j, v, "use_linear_projection", &c->linear_projection) ||
	    json_member_bool(j, v, "flip_sin_to_cos", &c->flip_sin_to_cos) ||
	    json_member_bool(j, v, "upcast_attention", &c->upcast_attention) ||
	    json_member_num(j, v, "norm_eps", &c->eps) ||
	    json_member_num(j, v, "freq_shift", &c->freq_shift) ||
	    get_types(j, v, "down_block_types", "CrossAttnDownBlock2D", "DownBlock2D", c->levels,
	        c->cross_down) ||
	    get_types(j, v, "up_block_types", "CrossAttnUpBlock2D", "UpBlock2D", c->levels,
	        c->cross_up))
		return -1;
	for (int i = 0, last = c->levels - 1; i <= last; i++) {
		/* the level in the middle always has attention */
		bool heads = c->cross_down[i] || c->cross_up[last - i] || i == last;

		if (c->width[i] % c->groups || (heads && c->width[i] % c->heads[i]))
			return err("%d channels in %d groups and %d heads", c->width[i], c->groups,
			    c->heads[i]);
	}
	return 0;
}

int
unet_config_get(struct unet_config *c, const struct json *j, int v)
{
	return config_get(c, j, v) ? err_prefix("unet") : 0;
}

void
unet_config_put(const struct unet_config *c, struct sb *sb)
{
	sb_printf(sb,
	    "{\n  \"_class_name\": \"UNet2DConditionModel\",\n  \"act_fn\": \"silu\",\n"
	    "  \"in_channels\": %d,\n  \"out_channels\": %d,\n  \"layers_per_block\": %d,\n"
	    "  \"cross_attention_dim\": %d,\n  \"norm_num_groups\": %d,\n  \"norm_eps\": %g,\n"
	    "  \"sample_size\": %d,\n  \"use_linear_projection\": %s,\n  \"flip_sin_to_cos\": %s,\n"
	    "  \"freq_shift\": %g,\n  \"upcast_attention\": %s,\n  \"center_input_sample\": false,"
	    "\n"
	    "  \"downsample_padding\": 1,\n  \"mid_block_scale_factor\": 1,\n  "
	    "\"block_out_channels\": [",
	    c->in_channels, c->out_channels, c->layers, c->context, c->groups, c->eps,
	    c->sample_size, c->linear_projection ? "true" : "false",
	    c->flip_sin_to_cos ? "true" : "false", c->freq_shift,
	    c->upcast_attention ? "true" : "false");
	for (int i = 0; i < c->levels; i++)
		sb_printf(sb, "%s%d", i ? ", " : "", c->width[i]);
	sb_puts(sb, "],\n  \"attention_head_dim\": [");
	for (int i = 0; i < c->levels; i++)
		sb_printf(sb, "%s%d", i ? ", " : "", c->heads[i]);
	sb_puts(sb, "],\n  \"down_block_types\": [");
	for (int i = 0; i < c->levels; i++)
		sb_printf(sb, "%s\"%sDownBlock2D\"", i ? ", " : "", c->cross_down[i] ? "CrossAttn"
		    : "");
	sb_puts(sb, "],\n  \"up_block_types\": [");
	for (int i = 0; i < c->levels; i++)
		sb_printf(sb, "%s\"%sUpBlock2D\"", i ? ", " : "", c->cross_up[i] ? "CrossAttn"
		    : "");
	sb_puts(sb, "]\n}\n");
}

/* ---- making ---------------------------------------------------------------------------------- */

static void
attention_init(struct unet_attention *a, struct params *ps, const struct unet_config *c, int64_t w,
    int heads, const char *at, int i, int k)
{
	char name[128];
	/* as a 1x1 convolution in SD 1's files, as a matrix in SD 2's: the engine has matrices for
	 * both */
	void (*project)(struct linear_layer *, struct params *, int64_t, int64_t, bool,
	    const char *, ...) = c->linear_projection ? linear_layer_init : linear_layer_init_1x1;

	if (i < 0)
		snprintf(name, sizeof(name), "%s.attentions.%d", at, k);
	else
		snprintf(name, sizeof(name), "%s.%d.attentions.%d", at, i, k);
	a->heads = heads;
	gn_layer_init(&a->norm, ps, w, c->groups, 1e-6, "%s.norm", name);
	project(&a->in, ps, w, w, true, "%s.proj_in", name);
	ln_layer_init(&a->norm1, ps, w, 1e-5, "%s.transformer_blocks.0.norm1", name);
	linear_layer_init(&a->q1, ps, w, w, false, "%s.transformer_blocks.0.attn1.to_q", name);
	linear_layer_init(&a->k1, ps, w, w, false, "%s.transformer_blocks.0.attn1.to_k", name);
	linear_layer_init(&a->v1, ps, w, w, false, "%s.transformer_blocks.0.attn1.to_v", name);
	linear_layer_init(&a->out1, ps, w, w, true, "%s.transformer_blocks.0.attn1.to_out.0", name);
	ln_layer_init(&a->norm2, ps, w, 1e-5, "%s.transformer_blocks.0.norm2", name);
	linear_layer_init(&a->q2, ps, w, w, false, "%s.transformer_blocks.0.attn2.to_q", name);
	linear_layer_init(&a->k2, ps, c->context, w, false, "%s.transformer_blocks.0.attn2.to_k",
	    name);
	linear_layer_init(&a->v2, ps, c->context, w, false, "%s.transformer_blocks.0.attn2.to_v",
	    name);
	linear_layer_init(&a->out2, ps, w, w, true, "%s.transformer_blocks.0.attn2.to_out.0", name);
	ln_layer_init(&a->norm3, ps, w, 1e-5, "%s.transformer_blocks.0.norm3", name);
	linear_layer_init(&a->gate, ps, w, 8 * w, true, "%s.transformer_blocks.0.ff.net.0.proj",
	    name);
	linear_layer_init(&a->ff, ps, 4 * w, w, true, "%s.transformer_blocks.0.ff.net.2", name);
	project(&a->out, ps, w, w, true, "%s.proj_out", name);
}

static void
down_init(struct unet *m)
{
	const struct unet_config *c = &m->cfg;
	int64_t in = c->width[0], time = 4 * c->width[0];

	for (int i = 0; i < c->levels; i++) {
		struct unet_level *l = &m->blocks->down[i];

		for (int k = 0; k < c->layers; k++) {
			struct stage *s = &l->stage[k];

			s->cross = c->cross_down[i];
			if (s->cross)
				attention_init(&s->attention, &m->ps, c, c->width[i], c->heads[i],
				    "down_blocks", i, k);
			sd_resnet_init(&s->resnet, &m->ps, in, c->width[i], time, c->groups, c->eps,
			    "down_blocks.%d.resnets.%d", i, k);
			in = c->width[i];
		}
		if (i + 1 < c->levels)
			sd_downsample_init(&l->sample, &m->ps, in, false,
			    "down_blocks.%d.downsamplers.0.conv", i);
	}
}

static void
up_init(struct unet *m)
{
	const struct unet_config *c = &m->cfg;
	int last = c->levels - 1;
	int64_t in = c->width[last], time = 4 * c->width[0];

	for (int i = 0; i < c->levels; i++) {
		struct unet_level *l = &m->blocks->up[i];
		int64_t w = c->width[last - i], below = c->width[i < last ? last - i - 1 : 0];

		for (int k = 0; k <= c->layers; k++) {
			int64_t skip = k == c->layers ? below : w;
			struct stage *s = &l->stage[k];

			s->cross = c->cross_up[i];
			if (s->cross)
				attention_init(&s->attention, &m->ps, c, w, c->heads[last - i],
				    "up_blocks", i, k);
			sd_resnet_init(&s->resnet, &m->ps, in + skip, w, time, c->groups, c->eps,
			    "up_blocks.%d.resnets.%d", i, k);
			in = w;
		}
		if (i < last)
			sd_upsample_init(&l->sample, &m->ps, w, "up_blocks.%d.upsamplers.0.conv",
			    i);
	}
}

int
unet_init(struct unet *m, const struct unet_config *cfg, enum dtype dtype, bool train)
{
	struct unet_blocks *b = xcalloc(1, sizeof(*b));
	int64_t first = cfg->width[0], last = cfg->width[cfg->levels - 1];

	*m = (struct unet){ .cfg = *cfg, .blocks = b };
	params_init(&m->ps, dtype, train);
	conv_layer_init(&b->in, &m->ps, cfg->in_channels, first, 3, CONV_SAME(3), true, "conv_in");
	linear_layer_init(&b->time1, &m->ps, first, 4 * first, true, "time_embedding.linear_1");
	linear_layer_init(&b->time2, &m->ps, 4 * first, 4 * first, true, "time_embedding.linear_2");
	down_init(m);
	for (int i = 0; i < 2; i++)
		sd_resnet_init(&b->mid[i].resnet, &m->ps, last, last, 4 * first, cfg->groups,
		    cfg->eps, "mid_block.resnets.%d", i);
	b->mid[0].cross = true;
	attention_init(&b->mid[0].attention, &m->ps, cfg, last, cfg->heads[cfg->levels - 1],
	    "mid_block", -1, 0);
	up_init(m);
	gn_layer_init(&b->norm, &m->ps, first, cfg->groups, cfg->eps, "conv_norm_out");
	conv_layer_init(&b->out, &m->ps, first, cfg->out_channels, 3, CONV_SAME(3), true,
	    "conv_out");
	params_ready(&m->ps);
	return 0;
}

void
unet_release(struct unet *m)
{
	params_release(&m->ps);
	free(m->blocks);
	*m = (struct unet){ 0 };
}

/* ---- forward --------------------------------------------------------------------------------- */

/* [N,width[0]]: cos and sin of t exp(-ln(10000) i / (half - shift)); cosines first when flipped. */
static struct tensor *
time_embedding(const struct unet_config *c, const double *t, int64_t n, enum dtype dtype)
{
	int64_t w = c->width[0], half = w / 2;
	float *v = xcalloc((size_t)(n * w), sizeof(*v));
	struct tensor *e;

	for (int64_t k = 0; k < n; k++)
		for (int64_t i = 0; i < half; i++) {
			float f = (float)(-log(10000.0)) * (float)i /
			    (float)((double)half - c->freq_shift);
			float a = (float)t[k] * expf(f);

			v[k * w + i] = c->flip_sin_to_cos ? cosf(a) : sinf(a);
			v[k * w + half + i] = c->flip_sin_to_cos ? sinf(a) : cosf(a);
		}
	e = tensor_from(dtype, 2, (int64_t[]){ n, w }, v);
	free(v);
	return e;
}

static struct tensor *
attend(const struct linear_layer *q, const struct linear_layer *k, const struct linear_layer *v,
    const struct linear_layer *out, int heads, struct tensor *x, struct tensor *context)
{
	struct tensor *y = op_attention(linear_layer_forward(q, x, ACT_NONE),
	    linear_layer_forward(k, context, ACT_NONE), linear_layer_forward(v, context, ACT_NONE),
	    heads, 0, false);

	return linear_layer_forward(out, y, ACT_NONE);
}

static struct tensor *
attention_forward(const struct unet_attention *a, struct tensor *x, struct tensor *context)
{
	int64_t n = x->dim[0], pixels = x->dim[1] * x->dim[2], w = x->dim[3];
	struct tensor *h, *g, *y;

	scope_open();
	h = op_view(gn_layer_forward(&a->norm, x, ACT_NONE), n, pixels, w);
	h = linear_layer_forward(&a->in, h, ACT_NONE);
	y = ln_layer_forward(&a->norm1, h);
	h = op_add(h, attend(&a->q1, &a->k1, &a->v1, &a->out1, a->heads, y, y));
	y = ln_layer_forward(&a->norm2, h);
	h = op_add(h, attend(&a->q2, &a->k2, &a->v2, &a->out2, a->heads, y, context));
	/* GEGLU: the first half times the exact GELU of the second */
	g = linear_layer_forward(&a->gate, ln_layer_forward(&a->norm3, h), ACT_NONE);
	g = op_mul(op_slice(g, 2, 0, 4 * w), op_gelu(op_slice(g, 2, 4 * w, 4 * w)));
	h = op_add(h, linear_layer_forward(&a->ff, g, ACT_NONE));
	h = linear_layer_forward(&a->out, h, ACT_NONE);
	return scope_keep(op_add(x, op_reshape(h, 4, x->dim)));
}

static struct tensor *
stage_forward(void *ctx, struct tensor **in, int n)
{
	const struct stage *s = ctx;
	struct tensor *x;

	(void)n;
	scope_open();
	x = sd_resnet_forward(&s->resnet, in[0], in[1]);
	if (s->cross)
		x = attention_forward(&s->attention, x, in[2]);
	return scope_keep(x);
}

static struct tensor *
run(const struct unet *m, struct stage *s, struct tensor *x, struct tensor *time,
    struct tensor *context)
{
	struct tensor *in[] = { x, time, context };

	return m->checkpointing ? checkpoint(stage_forward, s, in, 3) : stage_forward(s, in, 3);
}

struct tensor *
unet_forward(const struct unet *m, struct tensor *x, const double *t, struct tensor *context)
{
	const struct unet_config *c = &m->cfg;
	struct unet_blocks *b = m->blocks;
	struct tensor *skip[UNET_LEVELS * (UNET_MAXLAYERS + 1) + 1], *time;
	int n = 0;

	scope_open();
	time = linear_layer_forward(&b->time1, time_embedding(c, t, x->dim[0], x->dtype), ACT_SILU);
	/* each resnet applies SiLU before its projection: once for all */
	time = linear_layer_forward(&b->time2, time, ACT_SILU);
	skip[n++] = x = conv_layer_forward(&b->in, x);
	for (int i = 0; i < c->levels; i++) {
		struct unet_level *l = &b->down[i];

		for (int k = 0; k < c->layers; k++)
			skip[n++] = x = run(m, &l->stage[k], x, time, context);
		if (l->sample.w)
			skip[n++] = x = conv_layer_forward(&l->sample, x);
	}
	x = run(m, &b->mid[0], x, time, context);
	x = run(m, &b->mid[1], x, time, context);
	for (int i = 0; i < c->levels; i++) {
		struct unet_level *l = &b->up[i];

		for (int k = 0; k <= c->layers; k++) {
			x = op_concat((struct tensor *[]){ x, skip[--n] }, 2, 3);
			x = run(m, &l->stage[k], x, time, context);
		}
		/* sizes that did not halve evenly come back from the skip */
		if (l->sample.w)
			x = sd_upsample(&l->sample, x, (int)skip[n - 1]->dim[1],
			    (int)skip[n - 1]->dim[2]);
	}
	return scope_keep(conv_layer_forward(&b->out, gn_layer_forward(&b->norm, x, ACT_SILU)));
}
