#include "model/sd_cache.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
sd_cache_open(struct sd_cache *c, size_t n, size_t bytes, size_t room, const char *dir)
{
	char *path;

	*c = (struct sd_cache){ .bytes = bytes, .room = room, .fd = -1 };
	if (dir) {
		if (make_dirs(dir))
			return -1;
		path = xasprintf("%s/.cache-XXXXXX", dir);
		c->fd = mkstemp(path);
		if (c->fd < 0 || unlink(path)) {
			err("%s:", path);
			free(path);
			return -1;
		}
		free(path);
	}
	sd_cache_grow(c, n);
	return 0;
}

void
sd_cache_close(struct sd_cache *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->ram[i]);
	free(c->ram);
	free(c->there);
	if (c->bytes && c->fd >= 0)
		close(c->fd);
	*c = (struct sd_cache){ .fd = -1 };
}

void
sd_cache_grow(struct sd_cache *c, size_t n)
{
	if (n <= c->n)
		return;
	n = n < 64 ? 64 : n < 2 * c->n ? 2 * c->n : n;
	c->ram = xrealloc(c->ram, n * sizeof(*c->ram));
	c->there = xrealloc(c->there, n * sizeof(*c->there));
	for (size_t i = c->n; i < n; i++) {
		c->ram[i] = NULL;
		atomic_init(&c->there[i], 0);
	}
	c->n = n;
}

bool
sd_cache_has(const struct sd_cache *c, size_t i)
{
	return i < c->n && atomic_load(&c->there[i]);
}

/* All of one place of the file, in or out. */
static bool
transfer(const struct sd_cache *c, size_t i, char *p, bool in)
{
	size_t done = 0;

	while (done < c->bytes) {
		off_t at = (off_t)(i * c->bytes + done);
		ssize_t n = in ? pread(c->fd, p + done, c->bytes - done, at) :
		    pwrite(c->fd, p + done, c->bytes - done, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

bool
sd_cache_get(const struct sd_cache *c, size_t i, void *out)
{
	if (!sd_cache_has(c, i))
		return false;
	if (c->ram[i])
		memcpy(out, c->ram[i], c->bytes);
	else if (!transfer(c, i, out, true))
		die("the cache's file:");
	return true;
}

void
sd_cache_put(struct sd_cache *c, size_t i, const void *v)
{
	if (!c->bytes || i >= c->n || sd_cache_has(c, i))
		return;
	if (c->bytes <= c->room) {
		c->room -= c->bytes;
		c->ram[i] = xmalloc(c->bytes);
		memcpy(c->ram[i], v, c->bytes);
	} else if (c->fd < 0) {
		return;
	} else if (!transfer(c, i, (char *)(uintptr_t)v, false)) {
		die("the cache's file:");
	}
	atomic_store(&c->there[i], 1);
}
