#include "data/safetensors.h"

#include "base/err.h"
#include "base/file.h"
#include "data/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensor data is used as it is mapped");

enum { HEADER_LIMIT = 100 << 20 }; /* bytes; the reference implementation's limit */

static const struct {
	const char *name;
	size_t size;
} dtypes[] = {
	[ST_F64] = { "F64", 8 }, [ST_F32] = { "F32", 4 },   [ST_F16] = { "F16", 2 },
	[ST_BF16] = { "BF16", 2 }, [ST_I64] = { "I64", 8 }, [ST_I32] = { "I32", 4 },
	[ST_I16] = { "I16", 2 }, [ST_I8] = { "I8", 1 },     [ST_U8] = { "U8", 1 },
	[ST_BOOL] = { "BOOL", 1 },
};
enum { NDTYPES = sizeof(dtypes) / sizeof(dtypes[0]) };

size_t
st_dtype_size(enum st_dtype d)
{
	return dtypes[d].size;
}

/* ---- the header ------------------------------------------------------------------------------ */

static int
parse_dtype(const struct json *j, int v, struct arena *mem, enum st_dtype *out)
{
	const char *name = v < 0 ? NULL : json_str(j, v, mem);

	if (!name)
		return err("no dtype");
	for (int i = 0; i < NDTYPES; i++) {
		if (strcmp(name, dtypes[i].name) == 0) {
			*out = (enum st_dtype)i;
			return 0;
		}
	}
	return err("dtype %s is not known", name);
}

static int
parse_shape(const struct json *j, int v, struct st_tensor *t)
{
	size_t n = 1;
	int at = v + 1;

	if (v < 0 || j->v[v].type != JSON_ARRAY)
		return err("no shape");
	if (j->v[v].size > ST_MAXDIM)
		return err("%d dimensions are more than %d", j->v[v].size, ST_MAXDIM);
	t->ndim = j->v[v].size;
	for (int i = 0; i < t->ndim; i++, at = j->v[at].next) {
		if (json_int(j, at, &t->dim[i]) || t->dim[i] < 0)
			return err("dimension %d is not a size", i);
		if (!mul_size(n, (size_t)t->dim[i], &n) || n > INT64_MAX / 8)
			return err("the shape overflows");
	}
	t->n = (int64_t)n;
	return 0;
}

/* One entry; begin and end are offsets into the data, which has `size` bytes. */
static int
parse_tensor(const struct json *j, int v, struct arena *mem, size_t size, struct st_tensor *t,
    size_t *begin, size_t *end)
{
	int off = json_get(j, v, "data_offsets");
	int64_t from, to;

	if (j->v[v].type != JSON_OBJECT)
		return err("is no object");
	if (parse_dtype(j, json_get(j, v, "dtype"), mem, &t->dtype) ||
	    parse_shape(j, json_get(j, v, "shape"), t))
		return -1;
	if (off < 0 || j->v[off].type != JSON_ARRAY || j->v[off].size != 2 ||
	    json_int(j, off + 1, &from) || json_int(j, off + 2, &to))
		return err("no data_offsets");
	if (from < 0 || to < from || (uint64_t)to > size)
		return err("data_offsets %" PRId64 " to %" PRId64
		           " do not lie in %zu bytes of data",
		    from, to, size);
	/* n is below 2^63 / 8, so this does not wrap */
	if ((uint64_t)(to - from) != (uint64_t)t->n * dtypes[t->dtype].size)
		return err("%" PRId64 " bytes of data do not fit its shape and dtype", to - from);
	*begin = (size_t)from;
	*end = (size_t)to;
	return 0;
}

static int
parse_meta(struct safetensors *st, const struct json *j, int v)
{
	int n = j->v[v].size;

	if (j->v[v].type != JSON_OBJECT)
		return err("__metadata__ is no object");
	st->meta = arena_alloc(&st->mem, (size_t)n * sizeof(*st->meta));
	for (int i = 0, at = v + 1; i < n; i++) {
		const char *key = json_str(j, at, &st->mem);
		const char *value = json_str(j, j->v[at].next, &st->mem);

		if (!key || !value)
			return err("__metadata__ holds something that is no string");
		st->meta[st->nmeta].key = key;
		st->meta[st->nmeta++].value = value;
		at = j->v[j->v[at].next].next;
	}
	return 0;
}

