/*
 * NumPy .npz files: a zip of .npy members, stored or deflated.
 *
 *	struct npz z;
 *	if (npz_read(&z, path)) return -1;
 *	const struct st_tensor *mu = npz_find(&z, "mu");
 *	npz_release(&z);
 *
 * Members that are no .npy are passed over. All is held in memory, at most NPZ_MAX bytes.
 */
#ifndef DATA_NPZ_H
#define DATA_NPZ_H

#include "data/safetensors.h"

#define NPZ_MAX (INT64_C(4) << 30)
enum { NPZ_MEMBERS = 64 };

struct npz {
	struct st_tensor t[NPZ_MEMBERS]; /* named without ".npy" */
	int n;
	void *bytes[NPZ_MEMBERS];
	struct arena mem;
};

int npz_read(struct npz *, const char *path); /* 0, or -1 with "path: why" */
const struct st_tensor *npz_find(const struct npz *, const char *name);
void npz_release(struct npz *);

/* Writes n tensors (no BF16), stored, atomically, the same bytes each time. -1 with a message. */
int npz_write(const char *path, const struct st_tensor *t, int n);

#endif
