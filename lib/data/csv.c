#include "data/csv.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csv.h>

enum { CHUNK = 65536, ROW_MAX = 64 << 20 };

/* The row that is being read. */
struct reader {
	struct sb text;       /* its cells one after another, NULs between */
	size_t *start, nstart, capstart;
	char **cell;
	size_t *len, capcell, caplen;
	uint64_t row;
	csv_row_fn *fn;
	void *ctx;
	bool failed;          /* by fn, which left a message */
	bool skipping;        /* the rest of a malformed line */
};

static void
on_cell(void *s, size_t len, void *vctx)
{
	struct reader *r = vctx;

	if (r->failed)
		return;
	r->start = xgrow(r->start, &r->capstart, r->nstart + 1, sizeof(*r->start));
	r->start[r->nstart++] = r->text.len;
	sb_put(&r->text, s ? s : "", s ? len : 0);
	sb_putc(&r->text, '\0');
}

static void
on_row(int term, void *vctx)
{
	struct reader *r = vctx;
	size_t n = r->nstart;

	(void)term;
	if (r->failed)
		return;
	r->cell = xgrow(r->cell, &r->capcell, n, sizeof(*r->cell));
	r->len = xgrow(r->len, &r->caplen, n, sizeof(*r->len));
	for (size_t i = 0; i < n; i++) {
		r->cell[i] = r->text.s + r->start[i];
		r->len[i] = (i + 1 < n ? r->start[i + 1] : r->text.len) - r->start[i] - 1;
	}
	if (r->fn(r->cell, r->len, n, r->row, r->ctx))
		r->failed = true;
	r->row++;
	r->nstart = 0;
	sb_clear(&r->text);
}

/* Blanks belong to their cell (RFC 4180, section 2.4). */
static int
no_space(unsigned char c)
{
	(void)c;
	return 0;
}

static void
parser_init(struct csv_parser *p, const struct csv_opts *o)
{
	if (csv_init(p, (unsigned char)(CSV_APPEND_NULL |
	    (o->strict ? CSV_STRICT | CSV_STRICT_FINI : 0))))
		die("out of memory (CSV parser)");
	csv_set_delim(p, (unsigned char)(o->delim ? o->delim : ','));
	csv_set_space_func(p, no_space);
	csv_set_blk_size(p, 4096); /* its buffer grows by so much */
}

/* A row with malformed quoting: forgets it and has what follows it in its line skipped. */
static int
malformed(struct csv_parser *p, struct reader *r, const struct csv_opts *o)
{
	static const char why[] = "a quote where none may stand";

	if (!o->bad_row)
		return err("%s", why);
	if (o->bad_row(r->row, why, r->ctx)) {
		r->failed = true;
		return -1;
	}
	r->row++;
	r->nstart = 0;
	sb_clear(&r->text);
	csv_free(p);
	r->skipping = true;
	parser_init(p, o);
	return 0;
}

static int
feed(struct csv_parser *p, struct reader *r, const struct csv_opts *o, const char *buf, size_t n)
{
	while (n) {
		size_t used = n;

		if (r->skipping) {
			const char *nl = memchr(buf, '\n', n);

			if (nl) {
				used = (size_t)(nl - buf) + 1;
				r->skipping = false;
			}
		} else {
			used = csv_parse(p, buf, n, on_cell, on_row, r);
			if (r->failed)
				return -1;
			if (used < n && csv_error(p) != CSV_EPARSE)
				return err("%s", csv_strerror(csv_error(p)));
			if (used < n && malformed(p, r, o))
				return -1;
		}
		buf += used;
		n -= used;
	}
	if (r->text.len > ROW_MAX || p->entry_pos > ROW_MAX)
		return err("row of more than %d MiB (a quote without end?)", ROW_MAX >> 20);
	return 0;
}

static int
read_all(int fd, struct csv_parser *p, struct reader *r, const struct csv_opts *o)
{
	char buf[CHUNK];
	bool first = true;
	size_t have = 0;

	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		size_t skip = 0;
		ssize_t n;

		if (o->before_block && poll(&pfd, 1, 0) == 0)
			o->before_block(o->before_block_ctx);
		n = read(fd, buf + have, sizeof(buf) - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err("cannot read:");
		have += (size_t)n;
		/* spreadsheets put a byte order mark before the first cell */
		if (first && n && have < 3)
			continue;
		if (first && have >= 3 && memcmp(buf, "\xef\xbb\xbf", 3) == 0)
			skip = 3;
		first = false;
		if (feed(p, r, o, buf + skip, have - skip))
			return -1;
		if (!n)
			break;
		have = 0;
	}
	if (csv_fini(p, on_cell, on_row, r) && !r->failed)
		return err("a quote without end");
	return r->failed ? -1 : 0;
}

int
csv_read_opts(const char *path, const struct csv_opts *o, csv_row_fn *fn, void *ctx)
{
	struct reader r = { .fn = fn, .ctx = ctx };
	struct csv_parser p;
	bool std = strcmp(path, "-") == 0;
	int fd = std ? 0 : open(path, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return err("%s:", path);
	parser_init(&p, o);
	ret = read_all(fd, &p, &r, o);
	if (ret)
		err_prefix("%s:%" PRIu64, path, r.failed ? r.row : r.row + 1);
	csv_free(&p);
	if (!std)
		close(fd);
	sb_release(&r.text);
	free(r.start);
	free(r.cell);
	free(r.len);
	return ret;
}

int
csv_read(const char *path, char delim, bool strict, csv_row_fn *fn, void *ctx)
{
	struct csv_opts o = { .delim = delim, .strict = strict };

	return csv_read_opts(path, &o, fn, ctx);
}

void
csv_put(struct sb *sb, const char *cell, size_t len, char delim)
{
	bool plain = true;

	for (size_t i = 0; i < len && plain; i++)
		plain = cell[i] != delim && cell[i] != '"' && cell[i] != '\n' && cell[i] != '\r';
	if (plain) {
		sb_put(sb, cell, len);
		return;
	}
	sb_putc(sb, '"');
	for (size_t i = 0; i < len; i++) {
		if (cell[i] == '"')
			sb_putc(sb, '"');
		sb_putc(sb, cell[i]);
	}
	sb_putc(sb, '"');
}

/* ---- tables ---------------------------------------------------------------------------------- */

struct loading {
	struct csv_table *t;
	size_t cap, capcol;
};

static int
load_row(char **cell, const size_t *len, size_t n, uint64_t row, void *ctx)
{
	struct loading *l = ctx;
	struct csv_table *t = l->t;
	char **copy = xcalloc(n, sizeof(*copy));

	(void)row;
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrndup(cell[i], len[i]);
	t->cell = xgrow(t->cell, &l->cap, t->nrow + 1, sizeof(*t->cell));
	t->ncol = xgrow(t->ncol, &l->capcol, t->nrow + 1, sizeof(*t->ncol));
	t->cell[t->nrow] = copy;
	t->ncol[t->nrow++] = n;
	return 0;
}

int
csv_load(struct csv_table *t, const char *path)
{
	struct loading l = { .t = t };

	*t = (struct csv_table){ 0 };
	if (csv_read(path, ',', true, load_row, &l)) {
		csv_release(t);
		return -1;
	}
	return 0;
}

void
csv_release(struct csv_table *t)
{
	for (size_t i = 0; i < t->nrow; i++) {
		for (size_t k = 0; k < t->ncol[i]; k++)
			free(t->cell[i][k]);
		free(t->cell[i]);
	}
	free(t->cell);
	free(t->ncol);
	*t = (struct csv_table){ 0 };
}
