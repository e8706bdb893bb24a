/* CSV rows by libcsv (RFC 4180 quoting; CR LF or LF). */
#ifndef DATA_CSV_H
#define DATA_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Called for each row; cells are NUL-terminated and borrowed. 0 goes on; -1 with a message stops. */
typedef int csv_row_fn(char **cell, const size_t *len, size_t n, uint64_t row, void *ctx);

/* Reads a CSV file ("-": standard input). strict refuses malformed quoting. delim ',' by default.
 * 0, or -1 with a message that names file and row. Empty lines are skipped. */
int csv_read(const char *path, char delim, bool strict, csv_row_fn *, void *ctx);
/* A cell with quotes where it needs them, appended to an sb. */
struct sb;
void csv_put(struct sb *, const char *cell, size_t len, char delim);

/* A small table whole in memory: row 0 may be a header. */
struct csv_table {
	char ***cell; /* cell[row][col] */
	size_t *ncol;
	size_t nrow;
};
int csv_load(struct csv_table *, const char *path);
void csv_release(struct csv_table *);

#endif
