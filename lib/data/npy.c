#include "data/npy.h"

#include "base/err.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX = 10, ALIGN = 64 };
static const char magic[6] = { '\x93', 'N', 'U', 'M', 'P', 'Y' };

/* numpy's names of our types; bfloat16 has none */
static const char *const descr[] = {
	[ST_F64] = "<f8", [ST_F32] = "<f4", [ST_F16] = "<f2", [ST_BF16] = NULL, [ST_I64] = "<i8",
	[ST_I32] = "<i4", [ST_I16] = "<i2", [ST_I8] = "|i1", [ST_U8] = "|u1", [ST_BOOL] = "|b1",
};
enum { NDESCR = sizeof(descr) / sizeof(descr[0]) };

/* The header is a Python dict of three known keys; s walks over it. */
static void
skip_spaces(const char **s)
{
	*s += strspn(*s, " \t\n");
}

static int
expect(const char **s, const char *word)
{
	size_t n = strlen(word);

	skip_spaces(s);
	if (strncmp(*s, word, n) != 0)
		return -1;
	*s += n;
	skip_spaces(s);
	return 0;
}

static int
parse_descr(const char **s, struct st_tensor *t)
{
	char quote = **s;
	const char *end;
	size_t n;

	if (quote != '\'' && quote != '"')
		return err("a structured type cannot be read");
	end = strchr(*s + 1, quote);
	if (!end)
		return err("bad header");
	n = (size_t)(end - *s - 1);
	for (int i = 0; i < NDESCR; i++) {
		if (descr[i] && strlen(descr[i]) == n && strncmp(descr[i], *s + 1, n) == 0) {
			t->dtype = (enum st_dtype)i;
			*s = end + 1;
			return 0;
		}
	}
	return err("type '%.*s' cannot be read", n > 20 ? 20 : (int)n, *s + 1);
}

static int
parse_order(const char **s)
{
	if (expect(s, "True") == 0)
		return err("Fortran order cannot be read");
	return expect(s, "False") ? err("bad header") : 0;
}

static int
parse_shape(const char **s, struct st_tensor *t)
{
	size_t n = 1;

	if (expect(s, "("))
		return err("bad header");
	for (t->ndim = 0; **s != ')';) {
		int64_t d = 0;
		const char *start = *s;

		for (; **s >= '0' && **s <= '9'; ++*s) {
			if (d > (INT64_MAX / 8 - 9) / 10)
				return err("the shape overflows");
			d = 10 * d + (**s - '0');
		}
		if (*s == start)
			return err("bad header");
		if (t->ndim == ST_MAXDIM)
			return err("more than %d dimensions", ST_MAXDIM);
		if (!mul_size(n, (size_t)d, &n) || n > INT64_MAX / 8)
			return err("the shape overflows");
		t->dim[t->ndim++] = d;
		if (expect(s, ",") && **s != ')')
			return err("bad header");
	}
	t->n = (int64_t)n;
	return expect(s, ")") ? err("bad header") : 0;
}

static int
parse_header(const char *s, struct st_tensor *t)
{
	bool has_descr = false, has_order = false, has_shape = false;

	if (expect(&s, "{"))
		return err("bad header");
	while (*s != '}') {
		int r;

		if (!has_descr && (has_descr = expect(&s, "'descr':") == 0))
			r = parse_descr(&s, t);
		else if (!has_order && (has_order = expect(&s, "'fortran_order':") == 0))
			r = parse_order(&s);
		else if (!has_shape && (has_shape = expect(&s, "'shape':") == 0))
			r = parse_shape(&s, t);
		else
			r = err("bad header");
		if (r)
			return -1;
		if (expect(&s, ",") && *s != '}')
			return err("bad header");
	}
	if (expect(&s, "}") || *s || !has_descr || !has_order || !has_shape)
		return err("bad header");
	return 0;
}

