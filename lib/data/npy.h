/* NumPy .npy files, version 1 and 2, C order, little-endian: floats, signed integers, uint8, bool. */
#ifndef DATA_NPY_H
#define DATA_NPY_H

#include "data/safetensors.h"

/* Reads into *t; t->data is to be freed by the caller; t->name is path. 0, or -1 with "path: why". */
int npy_read(struct st_tensor *t, const char *path);
int npy_write(const struct st_tensor *t, const char *path); /* atomically; no BF16 */

/* A whole .npy file in memory; t->data points into p. 0, or -1 with why. */
int npy_parse(struct st_tensor *t, const void *p, size_t n);
/* What stands before t's data in a .npy file, appended; no BF16. */
void npy_header(const struct st_tensor *t, struct sb *);

#endif
