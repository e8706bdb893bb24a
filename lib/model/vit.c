#include "model/vit.h"

#include "base/err.h"
#include "base/mem.h"
#include "data/image.h"
#include "model/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct vit_block {
	struct ln_layer norm1, norm2;
	struct linear_layer q, k, v, out;
	struct linear_layer fc1, gate, fc2; /* gate: SwiGLU's first half of w12 */
};

/* What the tensors of a layout are called; NULL: it has none. Those of blocks without BLOCKS.N. */
static const struct layout {
	const char *cls, *pos, *patch, *registers, *pre, *norm, *blocks;
	const char *norm1, *norm2, *qkv, *q, *k, *v, *out, *fc1, *fc2, *w12, *w3, *scale1, *scale2;
	bool patch_bias;
} layouts[] = {
	[VIT_DINO] = { .cls = "cls_token", .pos = "pos_embed", .patch = "patch_embed.proj",
		.norm = "norm", .blocks = "blocks", .norm1 = "norm1", .norm2 = "norm2",
		.qkv = "attn.qkv", .out = "attn.proj", .fc1 = "mlp.fc1", .fc2 = "mlp.fc2",
		.patch_bias = true },
	[VIT_DINO_HF] = { .cls = "embeddings.cls_token", .pos = "embeddings.position_embeddings",
		.patch = "embeddings.patch_embeddings.projection", .norm = "layernorm",
		.blocks = "encoder.layer", .norm1 = "layernorm_before", .norm2 = "layernorm_after",
		.q = "attention.attention.query", .k = "attention.attention.key",
		.v = "attention.attention.value", .out = "attention.output.dense",
		.fc1 = "intermediate.dense", .fc2 = "output.dense", .patch_bias = true },
	[VIT_DINOV2] = { .cls = "cls_token", .pos = "pos_embed", .patch = "patch_embed.proj",
		.registers = "register_tokens", .norm = "norm", .blocks = "blocks",
		.norm1 = "norm1", .norm2 = "norm2", .qkv = "attn.qkv", .out = "attn.proj",
		.fc1 = "mlp.fc1", .fc2 = "mlp.fc2", .w12 = "mlp.w12", .w3 = "mlp.w3",
		.scale1 = "ls1.gamma", .scale2 = "ls2.gamma", .patch_bias = true },
	[VIT_DINOV2_HF] = { .cls = "embeddings.cls_token", .pos = "embeddings.position_embeddings",
		.patch = "embeddings.patch_embeddings.projection",
		.registers = "embeddings.register_tokens", .norm = "layernorm",
		.blocks = "encoder.layer", .norm1 = "norm1", .norm2 = "norm2",
		.q = "attention.attention.query", .k = "attention.attention.key",
		.v = "attention.attention.value", .out = "attention.output.dense", .fc1 = "mlp.fc1",
		.fc2 = "mlp.fc2", .w12 = "mlp.weights_in", .w3 = "mlp.weights_out",
		.scale1 = "layer_scale1.lambda1", .scale2 = "layer_scale2.lambda1",
		.patch_bias = true },
	[VIT_CLIP] = { .cls = "vision_model.embeddings.class_embedding",
		.pos = "vision_model.embeddings.position_embedding.weight",
		.patch = "vision_model.embeddings.patch_embedding",
		.pre = "vision_model.pre_layrnorm", .norm = "vision_model.post_layernorm",
		.blocks = "vision_model.encoder.layers", .norm1 = "layer_norm1",
		.norm2 = "layer_norm2", .q = "self_attn.q_proj", .k = "self_attn.k_proj",
		.v = "self_attn.v_proj", .out = "self_attn.out_proj", .fc1 = "mlp.fc1",
		.fc2 = "mlp.fc2" },
};
static const char visual_projection[] = "visual_projection";

/* ---- the file ----------------------------------------------------------------------------- */

static void
announce_pair(struct params *ps, int64_t out, int64_t in, const char *prefix, int block,
    const char *name)
{
	int64_t dim[2] = { out, in };

	params_add(ps, NULL, PARAM_PLAIN, in ? 2 : 1, dim, "%s.%d.%s.weight", prefix, block, name);
	params_add(ps, NULL, PARAM_PLAIN, 1, dim, "%s.%d.%s.bias", prefix, block, name);
}

