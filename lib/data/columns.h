/*
 * The columns of a CSV file on their way into records: their names, which of them are wanted, and
 * their cells as JSON values.
 *
 *	struct columns_opts o = { .numbers = true };
 *	struct columns c = { 0 };
 *	columns_learn(&c, &o, cell, len, n)        with the first row
 *	columns_check(&c, cell, len, n)            each row
 *	for (size_t i = 0; i < c.npick; i++)
 *		columns_put(&sb, &c, &o, c.pick[i], ...)
 *	columns_release(&c);
 */
#ifndef DATA_COLUMNS_H
#define DATA_COLUMNS_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>

/* A list of names. Zero-initialised is empty. */
struct names {
	char **s;
	size_t n, cap;
};
void names_add(struct names *, const char *s, size_t len); /* copied */
size_t names_find(const struct names *, const char *s);    /* n if it is not there */
/* Adds those of "a,b,c". -1: an empty one, or one twice. */
int names_split(struct names *, const char *list);
void names_release(struct names *);

struct columns_opts {
	struct names fields; /* the columns wanted, in order; empty: all; no_header: their names */
	struct names text;   /* columns that stay text */
	bool numbers;        /* cells that are JSON numbers become numbers */
	bool no_header;      /* the first row is data */
};

struct columns {
	struct names all;    /* the file's columns */
	struct names key;    /* of each: its name as JSON, and a colon */
	bool *text;          /* of each: stays text */
	size_t *pick, npick; /* those wanted, in order: indices into all */
	bool known;
};

/* Learns the columns from the first row. -1 with a message: this file is of no use. A column
 * without a name becomes column_N, N from 1; two of one name are an error. */
int columns_learn(struct columns *, const struct columns_opts *, char **cell, const size_t *len,
    size_t n);
/* Is this a row of as many cells as there are columns, all UTF-8? */
int columns_check(const struct columns *, char **cell, const size_t *len, size_t n);
/* Cell of column col as a JSON value. A number keeps its digits as they are; whole numbers that
 * doubles do not hold exactly (2^53 and more) stay text. */
void columns_put(struct sb *, const struct columns *, const struct columns_opts *, size_t col,
    const char *cell, size_t len);
void columns_release(struct columns *);

#endif
