/*
 * LoRA (Hu et al., 2021): a weight W of a linear layer or a convolution becomes W + s alpha/rank B
 * A, with A [rank, in(,kh,kw)] and B [out, rank].
 *
 * Training leaves W as it is: the layer computes W x + alpha/rank B (A x), so that gradients go
 * into A and B alone and no full-rank product is ever made.
 *
 *	struct lora l;
 *	if (lora_init(&l, &unet.ps, (const char *[]){ "to_q", "to_v" }, 2, 4, 4, seed)) ...
 *	optim_init(&o, &conf, (struct params *[]){ &l.ps }, 1);
 *	...                                             unet_forward, backward, optim_step as ever
 *	if (lora_save((const struct lora *[SD_NETS]){ [SD_UNET] = &l }, LORA_PEFT,
 *	"lora.safetensors", NULL)) ... lora_release(&l);                               before the
 *	network goes
 *
 * For inference a file is merged into the weights before they are loaded: it costs nothing
 * afterwards.
 *
 * Files have keys of one of these forms, `alpha` being the rank where nothing else is said:
 *	PEFT        unet.TARGET.lora_A.weight, .lora_B.weight
 *	diffusers   unet.TARGET.lora.down.weight, .lora.up.weight;
 *	text_encoder.TARGET.lora_linear_layer... kohya       lora_unet_TARGET.lora_down.weight,
 *	.lora_up.weight, .alpha; lora_te_TARGET; with _ for .
 */
#ifndef MODEL_LORA_H
#define MODEL_LORA_H

#include "model/sd_files.h"

enum lora_form { LORA_PEFT, LORA_DIFFUSERS, LORA_KOHYA };
#define LORA_FORMS "peft|diffusers|kohya"

/* ---- files, without a device (lora_file.c) --------------------------------------------------- */

struct lora_entry {
	enum sd_net net;
	char *target;             /* the weight's name without .weight */
	int rank;
	double alpha;
	int64_t in, out;          /* in: input channels times kernel area */
	float *down, *up;         /* [rank, in], [out, rank] */
};

struct lora_file {
	char *path;
	struct lora_entry *e;
	size_t n, cap;
};

/*
 * Reads a file, or a folder that holds pytorch_lora_weights.safetensors or
 * adapter_model.safetensors (with adapter_config.json), for the networks whose parameters are given
 * (outlines will do; NULL: not there). Keys that no weight answers to, halves of pairs and shapes
 * that do not fit are each said on stderr: -1.
 */
int lora_open(struct lora_file *, const char *path, const struct params *const net[SD_NETS]);
void lora_close(struct lora_file *);
/* W += scale alpha/rank up down, for the weights of one net. Those changed become F32, in memory of
 * the weights' own. A weight that is not there, or misshapen, is left to params_check. */
void lora_merge(const struct lora_file *, enum sd_net, double scale, struct weights *);

/* A file and its strength, as given to options: FILE[:SCALE]. */
struct lora_use {
	char *path;
	double scale;             /* 1 where it is not said */
};
void lora_use_parse(struct lora_use *, const char *arg);
/* Reads the file for this model and merges it. 0, or -1 with a message. */
int lora_apply(const struct lora_use *, struct sd_files *);

/* ---- training (lora.c) ----------------------------------------------------------------------- */

struct lora_pair {
	char *target;
	int rank;
	double alpha;
	struct param *weight;     /* of the network */
	struct param *a, *b;    /* of ps, shaped as in files: [rank,in(,kh,kw)], [out,rank(,1,1)] */
	struct adapter adapter;   /* what the layer looks at */
};

struct lora {
	struct lora_pair *pair;
	int n;
	struct params ps;      /* TARGET.lora_A.weight, TARGET.lora_B.weight; F32, with gradients */
};

/* New pairs on every weight whose name (without .weight) is one of the targets or ends in a dot and
 * one of them ("to_q", "to_out.0", "conv1"): A ~ N(0, 1/rank^2), by seed and name; B = 0. -1: a
 * target without any. */
int lora_init(struct lora *, struct params *network, const char *const *targets, int ntargets,
    int rank, double alpha, uint64_t seed);
/* The pairs that a file has for the network, to train on. -1: it has none. */
int lora_load(struct lora *, struct params *network, const struct lora_file *, enum sd_net);
/* How far they count: 1 at first, 0 is the network alone. */
void lora_strength(struct lora *, double s);
/* Writes those given (NULL: none). What has no place for alpha has alpha/rank multiplied into B.
 * meta: as st_write's. */
int lora_save(const struct lora *const net[SD_NETS], enum lora_form, const char *path,
    const char *const *meta);
/* Takes them off the network's layers, which must still be there. */
void lora_release(struct lora *);

#endif
