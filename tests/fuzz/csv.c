/* CSV: rows that were read are the same rows when they are written and read again. */
#include "base/err.h"
#include "data/csv.h"
#include "run.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(x) ((x) ? (void)0 : abort())

struct rows {
	struct sb cells; /* each with its length before it: NULs may be in it */
	struct sb csv;
	uint64_t bad;
};

static int
row(char **cell, const size_t *len, size_t n, uint64_t number, void *ctx)
{
	struct rows *r = ctx;

	(void)number;
	CHECK(n > 0);
	sb_put(&r->cells, &n, sizeof(n));
	for (size_t i = 0; i < n; i++) {
		CHECK(cell[i][len[i]] == '\0');
		sb_put(&r->cells, &len[i], sizeof(len[i]));
		sb_put(&r->cells, cell[i], len[i]);
		if (i)
			sb_putc(&r->csv, ',');
		csv_put(&r->csv, cell[i], len[i], ',');
	}
	if (n == 1 && !len[0])
		sb_puts(&r->csv, "\"\"");
	sb_puts(&r->csv, "\n");
	return 0;
}

static int
bad(uint64_t number, const char *why, void *ctx)
{
	(void)number;
	CHECK(*why);
	((struct rows *)ctx)->bad++;
	return 0;
}

/* Reads the bytes p[0..n), which a pipe can hold. */
static int
read_bytes(const void *p, size_t n, const struct csv_opts *o, struct rows *r)
{
	char name[40];
	int fd[2], ret;

	if (pipe(fd) || (n && write(fd[1], p, n) != (ssize_t)n) || close(fd[1]))
		die("pipe:");
	snprintf(name, sizeof(name), "/dev/fd/%d", fd[0]);
	ret = csv_read_opts(name, o, row, r);
	close(fd[0]);
	return ret;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct csv_opts bads = { .strict = true, .bad_row = bad };
	struct csv_opts strict = { .strict = true }, none = { 0 };
	struct rows r = { 0 }, again = { 0 }, lax = { 0 };
	/* a byte order mark is text when it is not in front: keep it out of the way there and
	 * back */
	bool bom = size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0;

	if (size > 30000)
		return 0;
	read_bytes(data, size, &bads, &r);
	CHECK(read_bytes(data, size, &none, &lax) == 0);
	if (!bom && !(r.csv.len >= 3 && memcmp(r.csv.s, "\xef\xbb\xbf", 3) == 0)) {
		CHECK(read_bytes(r.csv.s, r.csv.len, &strict, &again) == 0);
		CHECK(again.cells.len == r.cells.len &&
		    (!r.cells.len || memcmp(again.cells.s, r.cells.s, r.cells.len) == 0));
	}
	sb_release(&r.cells);
	sb_release(&r.csv);
	sb_release(&again.cells);
	sb_release(&again.csv);
	sb_release(&lax.cells);
	sb_release(&lax.csv);
	return 0;
}
