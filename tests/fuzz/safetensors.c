/*
 * safetensors: whatever the bytes, an error leaves a message and nothing else; a file that is taken
 * has every value where it says, and says the same when it is written and read again. The header's
 * length is tried as it is and set right.
 */
#include "base/err.h"
#include "base/mem.h"
#include "data/safetensors.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(x) ((x) ? (void)0 : abort())

/* The whole of its data is read, and counted. */
static size_t
read_all(const struct safetensors *st, const uint8_t *data, size_t size)
{
	size_t total = 0;

	for (int i = 0; i < st->n; i++) {
		const struct st_tensor *t = &st->t[i];
		size_t bytes = (size_t)t->n * st_dtype_size(t->dtype);
		float *f = xmalloc((size_t)t->n * sizeof(*f));
		double *d = xmalloc((size_t)t->n * sizeof(*d));

		CHECK(t->n >= 0 && t->ndim >= 0 && t->ndim <= ST_MAXDIM);
		CHECK((const uint8_t *)t->data >= data && bytes <= size &&
		    (size_t)((const uint8_t *)t->data - data) <= size - bytes);
		CHECK(st_find(st, t->name) == t);
		st_get_f32(t, f);
		st_get_f64(t, d);
		for (int64_t k = 0; k < t->n; k++)
			CHECK((float)d[k] == f[k] || f[k] != f[k] || t->dtype == ST_I64);
		total += bytes;
		free(f);
		free(d);
	}
	return total;
}

static void
check_same(const struct safetensors *a, const struct safetensors *b)
{
	CHECK(a->n == b->n && a->nmeta == b->nmeta);
	for (int i = 0; i < a->n; i++) {
		const struct st_tensor *s = &a->t[i], *t = &b->t[i];

		CHECK(strcmp(s->name, t->name) == 0 && s->dtype == t->dtype && s->ndim == t->ndim);
		CHECK(memcmp(s->dim, t->dim, (size_t)s->ndim * sizeof(s->dim[0])) == 0);
		CHECK(memcmp(s->data, t->data, (size_t)s->n * st_dtype_size(s->dtype)) == 0);
	}
	for (int i = 0; i < a->nmeta; i++)
		CHECK(strcmp(st_meta(b, a->meta[i].key), a->meta[i].value) == 0);
}

static void
write_and_read(const struct safetensors *st)
{
	const char **meta = xcalloc(2 * (size_t)st->nmeta + 1, sizeof(*meta));
	char *path = xasprintf("/tmp/phantom-fuzz-%ld.safetensors", (long)getpid());
	struct safetensors back;

	for (int i = 0; i < st->nmeta; i++) {
		meta[2 * i] = st->meta[i].key;
		meta[2 * i + 1] = st->meta[i].value;
	}
	CHECK(st_write(path, st->t, st->n, meta) == 0);
	CHECK(st_open(&back, path) == 0);
	check_same(st, &back);
	st_close(&back);
	unlink(path);
	free(path);
	free(meta);
}

static void
try(const uint8_t *data, size_t size)
{
	static unsigned taken;
	struct safetensors st;

	if (st_open_memory(&st, data, size, "x")) {
		CHECK(!st.t && !st.n && !st.mem.head && strncmp(errmsg(), "x: ", 3) == 0);
		return;
	}
	CHECK(read_all(&st, data, size) < size);
	if (taken++ % 64 == 0) /* files are slow */
		write_and_read(&st);
	st_close(&st);
}

/* What bytes p[0..n) of data follow, a header as long as it is to the last brace before them. */
static void
try_header(const uint8_t *data, size_t size)
{
	uint64_t len = size - 8;
	uint8_t *copy = xmalloc(size);

	memcpy(copy, data, size);
	while (len && copy[8 + len - 1] != '}')
		len--;
	memcpy(copy, &len, 8);
	try(copy, size);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try(data, size);
	if (size >= 8)
		try_header(data, size);
	return 0;
}
