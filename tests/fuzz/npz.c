/*
 * npz and npy: whatever the bytes, an error leaves a message and nothing else; what is taken has
 * every value where it says. Statistics that are taken are of one size and finite.
 */
#include "base/err.h"
#include "base/mem.h"
#include "data/npy.h"
#include "data/npz.h"
#include "metric/feature_moments.h"
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(x) ((x) ? (void)0 : abort())

static void
read_values(const struct st_tensor *t)
{
	double *d = xmalloc((size_t)t->n * sizeof(*d) + 1);
	int64_t n = 1;

	for (int i = 0; i < t->ndim; i++)
		n *= t->dim[i];
	CHECK(n == t->n);
	st_get_f64(t, d);
	free(d);
}

static void
try_npy(const uint8_t *data, size_t size)
{
	uint8_t *copy = xmalloc(size + 1); /* ends where the data end, for the address sanitizer */
	struct st_tensor t = { 0 };

	memcpy(copy, data, size);
	if (npy_parse(&t, copy, size) == 0) {
		CHECK((size_t)t.n * st_dtype_size(t.dtype) <= size);
		read_values(&t);
	} else {
		CHECK(*errmsg());
	}
	free(copy);
}

static void
try_npz(const uint8_t *data, size_t size)
{
	static char *path;
	struct npz z;
	struct fset s;
	FILE *f;

	if (!path)
		path = xasprintf("/tmp/phantom-fuzz-%ld.npz", (long)getpid());
	f = fopen(path, "wb"); /* file_write() waits for the disk */
	CHECK(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
	if (npz_read(&z, path)) {
		CHECK(!z.n && strncmp(errmsg(), path, strlen(path)) == 0);
	} else {
		for (int i = 0; i < z.n; i++) {
			CHECK(z.t[i].name && *z.t[i].name);
			read_values(&z.t[i]);
		}
		npz_release(&z);
	}
	if (fset_read_moments(&s, path)) {
		CHECK(!s.sigma && strncmp(errmsg(), path, strlen(path)) == 0);
	} else {
		CHECK(s.d > 0 && s.n >= 0 && isfinite(s.moments.mean[s.d - 1]) &&
		    isfinite(s.sigma[s.d * s.d - 1]));
		CHECK(s.source.network && s.source.preprocess && s.source.weights);
		fset_release(&s);
	}
	unlink(path);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_npy(data, size);
	if (size >= 4 && memcmp(data, "PK", 2) == 0)
		try_npz(data, size);
	return 0;
}
