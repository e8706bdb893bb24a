/*
 * For conformance tests: each check prints the error it saw beside its bound, and a test ends as
 * one TAP line. GOLDEN names the folder that holds the sets; without it, or without the set, all is
 * skipped.
 */
#ifndef TESTS_GOLD_H
#define TESTS_GOLD_H

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/json.h"
#include "data/safetensors.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int gold_tests, gold_failures, gold_bad; /* gold_bad: in the test that is open */

/* The folder of a set, or NULL. */
static inline char *
gold_find(const char *set)
{
	const char *dir = getenv("GOLDEN");
	char *path = dir ? path_join(dir, set) : NULL;

	if (path && file_exists(path))
		return path;
	free(path);
	return NULL;
}

/* The same, with the skip said. */
static inline char *
gold_open(const char *set)
{
	char *path = gold_find(set);

	if (!path)
		printf("1..0 # SKIP %s: no golden set here\n", set);
	return path;
}

/* Does the folder of a set have this file? If not, the skip is said. */
static inline bool
gold_has(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	bool there = file_exists(path);

	if (!there)
		printf("1..0 # SKIP %s: not in this set\n", path);
	free(path);
	return there;
}

static inline void
gold_check(const char *what, double seen, double bound)
{
	bool good = seen <= bound; /* false for NaN */

	printf("#   %-46s %.3g (bound %.3g)%s\n", what, seen, bound, good ? "" : "  TOO FAR");
	gold_bad += !good;
}

/* Ends a test. */
static inline void
gold_done(const char *name)
{
	gold_tests++;
	gold_failures += gold_bad > 0;
	printf("%sok %d - %s\n", gold_bad ? "not " : "", gold_tests, name);
	fflush(stdout);
	gold_bad = 0;
}

/* A case of the set that the test cannot judge: it fails, so that none is left out unseen. */
static inline void
gold_unknown(const char *name)
{
	gold_check("a case of no kind that is known here", 1, 0);
	gold_done(name);
}

/* A case that rests on another set, which is not there. */
static inline void
gold_skip(const char *name, const char *why)
{
	printf("ok %d - %s # SKIP %s\n", ++gold_tests, name, why);
	fflush(stdout);
}

static inline int
gold_end(void)
{
	printf("1..%d\n", gold_tests);
	return gold_failures > 0;
}

static inline void
gold_read(struct safetensors *st, const char *dir, const char *name)
{
	char *path = path_join(dir, name);

	if (st_open(st, path))
		die("%s", errmsg());
	free(path);
}

/* A tensor's values as float, which must be there; caller frees. */
static inline float *
gold_f32(const struct safetensors *st, const char *name, const struct st_tensor **t)
{
	const struct st_tensor *s = st_find(st, name);
	float *v;

	if (!s)
		die("%s: no tensor %s", st->path, name);
	v = xmalloc((size_t)s->n * sizeof(*v) + 1);
	st_get_f32(s, v);
	if (t)
		*t = s;
	return v;
}

static inline double
gold_max_abs(const float *a, const float *b, size_t n)
{
	double worst = 0;

	for (size_t i = 0; i < n; i++) {
		double d = fabs((double)a[i] - b[i]);

		if (!(d <= worst))
			worst = d;
	}
	return worst;
}

/* |a - b| / |b| in the L2 norm. */
static inline double
gold_rel_l2(const float *a, const float *b, size_t n)
{
	double d = 0, s = 0;

	for (size_t i = 0; i < n; i++) {
		d += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
		s += (double)b[i] * b[i];
	}
	return s > 0 ? sqrt(d / s) : sqrt(d);
}

/* [n][c][px] to [n][px][c] and, with the last two exchanged, back. */
static inline float *
gold_swap(const float *in, size_t n, size_t c, size_t px)
{
	float *out = xmalloc(n * c * px * sizeof(*out) + 1);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < c; k++)
			for (size_t p = 0; p < px; p++)
				out[(i * px + p) * c + k] = in[(i * c + k) * px + p];
	return out;
}

static inline double
gold_num(const struct json *j, int v, const char *key)
{
	double x;

	if (json_num(j, json_get(j, v, key), &x))
		die("%s: %s", key, errmsg());
	return x;
}

#endif
