/*
 * Strings as small numbers: each distinct string gets the next one, from 0 in the order of first
 * appearance. Zero-initialised is empty.
 */
#ifndef BASE_INTERN_H
#define BASE_INTERN_H

#include "base/mem.h"

struct intern {
	const char **name; /* by number; owned */
	size_t n, cap;
	uint32_t *slot; /* number + 1, or 0 */
	size_t slots;
	struct arena mem;
};

int intern_add(struct intern *, const char *name);        /* its number, old or new */
int intern_find(const struct intern *, const char *name); /* -1: not there */
/* Adds what a list means to one that is empty: "16" the names 0 to 15, "a,b,c" these; `most` at
 * most. -1 with a message. */
int intern_list(struct intern *, const char *list, int64_t most);
void intern_release(struct intern *);

#endif
