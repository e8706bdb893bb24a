/* A reference set that has a small copy in tests/golden: for conformance tests that a fresh clone
 * can run, too. */
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

/* One case of a set: its tensors, expected.json, the case's name in it and its value there. */
typedef void gold_case(const struct safetensors *, const struct json *, const char *name, int v);

/* The main program of a set whose inputs.safetensors holds tensors and expected.json an object of
 * cases. */
static inline int
gold_cases(const char *set, gold_case *one)
{
	char *dir = gold_open_or_copy(set), *text;
	struct safetensors st;
	struct json j;

	if (!dir)
		return 0;
	gold_read(&st, dir, "inputs.safetensors");
	gold_json(&j, &text, dir, "expected.json");
	for (int k = 1; k < j.n; k = j.v[k + 1].next) {
		struct arena mem = { 0 };

		one(&st, &j, json_str(&j, k, &mem), k + 1);
		arena_release(&mem);
	}
	json_release(&j);
	free(text);
	st_close(&st);
	free(dir);
	return gold_end();
}

/* |got - want| / |want|, or |got| where that is 0. */
static inline double
gold_rel(double got, double want)
{
	return want != 0 ? fabs(got / want - 1) : fabs(got);
}

#endif
