/*
 * Numbers that are dear to compute, kept by their place: in memory as far as a bound allows, the
 * rest in a file without a name in a folder, or nowhere (they are then computed again).
 *
 *	struct sd_cache c;
 *	if (sd_cache_open(&c, bytes, 1 << 30, NULL)) ...
 *	if (!sd_cache_get(&c, i, v))
 *		compute(i, v), sd_cache_put(&c, i, v);
 *	sd_cache_close(&c);
 */
#ifndef MODEL_SD_CACHE_H
#define MODEL_SD_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sd_cache {
	size_t bytes;        /* of an entry; 0: nothing is kept */
	size_t n;            /* places */
	void **ram;          /* [n], NULL where it is not in memory */
	atomic_uchar *there; /* [n] */
	size_t room;         /* bytes of memory that are left */
	int fd;              /* -1: none */
};

/* Places 0..n-1 of `bytes` each; at most `room` bytes in memory; dir: of the file, or NULL. */
int sd_cache_open(struct sd_cache *, size_t n, size_t bytes, size_t room, const char *dir);
void sd_cache_close(struct sd_cache *);
/* More places. Not while other threads look. */
void sd_cache_grow(struct sd_cache *, size_t n);
/* May be asked on any thread. What is there stays. */
bool sd_cache_has(const struct sd_cache *, size_t i);
bool sd_cache_get(const struct sd_cache *, size_t i, void *out);
void sd_cache_put(struct sd_cache *, size_t i, const void *v);

#endif