struct span {
	size_t begin, end;
	const char *name;
};

static int
by_offset(const void *pa, const void *pb)
{
	const struct span *a = pa, *b = pb;

	if (a->begin != b->begin)
		return a->begin < b->begin ? -1 : 1;
	return a->end < b->end ? -1 : a->end > b->end;
}

/* The tensors must fill the data without overlap and without gaps. */
static int
check_spans(struct span *s, int n, size_t size)
{
	size_t at = 0;

	qsort(s, (size_t)n, sizeof(*s), by_offset);
	for (int i = 0; i < n; i++) {
		if (s[i].begin < at)
			return err("tensor %s overlaps another", s[i].name);
		if (s[i].begin > at)
			return err("%zu bytes before tensor %s belong to none", s[i].begin - at,
			    s[i].name);
		at = s[i].end;
	}
	if (at != size)
		return err("%zu bytes after the last tensor belong to none", size - at);
	return 0;
}

static int
parse_entries(struct safetensors *st, const struct json *j, const char *data, size_t size)
{
	int n, r = 0;
	struct span *spans;

	if (j->v[0].type != JSON_OBJECT)
		return err("the header is no JSON object");
	n = j->v[0].size;
	st->t = arena_alloc(&st->mem, (size_t)n * sizeof(*st->t));
	spans = xcalloc((size_t)n, sizeof(*spans));
	for (int i = 0, at = 1; i < n && !r; i++) {
		struct st_tensor *t = &st->t[st->n];
		struct span *s = &spans[st->n];
		int v = j->v[at].next;

		*t = (struct st_tensor){ .name = json_str(j, at, &st->mem) };
		if (!t->name) {
			r = err("a tensor's name holds a NUL");
		} else if (strcmp(t->name, "__metadata__") == 0) {
			r = parse_meta(st, j, v);
		} else if (parse_tensor(j, v, &st->mem, size, t, &s->begin, &s->end)) {
			r = err_prefix("tensor %s", t->name);
		} else {
			t->data = data + s->begin;
			s->name = t->name;
			st->n++;
		}
		at = j->v[v].next;
	}
	if (!r)
		r = check_spans(spans, st->n, size);
	free(spans);
	return r;
}

static int
parse(struct safetensors *st, const char *p, size_t n)
{
	uint64_t header;
	struct json j;
	int r;

	if (n < sizeof(header))
		return err("truncated: not even a header length");
	memcpy(&header, p, sizeof(header));
	if (header > n - sizeof(header))
		return err("truncated, or no safetensors: a header of %" PRIu64
		           " bytes in a file of %zu",
		    header, n);
	if (header > HEADER_LIMIT)
		return err("a header of %" PRIu64 " bytes is too long", header);
	if (json_parse(&j, p + sizeof(header), (size_t)header))
		return err_prefix("header");
	r = parse_entries(st, &j, p + sizeof(header) + header, n - sizeof(header) - (size_t)header);
	json_release(&j);
	return r;
}

/* ---- opening --------------------------------------------------------------------------------- */

int
st_open_memory(struct safetensors *st, const void *p, size_t n, const char *name)
{
	*st = (struct safetensors){ .size = n };
	st->path = arena_strndup(&st->mem, name, strlen(name));
	if (!parse(st, p, n))
		return 0;
	err_prefix("%s", name);
	st_close(st);
	return -1;
}

int
st_open(struct safetensors *st, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct st_map *m = NULL;
	struct stat sb;
	void *map = NULL;
	size_t n;

	*st = (struct safetensors){ 0 };
	if (fd < 0)
		return err("%s:", path);
	if (fstat(fd, &sb)) {
		err("%s:", path);
		close(fd);
		return -1;
	}
	if (!S_ISREG(sb.st_mode)) {
		close(fd);
		return err("%s: is no regular file", path);
	}
	n = (size_t)sb.st_size;
	if (n) { /* mmap takes no length of 0; parse() has a better message */
		map = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED) {
			err("%s: mmap:", path);
			close(fd);
			return -1;
		}
	}
	if (st_open_memory(st, map, n, path)) {
		if (map)
			munmap(map, n);
		close(fd);
		return -1;
	}
	st->map = m = arena_alloc(&st->mem, sizeof(*m));
	*m = (struct st_map){ map, n, fd };
	for (int i = 0; i < st->n; i++)
		st->t[i].map = m;
	return 0;
}

