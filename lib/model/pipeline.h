/*
 * A Stable Diffusion model on the device: its networks, its tokenizer and its noise schedule.
 *
 *	struct pipeline p;
 *	if (pipeline_open(&p, "model", &(struct pipeline_opts){ .dtype = F32 })) die("%s",
 *	errmsg()); ...
 *	if (pipeline_save(&p, "out", ST_F32, 0, NULL)) ...
 *	pipeline_close(&p);
 */
#ifndef MODEL_PIPELINE_H
#define MODEL_PIPELINE_H

#include "model/lora.h"
#include "model/noise.h"
#include "model/sd_files.h"
#include "model/tokenizer.h"

struct pipeline_opts {
	struct sd_sources from;
	unsigned parts;       /* bits 1 << SD_TEXT and so on; 0: all that the model has */
	unsigned train;       /* those that get gradients (and so F32 values) */
	enum dtype dtype;     /* of the U-Net's, the text encoder's and the classes' values */
	enum dtype vae_dtype;
	/* To generate alone, in little memory: weights cannot be fetched (PARAMS_PACKED), each net
	 * is read when it is first wanted (pipeline_want; at once where LoRAs are merged in), of
	 * the autoencoder one direction, whose f16 stays f16 where it works in F32. */
	bool lean;
	bool as_stored;       /* those that are stored as f16 stay so, whatever dtype says */
	const struct lora_use *lora; /* merged into the weights, in this order */
	int nlora;
};

struct pipeline {
	char *path;
	struct pipeline_opts opts;   /* as it was opened; borrows what they point to */
	struct sd_config cfg;
	struct clip text;
	struct unet unet;
	struct vae vae;
	struct class_embed classes;
	bool has[SD_NETS];           /* it has these */
	bool there[SD_NETS];         /* and they are loaded */
	enum dtype dtype[SD_NETS];   /* of the values, loaded or not */
	/* lean: */
	struct vae encoder;          /* the autoencoder's; .blocks NULL: not loaded */
	bool doubling;               /* the U-Net loaded is for sides that halve evenly */
	struct sd_files *files;      /* where the rest is read from */
	struct tokenizer tokenizer;  /* .tab NULL: none */
	char *tokenizer_dir;
	struct noise_config noise;   /* the model's own scheduler */
};

/* Opens the files, checks them (every misfit is said on stderr), and reads them onto the device. 0,
 * or
 * -1 with a message: the program then ends with EXIT_FATAL. */
int pipeline_open(struct pipeline *, const char *path, const struct pipeline_opts *);
void pipeline_close(struct pipeline *);
/* Of a lean one: sees that a net (of the autoencoder the decoder) is there. -1 with a message. */
int pipeline_want(struct pipeline *, enum sd_net);
/* The U-Net for latents of this size. */
int pipeline_want_unet(struct pipeline *, int64_t h, int64_t w);
/* Do sides of latents halve evenly all the way down the U-Net? */
bool pipeline_halves(const struct pipeline *, int64_t h, int64_t w);
/* How a net of it is kept (params_packing). */
unsigned pipeline_packing(const struct pipeline *, enum sd_net, bool doubling);
/* The autoencoder that encodes; NULL with a message. */
const struct vae *pipeline_want_encoder(struct pipeline *);
/* Gives a net of a lean one back, until it is wanted again; not one that LoRAs are merged into. */
void pipeline_leave(struct pipeline *, enum sd_net);
/* Takes what is worked with in f16 or bf16 as F32 from here on. 1: done; 0: all was F32; -1 with a
 * message. */
int pipeline_widen(struct pipeline *);
/* A net's parameters; NULL if it is not loaded. */
struct params *pipeline_params(struct pipeline *, enum sd_net);
/* Writes what is loaded as a diffusers folder into dir, which is made; parts that were not loaded
 * are not written. Not atomic: call it between ckpt_begin and ckpt_commit. */
int pipeline_save(const struct pipeline *, const char *dir, enum st_dtype, int64_t shard,
    const char *const *meta);
/* The same model as a single file in the first programs' names (which has no tokenizer). */
int pipeline_save_single(const struct pipeline *, const char *path, enum st_dtype,
    const char *const *meta);

/* Token ids of a text, [pipeline_tokens()] of them. Returns how many there were uncut, or -1. */
int pipeline_encode(const struct pipeline *, const char *text, int32_t *ids);
int pipeline_tokens(const struct pipeline *);

#endif
