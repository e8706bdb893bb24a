/*
 * The tensors of one network, wherever they lie: one safetensors file, several with an index, parts
 * of a larger file, or memory. What comes out is a `struct safetensors` for params_load, with the
 * names that the network has.
 *
 *	struct weights w;
 *	if (weights_open(&w, "model/unet", "diffusion_pytorch_model", NULL)) return -1;
 *	if (params_load(&unet.ps, &w.st, "", PARAMS_LIST)) ...
 *	weights_close(&w);
 *
 * Files stay mapped, and their data borrowed, until weights_close.
 */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "data/safetensors.h"
#include "nn/params.h"

struct weights {
	struct safetensors st;    /* the view: .path, .t, .n */
	struct safetensors *file; /* mapped */
	int nfiles;
	void **data;              /* values of its own */
	size_t cap, ndata, capdata;
	struct arena mem;
};

/* DIR/STEM.safetensors, or its shards as DIR/STEM.safetensors.index.json lists them. variant: the
 * files STEM.VARIANT.safetensors (as published for fp16), "" for the plain ones, NULL for what is
 * there: the plain ones first, and of other names the only file or index. Only pickled files there:
 * -1 with the way to convert them. */
int weights_open(struct weights *, const char *dir, const char *stem, const char *variant);
/* Any one file, tensors as they are named there. Refuses pickles likewise. */
int weights_open_file(struct weights *, const char *path);
/* Empty, to be filled; path is for messages. */
void weights_init(struct weights *, const char *path);
/* Adds a tensor whose data is borrowed; name is copied. */
void weights_add(struct weights *, const char *name, const struct st_tensor *);
/* All that a network holds, as F32 (counters as I64), fetched from the device when it is wanted:
 * the network must stay until weights_close. */
void weights_from_params(struct weights *, const char *path, const struct params *);
/* Memory for n bytes of values that goes with the weights. */
void *weights_alloc(struct weights *, size_t n);
/* Renames one tensor, if it is there. */
void weights_rename(struct weights *, const char *from, const char *to);
/* Takes a tensor out, if it is there. */
void weights_remove(struct weights *, const char *name);
void weights_close(struct weights *);

/* Writes them as DIR/STEM.safetensors, floats as `dtype`; in shards with an index where they are
 * more than `shard` bytes (0: never). meta as st_write's. One tensor at a time is in memory. */
int weights_write(const struct weights *, const char *dir, const char *stem, enum st_dtype dtype,
    int64_t shard, const char *const *meta);

/* Is this a file of Python pickles (by its extension)? */
bool is_pickle(const char *path);

#endif
