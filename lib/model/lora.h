/*
 * LoRA: W + scale * alpha/rank * B A on linear and convolution weights. Files in PEFT's, old
 * diffusers' (unet.….lora.down.weight) and kohya's (lora_unet_…lora_down.weight, alpha) key forms,
 * read and written.
 */
#ifndef MODEL_LORA_H
#define MODEL_LORA_H

#include "data/safetensors.h"
#include "nn/params.h"

enum lora_form { LORA_PEFT, LORA_DIFFUSERS, LORA_KOHYA };
#define LORA_FORMS "peft|diffusers|kohya"

struct lora_pair {
	char *target;          /* weight's name within its network, without .weight */
	int rank;
	double alpha;
	struct tensor *a, *b;  /* a [rank, in(,kh,kw)], b [out, rank], F32 */
	struct param *weight;  /* of the network */
};
struct lora {
	struct lora_pair *pair;
	int n;
	struct params ps;      /* a and b as parameters, to train */
};

/* New pairs on every weight of the network whose name ends in one of the targets ("to_q", ...):
 * A ~ N(0, 1/rank), B = 0. */
int lora_init(struct lora *, struct params *network, const char *const *targets, int ntargets, int rank,
    double alpha, uint64_t seed);
/* Reads a file; prefix is the network's ("unet", "text_encoder"). All keys must find their weight. */
int lora_load(struct lora *, struct params *network, const char *prefix, const char *path);
int lora_save(const struct lora *const *, const char *const *prefix, int n, enum lora_form,
    const char *path);
/* Adds scale * delta to the network's weights (negative: takes it away again). */
void lora_merge(const struct lora *, double scale);
void lora_release(struct lora *);

#endif
