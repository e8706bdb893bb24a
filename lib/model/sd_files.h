/*
 * A model's files, read and written without a device: a diffusers folder (model_index.json, unet/,
 * vae/, text_encoder/, tokenizer/, scheduler/) or a single-file checkpoint.
 *
 *	struct sd_files f;
 *	if (sd_files_open(&f, "model", &(struct sd_sources){ 0 }) || sd_files_check(&f)) ...
 *	if (sd_files_write(&f, "copy", ST_F16, 0, NULL)) ...
 *	sd_files_close(&f);
 */
#ifndef MODEL_SD_FILES_H
#define MODEL_SD_FILES_H

#include "model/sd_config.h"
#include "model/weights.h"

/* Parts that do not come from the model's own place; all may be NULL. */
struct sd_sources {
	/* of the weights' files: "fp16", "" for the plain ones; NULL: what is there */
	const char *variant;
	const char *unet;      /* another folder of a U-Net, e.g. checkpoint-500/unet */
	const char *vae;
	const char *tokenizer; /* single files have none */
	bool v_prediction;     /* of a single file, which does not say */
};

struct sd_files {
	char *path;
	struct sd_config cfg;
	struct weights net[SD_NETS]; /* names are the nets' own */
	bool has[SD_NETS];
	struct weights single;       /* what the views above look into */
	char *tokenizer;             /* folder, or NULL */
};

/* 0, or -1 with a message. A folder without unet/ or vae/ is an error; one without text_encoder/
 * must have class_embedding/. */
int sd_files_open(struct sd_files *, const char *path, const struct sd_sources *);
void sd_files_close(struct sd_files *);
/* The model in a folder that changed last (by its model_index.json, or a .safetensors file); caller
 * frees; NULL with a message. */
char *sd_files_latest(const char *dir);
/* Only the configuration: of a folder laid out as a model's, or of a JSON file with an object for
 * each of "text_encoder" (or "class_embedding"), "unet", "vae" and, if it is not SD 1.5's,
 * "scheduler". */
int sd_files_config(struct sd_config *, const char *path);
/* Do the tensors fit the configurations? Each that is missing, unknown or misshapen is said on
 * stderr. */
int sd_files_check(const struct sd_files *);
/* Writes a diffusers folder into dir, which exists: floats as dtype, shards of at most `shard`
 * bytes (0: one file). meta as st_write's. */
int sd_files_write(const struct sd_files *, const char *dir, enum st_dtype dtype, int64_t shard,
    const char *const *meta);

#endif