static void
announce_block(struct params *ps, const struct vit_config *c, const struct layout *l, int i)
{
	const int64_t w = c->width, m = c->mlp;

	announce_pair(ps, w, 0, l->blocks, i, l->norm1);
	if (l->qkv) {
		announce_pair(ps, 3 * w, w, l->blocks, i, l->qkv);
	} else {
		announce_pair(ps, w, w, l->blocks, i, l->q);
		announce_pair(ps, w, w, l->blocks, i, l->k);
		announce_pair(ps, w, w, l->blocks, i, l->v);
	}
	announce_pair(ps, w, w, l->blocks, i, l->out);
	if (l->scale1) {
		params_add(ps, NULL, PARAM_PLAIN, 1, &w, "%s.%d.%s", l->blocks, i, l->scale1);
		params_add(ps, NULL, PARAM_PLAIN, 1, &w, "%s.%d.%s", l->blocks, i, l->scale2);
	}
	announce_pair(ps, w, 0, l->blocks, i, l->norm2);
	announce_pair(ps, c->swiglu ? 2 * m : m, w, l->blocks, i, c->swiglu ? l->w12 : l->fc1);
	announce_pair(ps, w, m, l->blocks, i, c->swiglu ? l->w3 : l->fc2);
}

void
vit_announce(struct params *ps, const struct vit_config *c)
{
	const struct layout *l = &layouts[c->layout];
	const int64_t w = c->width, places = (int64_t)c->grid * c->grid + 1;
	const bool clip = c->layout == VIT_CLIP;

	params_add(ps, NULL, PARAM_PLAIN, clip ? 1 : 3, clip ? &w : (int64_t[]){ 1, 1, w }, "%s",
	    l->cls);
	params_add(ps, NULL, PARAM_PLAIN, clip ? 2 : 3,
	    clip ? (int64_t[]){ places, w } : (int64_t[]){ 1, places, w }, "%s", l->pos);
	if (c->registers)
		params_add(ps, NULL, PARAM_PLAIN, 3, (int64_t[]){ 1, c->registers, w }, "%s",
		    l->registers);
	params_add(ps, NULL, PARAM_CONV, 4, (int64_t[]){ w, 3, c->patch, c->patch }, "%s.weight",
	    l->patch);
	if (l->patch_bias)
		params_add(ps, NULL, PARAM_PLAIN, 1, &w, "%s.bias", l->patch);
	if (l->pre) {
		params_add(ps, NULL, PARAM_PLAIN, 1, &w, "%s.weight", l->pre);
		params_add(ps, NULL, PARAM_PLAIN, 1, &w, "%s.bias", l->pre);
	}
	for (int i = 0; i < c->depth; i++)
		announce_block(ps, c, l, i);
	params_add(ps, NULL, PARAM_PLAIN, 1, &w, "%s.weight", l->norm);
	params_add(ps, NULL, PARAM_PLAIN, 1, &w, "%s.bias", l->norm);
	if (c->projection)
		params_add(ps, NULL, PARAM_PLAIN, 2, (int64_t[]){ c->projection, w }, "%s.weight",
		    visual_projection);
}

static int
check(const struct vit_config *c, const struct safetensors *st)
{
	bool was = params_outline(true);
	struct params ps;
	int ret;

	params_init(&ps, F32, false);
	vit_announce(&ps, c);
	params_ready(&ps);
	params_outline(was);
	/* heads, poolers, mask tokens and text encoders stand beside it */
	ret = params_check(&ps, st, "", PARAMS_LIST | PARAMS_EXTRA);
	params_release(&ps);
	return ret;
}

/* ---- from the file to the net ------------------------------------------------------------- */

struct source {
	const struct safetensors *st;
	struct weights *w;
	const struct layout *l;
	int block;
};

/* A tensor of the block that is known to be there; its name is put in *name. */
static const struct st_tensor *
block_tensor(const struct source *s, const char *layer, const char *what)
{
	char *name = xasprintf("%s.%d.%s%s%s", s->l->blocks, s->block, layer, *what ? "." : "",
	    what);
	const struct st_tensor *t = st_find(s->st, name);

	free(name);
	return t;
}

