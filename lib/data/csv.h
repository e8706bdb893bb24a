/* CSV rows by libcsv (RFC 4180 quoting; CR LF or LF). */
#ifndef DATA_CSV_H
#define DATA_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Called for each row; cells are NUL-terminated and borrowed; row counts from 0, the header being
 * one. 0 goes on; -1 with a message stops. */
typedef int csv_row_fn(char **cell, const size_t *len, size_t n, uint64_t row, void *ctx);

/* Reads a CSV file ("-": standard input). strict refuses malformed quoting. delim 0 is ','.
 * 0, or -1 with a message "path:ROW: why" (rows from 1). Empty lines are skipped, a byte order mark
 * at the start too; blanks are kept. Rows of more than 64 MiB are refused. */
int csv_read(const char *path, char delim, bool strict, csv_row_fn *, void *ctx);
/* The same for streams: before_block is called before a read that may block (to flush output). */
struct csv_opts {
	char delim;
	bool strict;
	void (*before_block)(void *);
	void *before_block_ctx;
	/* Called for a row with malformed quoting (strict); 0 goes on with the next line. NULL:
	 * such a row ends the reading. A quote that is never closed ends it in any case. */
	int (*bad_row)(uint64_t row, const char *why, void *ctx);
};
int csv_read_opts(const char *path, const struct csv_opts *, csv_row_fn *, void *ctx);
/* A cell with quotes where it needs them, appended to an sb. */
struct sb;
void csv_put(struct sb *, const char *cell, size_t len, char delim);

/* A small table whole in memory: row 0 may be a header. Delimiter ',', quoting checked. */
struct csv_table {
	char ***cell; /* cell[row][col] */
	size_t *ncol;
	size_t nrow;
};
int csv_load(struct csv_table *, const char *path);
void csv_release(struct csv_table *);

#endif
