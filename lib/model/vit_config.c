/* Of which build a vision transformer is: by name, or from its file. */
#include "base/err.h"
#include "base/opt.h"
#include "data/json.h"
#include "model/vit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The published nets. reg: as with four registers. */
static const struct {
	const char *name;
	struct vit_config c;
} known[] = {
#define DINO(p, w, h) { VIT_DINO, p, w, 12, h, 4 * (w), 224 / (p), 0, 0, false, ACT_GELU, 1e-6 }
	{ "dino-vits16", DINO(16, 384, 6) },
	{ "dino-vits8", DINO(8, 384, 6) },
	{ "dino-vitb16", DINO(16, 768, 12) },
	{ "dino-vitb8", DINO(8, 768, 12) },
#define DINOV2(w, d, h, r) { VIT_DINOV2, 14, w, d, h, 4 * (w), 37, r, 0, false, ACT_GELU, 1e-6 }
	{ "dinov2-vits14", DINOV2(384, 12, 6, 0) },
	{ "dinov2-vitb14", DINOV2(768, 12, 12, 0) },
	{ "dinov2-vitl14", DINOV2(1024, 24, 16, 0) },
	{ "dinov2-vitg14", { VIT_DINOV2, 14, 1536, 40, 24, 4096, 37, 0, 0, true, ACT_GELU, 1e-6 } },
	{ "dinov2-vits14-reg", DINOV2(384, 12, 6, 4) },
	{ "dinov2-vitb14-reg", DINOV2(768, 12, 12, 4) },
	{ "dinov2-vitl14-reg", DINOV2(1024, 24, 16, 4) },
	{ "dinov2-vitg14-reg", { VIT_DINOV2, 14, 1536, 40, 24, 4096, 37, 4, 0, true, ACT_GELU,
	    1e-6 } },
#define CLIP(p, w, d, h, out) \
	{ VIT_CLIP, p, w, d, h, 4 * (w), 224 / (p), 0, out, false, ACT_QUICK_GELU, 1e-5 }
	{ "clip-vitb32", CLIP(32, 768, 12, 12, 512) },
	{ "clip-vitb16", CLIP(16, 768, 12, 12, 512) },
	{ "clip-vitl14", CLIP(14, 1024, 24, 16, 768) },
	{ "dino-mini", { VIT_DINO, 16, 64, 2, 1, 128, 14, 0, 0, false, ACT_GELU, 1e-6 } },
	{ "dinov2-mini", { VIT_DINOV2, 14, 64, 2, 1, 64, 16, 4, 0, true, ACT_GELU, 1e-6 } },
	{ "clip-mini", { VIT_CLIP, 32, 64, 2, 1, 128, 7, 0, 32, false, ACT_QUICK_GELU, 1e-5 } },
};

const char vit_names[] = "dino-vit(s|b)(16|8), dinov2-vit(s|b|l|g)14[-reg], clip-vit(b32|b16|l14), "
    "(dino|dinov2|clip)-mini";

int
vit_config_named(struct vit_config *c, const char *name)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(name, known[i].name) == 0) {
			*c = known[i].c;
			return 0;
		}
	return err("%s: no such vision transformer: %s", name, vit_names);
}

/* ---- from a file -------------------------------------------------------------------------- */

/* Dimension k of a tensor, as a size that nets may have; 0 without it. */
static int
dim_of(const struct safetensors *st, const char *name, int k)
{
	const struct st_tensor *t = st_find(st, name);

	return t && k < t->ndim && t->dim[k] > 0 && t->dim[k] <= 1 << 20 ? (int)t->dim[k] : 0;
}

/* How many blocks PREFIX.0.TENSOR, PREFIX.1.TENSOR, ... there are. */
static int
count_blocks(const struct safetensors *st, const char *prefix, const char *tensor)
{
	int n = 0;
	char *name = xasprintf("%s.%d.%s", prefix, n, tensor);

	while (n < 1000 && st_find(st, name)) {
		free(name);
		name = xasprintf("%s.%d.%s", prefix, ++n, tensor);
	}
	free(name);
	return n;
}

static int
find_layout(struct vit_config *c, const struct safetensors *st)
{
	if (st_find(st, "vision_model.embeddings.class_embedding"))
		c->layout = VIT_CLIP;
	else if (st_find(st, "embeddings.cls_token"))
		c->layout = st_find(st, "encoder.layer.0.layer_scale1.lambda1") ? VIT_DINOV2_HF
		    : VIT_DINO_HF;
	else if (st_find(st, "cls_token") && st_find(st, "patch_embed.proj.weight"))
		c->layout = st_find(st, "blocks.0.ls1.gamma") ? VIT_DINOV2 : VIT_DINO;
	else
		return err("%s: no vision transformer of a kind known here", st->path);
	return 0;
}

