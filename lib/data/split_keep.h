/* Which records of a split_set stay: of a part, or of the phases or planes that are wanted. Bad
 * records always do. */
#ifndef DATA_SPLIT_KEEP_H
#define DATA_SPLIT_KEEP_H

#include "data/split.h"

void split_keep_part(struct split_set *, int part);
/* Those that have a part, and generated ones. */
void split_keep_parts(struct split_set *);

enum { SPLIT_WANTED = 64 };

struct split_wanted {
	int v[SPLIT_WANTED], n; /* numbers in the set's table */
};

/* Adds the number of a name in the table, which gets one if it has none but is known (below 0: it
 * is not, with a message). 0, or -1 with a message. */
int split_want(struct split_wanted *, const char *name, struct intern *,
    int (*known)(const char *));
void split_keep_phases(struct split_set *, const struct split_wanted *);
void split_keep_planes(struct split_set *, const struct split_wanted *);

#endif
