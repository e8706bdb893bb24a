/*
 * CLIP's text encoder (transformers' CLIPTextModel), of any size that config.json states: token and
 * position embeddings, pre-norm layers with causal attention (padding is attended to), final norm.
 * Names text_model.embeddings.token_embedding.weight, text_model.encoder.layers.N...
 */
#ifndef MODEL_CLIP_H
#define MODEL_CLIP_H

#include "data/json.h"
#include "nn/params.h"
#include "tensor/ops.h"

struct clip_config {
	int vocab, length, width, layers, heads, mlp;
	enum act act;      /* quick_gelu (SD 1) or exact gelu (SD 2) */
	double eps;        /* of layer norms: 1e-5 */
	int projection;    /* projection_dim, kept for config.json */
};
struct clip_layer;

struct clip {
	struct clip_config cfg;
	struct params ps;
	struct clip_layer *layer;
	struct tensor *token, *position, *final_w, *final_b;
	enum dtype compute; /* what F32 values are worked with in: F32, or 16 bits for speed */
};

/* From config.json's object v; absent keys take transformers' defaults. 0, or -1 with a message. */
int clip_config_get(struct clip_config *, const struct json *, int v);
void clip_config_put(const struct clip_config *, struct sb *); /* as config.json */
int clip_init(struct clip *, const struct clip_config *, enum dtype, bool train);
void clip_release(struct clip *);
/* ids [N,T] I32, T at most `length` -> [N,T,width], after the final norm. hidden: NULL, or
 * [layers+1], for the states after the embeddings and after each layer. */
struct tensor *clip_forward(const struct clip *, struct tensor *ids, struct tensor **hidden);

#endif