/* Rows from, ... of a matrix and its bias, times scale[row] if there is one, as the net's N.to. */
static void
take(const struct source *s, const char *layer, int64_t from, int64_t rows, const char *scale,
    const char *to)
{
	const struct st_tensor *g = scale ? block_tensor(s, scale, "") : NULL;
	float *gain = NULL;

	if (g) {
		gain = xmalloc((size_t)g->n * sizeof(*gain));
		st_get_f32(g, gain);
	}
	for (int bias = 0; bias < 2; bias++) {
		const char *what = bias ? "bias" : "weight";
		const struct st_tensor *t = block_tensor(s, layer, what);
		struct st_tensor part = *t, all = *t;
		size_t per = (size_t)(t->n / t->dim[0]), n = (size_t)rows * per;
		float *v = weights_alloc(s->w, n * sizeof(*v));
		char *name = xasprintf("%d.%s.%s", s->block, to, what);

		all.data = (const char *)t->data + (size_t)from * per * st_dtype_size(t->dtype);
		all.n = (int64_t)n;
		st_get_f32(&all, v);
		for (size_t i = 0; gain && i < n; i++)
			v[i] *= gain[i / per];
		part.dim[0] = rows;
		part.n = (int64_t)n;
		part.dtype = ST_F32;
		part.data = v;
		weights_add(s->w, name, &part);
		free(name);
	}
	free(gain);
}

/* One block's tensors under the net's own names. */
static void
take_block(const struct source *s, const struct vit_config *c)
{
	const struct layout *l = s->l;
	int64_t w = c->width;

	take(s, l->norm1, 0, w, NULL, "norm1");
	take(s, l->norm2, 0, w, NULL, "norm2");
	take(s, l->qkv ? l->qkv : l->q, 0, w, NULL, "q");
	take(s, l->qkv ? l->qkv : l->k, l->qkv ? w : 0, w, NULL, "k");
	take(s, l->qkv ? l->qkv : l->v, l->qkv ? 2 * w : 0, w, NULL, "v");
	take(s, l->out, 0, w, l->scale1, "out");
	if (c->swiglu) {
		take(s, l->w12, 0, c->mlp, NULL, "gate");
		take(s, l->w12, c->mlp, c->mlp, NULL, "fc1");
	} else {
		take(s, l->fc1, 0, c->mlp, NULL, "fc1");
	}
	take(s, c->swiglu ? l->w3 : l->fc2, 0, w, l->scale2, "fc2");
}

static void
init_block(struct vit_block *b, struct params *ps, const struct vit_config *c, int i)
{
	int64_t w = c->width, m = c->mlp;

	ln_layer_init(&b->norm1, ps, w, c->eps, "%d.norm1", i);
	ln_layer_init(&b->norm2, ps, w, c->eps, "%d.norm2", i);
	linear_layer_init(&b->q, ps, w, w, true, "%d.q", i);
	linear_layer_init(&b->k, ps, w, w, true, "%d.k", i);
	linear_layer_init(&b->v, ps, w, w, true, "%d.v", i);
	linear_layer_init(&b->out, ps, w, w, true, "%d.out", i);
	if (c->swiglu)
		linear_layer_init(&b->gate, ps, w, m, true, "%d.gate", i);
	linear_layer_init(&b->fc1, ps, w, m, true, "%d.fc1", i);
	linear_layer_init(&b->fc2, ps, m, w, true, "%d.fc2", i);
}

/* NAME.weight and NAME.bias as they are. */
static void
pass(const struct source *s, const char *name)
{
	static const char *const part[] = { "weight", "bias" };

	for (int i = 0; i < 2; i++) {
		char *full = xasprintf("%s.%s", name, part[i]);
		const struct st_tensor *t = st_find(s->st, full);

		if (t)
			weights_add(s->w, full, t);
		free(full);
	}
}

static float *
values(const struct safetensors *st, const char *name)
{
	const struct st_tensor *t = st_find(st, name);
	float *v = xmalloc((size_t)t->n * sizeof(*v));

	st_get_f32(t, v);
	return v;
}

/* The tokens before the patches, with the class token's place added; the patches' places. */
static void
take_tokens(struct vit *m, const struct source *s)
{
	const struct vit_config *c = &m->cfg;
	size_t w = (size_t)c->width, n = (size_t)c->grid * (size_t)c->grid;
	float *cls = values(s->st, s->l->cls), *pos = values(s->st, s->l->pos);
	float *first = xmalloc((size_t)(1 + c->registers) * w * sizeof(*first));

	for (size_t i = 0; i < w; i++)
		first[i] = cls[i] + pos[i];
	if (c->registers) {
		float *r = values(s->st, s->l->registers);

		memcpy(first + w, r, (size_t)c->registers * w * sizeof(*r));
		free(r);
	}
	m->first = tensor_hold(tensor_from(F32, 3, (int64_t[]){ 1, 1 + c->registers, c->width },
	    first));
	m->pos = xmalloc(n * w * sizeof(*m->pos));
	memcpy(m->pos, pos + w, n * w * sizeof(*pos));
	free(cls);
	free(pos);
	free(first);
}

