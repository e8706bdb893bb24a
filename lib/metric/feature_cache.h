/*
 * Features of files that were seen before, by what the file holds: one file for each network,
 * weights, preprocessing and layer, to which entries of the same size are appended. Several
 * programs may use it at once. A torn or damaged entry is as if it were not there.
 *
 *	struct feature_cache *c = feature_cache_open(dir, key, floats);
 *	struct content h = content_of(bytes, n);
 *	if (!feature_cache_get(c, h, v)) ... compute v ..., feature_cache_put(c, h, v)
 *	feature_cache_close(c);
 *
 * All calls but close may come from several threads.
 */
#ifndef METRIC_FEATURE_CACHE_H
#define METRIC_FEATURE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 128 bits of a file's bytes. Two files that are alike by accident are not to be expected; it is no
 * guard against somebody who makes such files. */
struct content {
	uint64_t a, b;
};
struct content content_of(const void *p, size_t n);

struct feature_cache;
/* $XDG_CACHE_HOME/phantom/features or ~/.cache/phantom/features; NULL if neither is known. Caller
 * frees. */
char *feature_cache_default(void);
/* key: what makes these features what they are. NULL with a message: dir cannot be made or
 * written. */
struct feature_cache *feature_cache_open(const char *dir, const char *key, size_t floats);
bool feature_cache_get(struct feature_cache *, struct content, float *v);
/* A cache that cannot be written to is no error. */
void feature_cache_put(struct feature_cache *, struct content, const float *v);
void feature_cache_close(struct feature_cache *); /* NULL is fine */

#endif