/* Which tensors tell the sizes. */
static const struct tells {
	const char *patch, *pos, *blocks, *norm1, *fc1, *swiglu, *registers;
	double eps;
} tells[] = {
	[VIT_DINO] = { "patch_embed.proj.weight", "pos_embed", "blocks", "norm1.weight",
		"blocks.0.mlp.fc1.weight", "", "", 1e-6 },
	[VIT_DINO_HF] =
	{ "embeddings.patch_embeddings.projection.weight", "embeddings.position_embeddings",
		"encoder.layer", "layernorm_before.weight",
		"encoder.layer.0.intermediate.dense.weight", "", "", 1e-12 },
	[VIT_DINOV2] = { "patch_embed.proj.weight", "pos_embed", "blocks", "norm1.weight",
		"blocks.0.mlp.fc1.weight", "blocks.0.mlp.w12.weight", "register_tokens", 1e-6 },
	[VIT_DINOV2_HF] =
	{ "embeddings.patch_embeddings.projection.weight", "embeddings.position_embeddings",
		"encoder.layer", "norm1.weight", "encoder.layer.0.mlp.fc1.weight",
		"encoder.layer.0.mlp.weights_in.weight", "embeddings.register_tokens", 1e-6 },
	[VIT_CLIP] = { "vision_model.embeddings.patch_embedding.weight",
		"vision_model.embeddings.position_embedding.weight", "vision_model.encoder.layers",
		"layer_norm1.weight", "vision_model.encoder.layers.0.mlp.fc1.weight", "", "",
		1e-5 },
};

static void
read_shapes(struct vit_config *c, const struct safetensors *st)
{
	const struct tells *t = &tells[c->layout];
	bool clip = c->layout == VIT_CLIP;
	int places = dim_of(st, t->pos, clip ? 0 : 1) - 1;

	c->width = dim_of(st, t->patch, 0);
	c->patch = dim_of(st, t->patch, 3);
	c->grid = places > 0 ? (int)lround(sqrt(places)) : 0;
	c->grid = c->grid * c->grid == places ? c->grid : 0;
	c->depth = count_blocks(st, t->blocks, t->norm1);
	c->swiglu = dim_of(st, t->swiglu, 0) > 0;
	c->mlp = c->swiglu ? dim_of(st, t->swiglu, 0) / 2 : dim_of(st, t->fc1, 0);
	c->registers = dim_of(st, t->registers, 1);
	c->projection = clip ? dim_of(st, "visual_projection.weight", 0) : 0;
	c->eps = t->eps;
	c->act = clip ? ACT_QUICK_GELU : ACT_GELU;
}

static int
read_json(struct vit_config *c, const char *text)
{
	struct arena mem = { 0 };
	struct json j;
	int v, vision, ret = 0;
	int64_t heads = c->heads;
	char *act;

	if (json_parse(&j, text, strlen(text)))
		return err_prefix("config.json");
	vision = json_get(&j, 0, "vision_config");
	vision = vision < 0 ? 0 : vision;
	if ((v = json_get(&j, vision, "num_attention_heads")) >= 0 && json_int(&j, v, &heads))
		ret = -1;
	if ((v = json_get(&j, vision, "layer_norm_eps")) >= 0 && json_num(&j, v, &c->eps))
		ret = -1;
	v = json_get(&j, vision, "hidden_act");
	act = v < 0 ? NULL : json_str(&j, v, &mem);
	if (act && strcmp(act, "gelu") == 0)
		c->act = ACT_GELU;
	else if (act && strcmp(act, "quick_gelu") == 0)
		c->act = ACT_QUICK_GELU;
	else if (act)
		ret = err("hidden_act '%s': want gelu or quick_gelu", act);
	c->heads = heads > 0 && heads <= c->width ? (int)heads : 0;
	if (!(c->eps >= 0 && c->eps < 1))
		ret = err("layer_norm_eps %g", c->eps);
	arena_release(&mem);
	json_release(&j);
	return ret ? err_prefix("config.json") : 0;
}

int
vit_config_from(struct vit_config *c, const struct safetensors *st, const char *json)
{
	const char *meta = st_meta(st, "num_heads");
	int64_t heads;

	*c = (struct vit_config){ 0 };
	if (find_layout(c, st))
		return -1;
	read_shapes(c, st);
	if (!c->width || !c->patch || !c->grid || !c->depth || !c->mlp)
		return err("%s: no vision transformer: patches, positions or blocks are missing",
		    st->path);
	c->heads = c->width % 64 ? 0 : c->width / 64;
	if (meta && parse_int(meta, 1, c->width, &heads) == 0)
		c->heads = (int)heads;
	if (json && read_json(c, json))
		return err_prefix("%s", st->path);
	if (!c->heads || c->width % c->heads)
		return err(
		    "%s: a width of %d in %d heads: the metadata's num_heads, or config.json, says "
		    "how many",
		    st->path, c->width, c->heads);
	return 0;
}
