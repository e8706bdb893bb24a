/* NumPy .npy files, version 1 and 2, C order, little-endian: float32/64, integers and uint8. */
#ifndef DATA_NPY_H
#define DATA_NPY_H

#include "data/safetensors.h"

/* Reads into *t; t->data is to be freed by the caller. */
int npy_read(struct st_tensor *t, const char *path);
int npy_write(const struct st_tensor *t, const char *path);

#endif
