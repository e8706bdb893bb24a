/* NumPy .npy files, version 1 and 2, C order, little-endian: floats, signed integers, uint8,
 * bool. */
#ifndef DATA_NPY_H
#define DATA_NPY_H

#include "base/file.h"
#include "data/safetensors.h"

/* Reads into *t; t->data is to be freed by the caller; t->name is path. 0, or -1 with "path:
 * why". */
int npy_read(struct st_tensor *t, const char *path);
int npy_write(const struct st_tensor *t, const char *path); /* atomically; no BF16 */

/* A whole .npy file in memory; t->data points into p. 0, or -1 with why. */
int npy_parse(struct st_tensor *t, const void *p, size_t n);
/* What stands before t's data in a .npy file, appended; no BF16. */
void npy_header(const struct st_tensor *t, struct sb *);
/* A matrix of float rows, written row by row in bounded memory; the file appears whole at the
 * end. */
struct npy_rows {
	struct outfile f;
	int64_t n, dim; /* rows so far, floats of each */
};
int npy_rows_open(struct npy_rows *, const char *path, int64_t dim);
void npy_rows_add(struct npy_rows *, const float *row);
int npy_rows_commit(struct npy_rows *); /* 0, or -1 with a message */
void npy_rows_abort(struct npy_rows *);

#endif
