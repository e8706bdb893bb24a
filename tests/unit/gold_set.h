/* A reference set that has a small copy in tests/golden: for conformance tests that a fresh clone can
 * run, too. */
#ifndef TESTS_GOLD_SET_H
#define TESTS_GOLD_SET_H

#include "gold.h"

/* The set's folder in $GOLDEN, or the copy's without GOLDEN; NULL with the skip said. */
static inline char *
gold_open_or_copy(const char *set)
{
	return getenv("GOLDEN") ? gold_open(set) : path_join("tests/golden", set);
}

static inline void
gold_json(struct json *j, char **text, const char *dir, const char *name)
{
	char *path = path_join(dir, name);

	if (json_read_file(j, text, path))
		die("%s", errmsg());
	free(path);
}

/* |got - want| / |want|, or |got| where that is 0. */
static inline double
gold_rel(double got, double want)
{
	return want != 0 ? fabs(got / want - 1) : fabs(got);
}

#endif