void
st_done(const struct st_tensor *t)
{
	const struct st_map *m = t->map;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = (size_t)t->n * dtypes[t->dtype].size, from;

	/* a copy that was given other values keeps its map */
	if (!m || n == 0 || (uintptr_t)t->data < (uintptr_t)m->p ||
	    (uintptr_t)t->data + n > (uintptr_t)m->p + m->size)
		return;
	from = (size_t)((const char *)t->data - (const char *)m->p);
	n += from % page;
	from -= from % page;
	/* the same part of the file in its own place, untouched as yet */
	if (mmap((char *)m->p + from, n, PROT_READ, MAP_PRIVATE | MAP_FIXED, m->fd, (off_t)from) ==
	    MAP_FAILED)
		die("mmap:");
}

void
st_close(struct safetensors *st)
{
	if (st->map) {
		munmap(st->map->p, st->size);
		close(st->map->fd);
	}
	arena_release(&st->mem);
	*st = (struct safetensors){ 0 };
}

const struct st_tensor *
st_find(const struct safetensors *st, const char *name)
{
	for (int i = 0; i < st->n; i++)
		if (strcmp(st->t[i].name, name) == 0)
			return &st->t[i];
	return NULL;
}

const char *
st_meta(const struct safetensors *st, const char *key)
{
	for (int i = 0; i < st->nmeta; i++)
		if (strcmp(st->meta[i].key, key) == 0)
			return st->meta[i].value;
	return NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Element i of t, whose bytes may stand at any address. */
static double
element(const struct st_tensor *t, size_t i)
{
	const char *p = (const char *)t->data + i * dtypes[t->dtype].size;
	union {
		double f64;
		float f32;
		uint16_t half;
		int64_t i64;
		int32_t i32;
		int16_t i16;
		int8_t i8;
		uint8_t u8;
	} v;

	memcpy(&v, p, dtypes[t->dtype].size);
	switch (t->dtype) {
	case ST_F64:
		return v.f64;
	case ST_F32:
		return v.f32;
	case ST_F16:
		return f16_to_f32(v.half);
	case ST_BF16:
		return bf16_to_f32(v.half);
	case ST_I64:
		return (double)v.i64;
	case ST_I32:
		return v.i32;
	case ST_I16:
		return v.i16;
	case ST_I8:
		return v.i8;
	case ST_U8:
		return v.u8;
	case ST_BOOL:
		return v.u8 != 0;
	}
	return 0;
}

void
st_get_f32(const struct st_tensor *t, float *out)
{
	size_t n = (size_t)t->n;

	if (t->get) {
		t->get(t->src, out);
		return;
	}
	/* floats are copied, so that NaNs keep their bits; the large files are of these types */
	if (t->dtype == ST_F32 && n) {
		memcpy(out, t->data, n * sizeof(*out));
	} else if (t->dtype == ST_F16 || t->dtype == ST_BF16) {
		float (*widen)(uint16_t) = t->dtype == ST_F16 ? f16_to_f32 : bf16_to_f32;

		for (size_t i = 0; i < n; i++) {
			uint16_t h;

			memcpy(&h, (const char *)t->data + i * sizeof(h), sizeof(h));
			out[i] = widen(h);
		}
	} else if (t->dtype == ST_I64) {
		for (size_t i = 0; i < n; i++) { /* rounded once, not by way of double */
			int64_t v;

			memcpy(&v, (const char *)t->data + i * sizeof(v), sizeof(v));
			out[i] = (float)v;
		}
	} else {
		for (size_t i = 0; i < n; i++)
			out[i] = (float)element(t, i);
	}
}

void
st_get_f64(const struct st_tensor *t, double *out)
{
	float *f;

	if (t->get) {
		f = xmalloc((size_t)t->n * sizeof(*f) + 1);
		t->get(t->src, f);
		for (size_t i = 0; i < (size_t)t->n; i++)
			out[i] = f[i];
		free(f);
		return;
	}
	for (size_t i = 0; i < (size_t)t->n; i++)
		out[i] = element(t, i);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int64_t
bytes_of(const struct st_tensor *t)
{
	return t->n * (int64_t)dtypes[t->dtype].size;
}

static int
make_header(struct sb *sb, const struct st_tensor *t, int n, const char *const *meta)
{
	int64_t at = 0;

	sb_putc(sb, '{');
	if (meta && meta[0]) {
		sb_puts(sb, "\"__metadata__\":{");
		for (const char *const *m = meta; m[0]; m += 2) {
			if (m != meta)
				sb_putc(sb, ',');
			json_put_str(sb, m[0], strlen(m[0]));
			sb_putc(sb, ':');
			json_put_str(sb, m[1], strlen(m[1]));
		}
		sb_puts(sb, "}");
	}
	for (int i = 0; i < n; i++) {
		if (sb->len > 1)
			sb_putc(sb, ',');
		json_put_str(sb, t[i].name, strlen(t[i].name));
		sb_printf(sb, ":{\"dtype\":\"%s\",\"shape\":[", dtypes[t[i].dtype].name);
		for (int d = 0; d < t[i].ndim; d++)
			sb_printf(sb, "%s%" PRId64, d ? "," : "", t[i].dim[d]);
		sb_printf(sb, "],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", at,
		    at + bytes_of(&t[i]));
		at += bytes_of(&t[i]);
	}
	sb_putc(sb, '}');
	while (sb->len % 8)
		sb_putc(sb, ' ');
	/* two tensors of one name, or a name that is no UTF-8, show here */
	return json_validate(sb->s, sb->len) ? err_prefix("header") : 0;
}

static int
check_tensors(const struct st_tensor *t, int n)
{
	for (int i = 0; i < n; i++) {
		int64_t count = 1;

		for (int d = 0; d < t[i].ndim && d < ST_MAXDIM; d++)
			count *= t[i].dim[d];
		if (t[i].ndim > ST_MAXDIM || count != t[i].n)
			return err("tensor %s: its shape does not hold %" PRId64 " elements",
			    t[i].name, t[i].n);
		if (t[i].get && t[i].dtype != ST_F32 && t[i].dtype != ST_F16 &&
		    t[i].dtype != ST_BF16)
			return err("tensor %s: made as a float, to be written as %s", t[i].name,
			    dtypes[t[i].dtype].name);
	}
	return 0;
}

/* Makes the values and writes them as the tensor's dtype. */
static void
write_made(const struct st_tensor *t, FILE *fp)
{
	float *f = xmalloc((size_t)t->n * sizeof(*f) + 1);

	t->get(t->src, f);
	for (int64_t i = 0; i < t->n && t->dtype != ST_F32; i++) {
		/* halves overwrite the floats that they came from */
		uint16_t h = t->dtype == ST_F16 ? f32_to_f16(f[i]) : f32_to_bf16(f[i]);

		memcpy((char *)f + 2 * i, &h, 2);
	}
	fwrite(f, 1, (size_t)bytes_of(t), fp);
	free(f);
}

int
st_write(const char *path, const struct st_tensor *t, int n, const char *const *meta)
{
	struct sb header = { 0 };
	struct outfile f;
	uint64_t length;
	int r = -1;

	if (check_tensors(t, n) || make_header(&header, t, n, meta)) {
		err_prefix("%s", path);
	} else if (!outfile_open(&f, path)) {
		length = header.len;
		fwrite(&length, sizeof(length), 1, f.fp);
		fwrite(header.s, 1, header.len, f.fp);
		for (int i = 0; i < n && !ferror(f.fp); i++) {
			if (t[i].get)
				write_made(&t[i], f.fp);
			else
				fwrite(t[i].data, 1, (size_t)bytes_of(&t[i]), f.fp);
			st_done(&t[i]);
		}
		r = outfile_commit(&f); /* sees a failed write */
	}
	sb_release(&header);
	return r;
}
