#include "model/clip.h"

#include "base/err.h"
#include "base/mem.h"
#include "model/sd_blocks.h"

#include <stdlib.h>
#include <string.h>

struct clip_layer {
	struct ln_layer norm1, norm2;
	struct linear_layer q, k, v, out, fc1, fc2;
};

int
clip_config_get(struct clip_config *c, const struct json *j, int v)
{
	struct arena mem = { 0 };
	int act = json_get(j, v, "hidden_act");
	const char *name = act >= 0 ? json_str(j, act, &mem) : "quick_gelu";
	int ret = 0;

	*c = (struct clip_config){ 49408, 77, 512, 12, 8, 2048, ACT_QUICK_GELU, 1e-5, 512 };
	if (json_member_int(j, v, "vocab_size", 1, 1 << 24, &c->vocab) ||
	    json_member_int(j, v, "max_position_embeddings", 1, 1 << 16, &c->length) ||
	    json_member_int(j, v, "hidden_size", 1, 1 << 16, &c->width) ||
	    json_member_int(j, v, "num_hidden_layers", 1, 1000, &c->layers) ||
	    json_member_int(j, v, "num_attention_heads", 1, 1 << 12, &c->heads) ||
	    json_member_int(j, v, "intermediate_size", 1, 1 << 18, &c->mlp) ||
	    json_member_int(j, v, "projection_dim", 1, 1 << 16, &c->projection) ||
	    json_member_num(j, v, "layer_norm_eps", &c->eps))
		ret = -1;
	else if (c->width % c->heads)
		ret = err("hidden_size %d is not a multiple of num_attention_heads %d", c->width,
		    c->heads);
	else if (name && strcmp(name, "gelu") == 0)
		c->act = ACT_GELU;
	else if (!name || strcmp(name, "quick_gelu") != 0)
		ret = err("hidden_act '%s': want quick_gelu or gelu", name ? name : "?");
	arena_release(&mem);
	return ret ? err_prefix("text encoder") : 0;
}

void
clip_config_put(const struct clip_config *c, struct sb *sb)
{
	sb_printf(sb,
	    "{\n  \"architectures\": [\"CLIPTextModel\"],\n  \"model_type\": \"clip_text_model\",\n"
	    "  \"vocab_size\": %d,\n  \"max_position_embeddings\": %d,\n  \"hidden_size\": %d,\n"
	    "  \"num_hidden_layers\": %d,\n  \"num_attention_heads\": %d,\n  "
	    "\"intermediate_size\": %d,\n"
	    "  \"projection_dim\": %d,\n  \"hidden_act\": \"%s\",\n  \"layer_norm_eps\": %g,\n"
	    "  \"attention_dropout\": 0.0\n}\n",
	    c->vocab, c->length, c->width, c->layers, c->heads, c->mlp, c->projection,
	    c->act == ACT_GELU ? "gelu" : "quick_gelu", c->eps);
}

int
clip_init(struct clip *m, const struct clip_config *cfg, enum dtype dtype, bool train)
{
	int64_t w = cfg->width;

	*m = (struct clip){ .cfg = *cfg };
	params_init(&m->ps, dtype, train);
	m->layer = xcalloc((size_t)cfg->layers, sizeof(*m->layer));
	params_add(&m->ps, &m->token, PARAM_PLAIN, 2, (int64_t[]){ cfg->vocab, w },
	    "text_model.embeddings.token_embedding.weight");
	params_add(&m->ps, &m->position, PARAM_PLAIN, 2, (int64_t[]){ cfg->length, w },
	    "text_model.embeddings.position_embedding.weight");
	for (int i = 0; i < cfg->layers; i++) {
		struct clip_layer *l = &m->layer[i];
		static const char at[] = "text_model.encoder.layers";

		ln_layer_init(&l->norm1, &m->ps, w, cfg->eps, "%s.%d.layer_norm1", at, i);
		linear_layer_init(&l->q, &m->ps, w, w, true, "%s.%d.self_attn.q_proj", at, i);
		linear_layer_init(&l->k, &m->ps, w, w, true, "%s.%d.self_attn.k_proj", at, i);
		linear_layer_init(&l->v, &m->ps, w, w, true, "%s.%d.self_attn.v_proj", at, i);
		linear_layer_init(&l->out, &m->ps, w, w, true, "%s.%d.self_attn.out_proj", at, i);
		ln_layer_init(&l->norm2, &m->ps, w, cfg->eps, "%s.%d.layer_norm2", at, i);
		linear_layer_init(&l->fc1, &m->ps, w, cfg->mlp, true, "%s.%d.mlp.fc1", at, i);
		linear_layer_init(&l->fc2, &m->ps, cfg->mlp, w, true, "%s.%d.mlp.fc2", at, i);
	}
	params_add(&m->ps, &m->final_w, PARAM_PLAIN, 1, &w, "text_model.final_layer_norm.weight");
	params_add(&m->ps, &m->final_b, PARAM_PLAIN, 1, &w, "text_model.final_layer_norm.bias");
	params_ready(&m->ps);
	return 0;
}

void
clip_release(struct clip *m)
{
	params_release(&m->ps);
	free(m->layer);
	*m = (struct clip){ 0 };
}

static struct tensor *
layer_forward(const struct clip_layer *l, const struct clip_config *c, struct tensor *x)
{
	struct tensor *h;

	scope_open();
	h = ln_layer_forward(&l->norm1, x);
	h = op_attention(linear_layer_forward(&l->q, h, ACT_NONE),
	    linear_layer_forward(&l->k, h, ACT_NONE), linear_layer_forward(&l->v, h, ACT_NONE),
	    c->heads, 0, true);
	x = op_add(x, linear_layer_forward(&l->out, h, ACT_NONE));
	h = linear_layer_forward(&l->fc1, ln_layer_forward(&l->norm2, x), c->act);
	return scope_keep(op_add(x, linear_layer_forward(&l->fc2, h, ACT_NONE)));
}

struct tensor *
clip_forward(const struct clip *m, struct tensor *ids, struct tensor **hidden)
{
	int64_t t = ids->ndim == 2 ? ids->dim[1] : 0;
	struct tensor *x;

	if (t < 1 || t > m->cfg.length)
		op_die("clip_forward", "ids %s, at most %d each", tensor_shape(ids), m->cfg.length);
	x = op_add(op_gather_rows(m->token, ids), op_slice(m->position, 0, 0, t));
	if (m->compute != F32)
		x = op_cast(x, m->compute);
	for (int i = 0; i < m->cfg.layers; i++) {
		if (hidden)
			hidden[i] = x;
		x = layer_forward(&m->layer[i], &m->cfg, x);
	}
	if (hidden)
		hidden[m->cfg.layers] = x;
	return op_layer_norm(x, m->final_w, m->final_b, m->cfg.eps);
}
