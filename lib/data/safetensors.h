/*
 * safetensors files: 8 bytes little-endian header length, JSON header, raw little-endian data.
 * Reading maps the file; every offset, shape and type is checked against the file's size before
 * use.
 */
#ifndef DATA_SAFETENSORS_H
#define DATA_SAFETENSORS_H

#include "base/mem.h"

#include <stdint.h>

enum st_dtype { ST_F64, ST_F32, ST_F16, ST_BF16, ST_I64, ST_I32, ST_I16, ST_I8, ST_U8, ST_BOOL };
enum { ST_MAXDIM = 8 };

struct st_tensor {
	const char *name;
	enum st_dtype dtype;
	int ndim;
	int64_t dim[ST_MAXDIM];
	int64_t n;        /* elements */
	const void *data; /* in the mapping; may be unaligned */
	/* or get, which makes the values as f32 from src when they are wanted (data NULL then);
	 * such a tensor is a float, and dtype is what it is written as */
	void (*get)(const void *src, float *out);
	const void *src;
	const struct st_map *map; /* NULL: in memory */
};

/* A file as it is mapped. */
struct st_map {
	void *p;
	size_t size;
	int fd;
};

struct safetensors {
	const char *path;
	struct st_map *map;
	size_t size;
	struct st_tensor *t; /* in the order of the header */
	int n;
	struct { const char *key, *value; } *meta; /* __metadata__ */
	int nmeta;
	struct arena mem;
};

int st_open(struct safetensors *, const char *path); /* 0, or -1 with "path: why" */
/* From memory (for tests and fuzzing): the bytes are borrowed. */
int st_open_memory(struct safetensors *, const void *p, size_t n, const char *name);
void st_close(struct safetensors *);
const struct st_tensor *st_find(const struct safetensors *, const char *name);
const char *st_meta(const struct safetensors *, const char *key);
/* Values converted to f32 / f64; out has room for t->n. */
void st_get_f32(const struct st_tensor *, float *out);
void st_get_f64(const struct st_tensor *, double *out);
size_t st_dtype_size(enum st_dtype);
/* The values were used: pages of the file that hold them may leave memory. They come back when they
 * are looked at again. */
void st_done(const struct st_tensor *);

/* Writing: atomically, tensors in the order given; of those that are made when they are wanted one
 * at a time is in memory. meta: pairs key, value, NULL-terminated, or NULL. */
int st_write(const char *path, const struct st_tensor *t, int n, const char *const *meta);

/* IEEE half and bfloat16, round to nearest even. */
uint16_t f32_to_f16(float x);
float f16_to_f32(uint16_t h);
uint16_t f32_to_bf16(float x);
float bf16_to_f32(uint16_t h);

#endif