int
vit_load(struct vit *m, const struct vit_config *c, const struct safetensors *st)
{
	const struct layout *l = &layouts[c->layout];
	struct weights w;
	struct source s = { st, &w, l, 0 };
	int ret;

	*m = (struct vit){ .cfg = *c };
	if (check(c, st))
		return -1;
	weights_init(&w, st->path);
	params_init(&m->ps, F32, false);
	conv_layer_init(&m->patch, &m->ps, 3, c->width, c->patch,
	    (struct conv){ .stride = c->patch }, l->patch_bias, "%s", l->patch);
	pass(&s, l->patch);
	if (l->pre) {
		ln_layer_init(&m->pre, &m->ps, c->width, c->eps, "%s", l->pre);
		pass(&s, l->pre);
	}
	m->block = xcalloc((size_t)c->depth, sizeof(*m->block));
	for (s.block = 0; s.block < c->depth; s.block++) {
		init_block(&m->block[s.block], &m->ps, c, s.block);
		take_block(&s, c);
	}
	ln_layer_init(&m->norm, &m->ps, c->width, c->eps, "%s", l->norm);
	pass(&s, l->norm);
	if (c->projection) {
		linear_layer_init(&m->project, &m->ps, c->width, c->projection, false, "%s",
		    visual_projection);
		pass(&s, visual_projection);
	}
	params_ready(&m->ps);
	ret = params_load(&m->ps, &w.st, "", PARAMS_LIST);
	weights_close(&w);
	if (ret)
		vit_release(m);
	else
		take_tokens(m, &s);
	return ret;
}

void
vit_release(struct vit *m)
{
	params_release(&m->ps);
	tensor_drop(m->first);
	tensor_drop(m->place);
	free(m->block);
	free(m->pos);
	*m = (struct vit){ 0 };
}

/* ---- positions ---------------------------------------------------------------------------- */

/* Weights of the four neighbours at t in [0,1) past the second: Keys' cubic with a = -0.75. */
static void
cubic(double t, double w[4])
{
	static const double a = -0.75;

	for (int i = 0; i < 4; i++) {
		double d = fabs(t + 1 - i);

		w[i] = d <= 1 ? ((a + 2) * d - (a + 3)) * d * d +
		    1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
	}
}

static int
clamp(int x, int n)
{
	return x < 0 ? 0 : x < n ? x : n - 1;
}

/* Places i of n, as from m: neighbours' indices and weights. step: of the source. */
static void
taps(int i, double step, int m, int at[4], double w[4])
{
	double x = (i + 0.5) * step - 0.5;
	int x0 = (int)floor(x);

	cubic(x - x0, w);
	for (int k = 0; k < 4; k++)
		at[k] = clamp(x0 - 1 + k, m);
}

static void
bicubic(const struct vit_config *c, const float *pos, int rows, int columns, double offset,
    float *out)
{
	double sy = c->grid / (rows + offset), sx = c->grid / (columns + offset);

	for (int y = 0; y < rows; y++)
		for (int x = 0; x < columns; x++, out += c->width) {
			double wy[4], wx[4];
			int ay[4], ax[4];

			taps(y, sy, c->grid, ay, wy);
			taps(x, sx, c->grid, ax, wx);
			for (int k = 0; k < c->width; k++) {
				double sum = 0;

				for (int j = 0; j < 4; j++)
					for (int i = 0; i < 4; i++)
						sum += wy[j] * wx[i] *
						    pos[(ay[j] * c->grid + ax[i]) * c->width + k];
				out[k] = (float)sum;
			}
		}
}

/* [n][k] -> [k][n] */
static void
transpose(const float *in, size_t n, size_t k, float *out)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < k; j++)
			out[j * n + i] = in[i * k + j];
}

/* Antialiased, as Pillow's. */
static void
antialiased(const struct vit_config *c, const float *pos, int rows, int columns, float *out)
{
	size_t w = (size_t)c->width, n = (size_t)c->grid * (size_t)c->grid,
	       m = (size_t)rows * (size_t)columns;
	float *in = xmalloc(n * w * sizeof(*in)), *sized = xmalloc(m * w * sizeof(*sized));

	transpose(pos, n, w, in);
	image_filter_f32(sized, in, c->width, c->grid, c->grid, rows, columns, FILTER_BICUBIC);
	transpose(sized, w, m, out);
	free(in);
	free(sized);
}