int
npy_parse(struct st_tensor *t, const void *vp, size_t n)
{
	size_t header, start;
	const char *p = vp;
	const unsigned char *u = vp;
	char *text;
	int r;

	if (n < PREFIX + 2 || memcmp(p, magic, sizeof(magic)) != 0)
		return err("is no .npy file");
	if (p[6] == 1) {
		header = (size_t)u[8] | (size_t)u[9] << 8;
		start = PREFIX;
	} else if (p[6] == 2) {
		header =
		    (size_t)u[8] | (size_t)u[9] << 8 | (size_t)u[10] << 16 | (size_t)u[11] << 24;
		start = PREFIX + 2;
	} else {
		return err(".npy version %d is not known", p[6]);
	}
	if (header > n - start)
		return err("truncated");
	text = xstrndup(p + start, header);
	r = parse_header(text, t);
	free(text);
	if (r)
		return -1;
	start += header;
	/* n is below 2^63 / 8, so this does not wrap */
	if ((uint64_t)t->n * st_dtype_size(t->dtype) != n - start)
		return err("%zu bytes of data do not fit its shape and type", n - start);
	t->data = p + start;
	return 0;
}

int
npy_read(struct st_tensor *t, const char *path)
{
	char *p;
	size_t n, bytes;
	void *data;

	*t = (struct st_tensor){ .name = path };
	if (file_read(path, SIZE_MAX / 2, &p, &n))
		return -1;
	if (npy_parse(t, p, n)) {
		free(p);
		*t = (struct st_tensor){ 0 };
		return err_prefix("%s", path);
	}
	bytes = (size_t)t->n * st_dtype_size(t->dtype);
	data = xmalloc(bytes);
	memcpy(data, t->data, bytes);
	t->data = data;
	free(p);
	return 0;
}

void
npy_header(const struct st_tensor *t, struct sb *sb)
{
	const size_t from = sb->len;
	size_t header;

	sb_put(sb, magic, sizeof(magic));
	sb_put(sb, "\1\0\0\0", 4);
	sb_printf(sb, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr[t->dtype]);
	for (int i = 0; i < t->ndim; i++)
		sb_printf(sb, "%s%" PRId64, i ? ", " : "", t->dim[i]);
	sb_puts(sb, t->ndim == 1 ? ",), }" : "), }");
	while ((sb->len - from + 1) % ALIGN)
		sb_putc(sb, ' ');
	sb_putc(sb, '\n');
	header = sb->len - from - PREFIX; /* far below 2^16 with at most ST_MAXDIM dimensions */
	sb->s[from + 8] = (char)(header & 255);
	sb->s[from + 9] = (char)(header >> 8);
}

int
npy_write(const struct st_tensor *t, const char *path)
{
	struct sb sb = { 0 };
	struct outfile f;

	if (!descr[t->dtype])
		return err("%s: bfloat16 has no .npy type", path);
	npy_header(t, &sb);
	if (outfile_open(&f, path)) {
		sb_release(&sb);
		return -1;
	}
	fwrite(sb.s, 1, sb.len, f.fp);
	fwrite(t->data, 1, (size_t)t->n * st_dtype_size(t->dtype), f.fp);
	sb_release(&sb);
	return outfile_commit(&f);
}

/* ---- row by row ------------------------------------------------------------------------------ */

enum { ROWS_HEADER = 128 };

/* The header of a fixed length, whatever the number of rows. */
static void
rows_header(const struct npy_rows *r)
{
	char h[ROWS_HEADER + 1];
	int n = snprintf(h, sizeof(h),
	    "%.6s\1%c%c%c{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRId64 ", %" PRId64
	    "), }",
	    magic, 0, ROWS_HEADER - PREFIX, 0, r->n, r->dim);

	memset(h + n, ' ', (size_t)(ROWS_HEADER - n));
	h[ROWS_HEADER - 1] = '\n';
	fwrite(h, 1, ROWS_HEADER, r->f.fp);
}

int
npy_rows_open(struct npy_rows *r, const char *path, int64_t dim)
{
	*r = (struct npy_rows){ .dim = dim };
	if (outfile_open(&r->f, path))
		return -1;
	rows_header(r);
	return 0;
}

void
npy_rows_add(struct npy_rows *r, const float *row)
{
	fwrite(row, sizeof(*row), (size_t)r->dim, r->f.fp);
	r->n++;
}

int
npy_rows_commit(struct npy_rows *r)
{
	/* errors of writing are the stream's, which outfile_commit() looks at */
	if (fseek(r->f.fp, 0, SEEK_SET)) {
		err("%s:", r->f.path);
		outfile_abort(&r->f);
		return -1;
	}
	rows_header(r);
	return outfile_commit(&r->f);
}

void
npy_rows_abort(struct npy_rows *r)
{
	outfile_abort(&r->f);
}