void
vit_positions(const struct vit_config *c, const float *pos, int rows, int columns, float *out)
{
	bool own = c->layout == VIT_DINO || c->layout == VIT_DINO_HF || c->layout == VIT_DINOV2;

	if (rows == c->grid && columns == c->grid)
		memcpy(out, pos, (size_t)rows * (size_t)columns * (size_t)c->width * sizeof(*out));
	else if (c->registers)
		antialiased(c, pos, rows, columns, out);
	else /* the originals scale by (n + 0.1) / m */
		bicubic(c, pos, rows, columns, own ? 0.1 : 0, out);
}

/* The patches' places for this grid, made anew when it changes. */
static struct tensor *
places(struct vit *m, int rows, int columns)
{
	int64_t n = (int64_t)rows * columns;
	float *v;

	if (m->place && m->rows == rows && m->columns == columns)
		return m->place;
	tensor_drop(m->place);
	v = xmalloc((size_t)n * (size_t)m->cfg.width * sizeof(*v));
	vit_positions(&m->cfg, m->pos, rows, columns, v);
	m->place = tensor_hold(tensor_from(F32, 2, (int64_t[]){ n, m->cfg.width }, v));
	m->rows = rows;
	m->columns = columns;
	free(v);
	return m->place;
}

/* ---- forward ------------------------------------------------------------------------------ */

/* x [N,T,width] -> the same, or with `first` only the first token's [N,1,width] */
static struct tensor *
block_forward(const struct vit_block *b, const struct vit_config *c, struct tensor *x, bool first)
{
	struct tensor *h, *k, *v;

	scope_open();
	h = ln_layer_forward(&b->norm1, x);
	k = linear_layer_forward(&b->k, h, ACT_NONE);
	v = linear_layer_forward(&b->v, h, ACT_NONE);
	if (first) {
		h = op_slice(h, 1, 0, 1);
		x = op_slice(x, 1, 0, 1);
	}
	h = op_attention(linear_layer_forward(&b->q, h, ACT_NONE), k, v, c->heads, 0, false);
	x = op_add(x, linear_layer_forward(&b->out, h, ACT_NONE));
	h = ln_layer_forward(&b->norm2, x);
	if (c->swiglu)
		h = op_mul(linear_layer_forward(&b->gate, h, ACT_SILU),
		    linear_layer_forward(&b->fc1, h, ACT_NONE));
	else
		h = linear_layer_forward(&b->fc1, h, c->act);
	return scope_keep(op_add(x, linear_layer_forward(&b->fc2, h, ACT_NONE)));
}

/* x [N,H,W,3] -> tokens [N,1+registers+patches,width] after all blocks; with class_only the last
 * block makes only the class token: [N,1,width]. Positions are interpolated. */
static struct tensor *
run_blocks(struct vit *m, struct tensor *x, bool class_only)
{
	const struct vit_config *c = &m->cfg;
	int64_t n = x->dim[0], rows = x->dim[1] / c->patch, columns = x->dim[2] / c->patch;
	struct tensor *place = places(m, (int)rows, (int)columns), *first;

	scope_open();
	x = op_view(conv_layer_forward(&m->patch, x), n, rows * columns, c->width);
	first = op_broadcast(m->first, 3, (int64_t[]){ n, 1 + c->registers, c->width });
	x = op_concat((struct tensor *[]){ first, op_add(x, place) }, 2, 1);
	if (m->pre.w)
		x = ln_layer_forward(&m->pre, x);
	for (int i = 0; i < c->depth; i++)
		x = block_forward(&m->block[i], c, x, class_only && i == c->depth - 1);
	return scope_keep(x);
}

struct tensor *
vit_class(struct vit *m, struct tensor *x)
{
	return ln_layer_forward(&m->norm, op_view(run_blocks(m, x, true), x->dim[0], m->cfg.width));
}

struct tensor *
vit_patch_mean(struct vit *m, struct tensor *x)
{
	struct tensor *tokens = run_blocks(m, x, false);
	int64_t skip = 1 + m->cfg.registers;
	struct tensor *patches = op_slice(tokens, 1, skip, tokens->dim[1] - skip);

	return op_mean(ln_layer_forward(&m->norm, patches), 1u << 1, false);
}

struct tensor *
vit_project(const struct vit *m, struct tensor *cls)
{
	return linear_layer_forward(&m->project, cls, ACT_NONE);
}
