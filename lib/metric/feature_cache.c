#include "metric/feature_cache.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An entry: the content's 128 bits, 64 bits of checksum over all else, the floats. */
struct entry_head {
	uint64_t a, b, check;
};

struct place {
	struct content key;
	off_t at;
};

struct feature_cache {
	int fd;
	size_t floats, entry;   /* entry: bytes */
	off_t start;            /* of the first entry */
	struct place *slot;     /* open addressing by key.a; at 0: free */
	size_t slots, used;
	pthread_mutex_t lock;
};

static const char magic[] = "phantom-features 1 ";

static uint64_t
mix(uint64_t h, uint64_t w)
{
	h = (h ^ w) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

struct content
content_of(const void *p, size_t n)
{
	const unsigned char *u = p;
	struct content c = { fnv1a(p, n), mix(n, 0) };
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t w;

		memcpy(&w, u + i, 8);
		c.b = mix(c.b, w);
	}
	for (; i < n; i++)
		c.b = mix(c.b, u[i]);
	return c;
}

char *
feature_cache_default(void)
{
	const char *dir = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (dir && *dir)
		return xasprintf("%s/phantom/features", dir);
	return home && *home ? xasprintf("%s/.cache/phantom/features", home) : NULL;
}

/* ---- the table of what is there -------------------------------------------------------------- */

static struct place *
find(const struct feature_cache *c, struct content k)
{
	size_t i = (size_t)k.a & (c->slots - 1);

	while (c->slot[i].at && (c->slot[i].key.a != k.a || c->slot[i].key.b != k.b))
		i = (i + 1) & (c->slots - 1);
	return &c->slot[i];
}

static void
note(struct feature_cache *c, struct content k, off_t at)
{
	struct place *p;

	if (2 * c->used >= c->slots) {
		struct place *old = c->slot;
		size_t n = c->slots;

		c->slots = n ? 2 * n : 1024;
		c->slot = xcalloc(c->slots, sizeof(*c->slot));
		for (size_t i = 0; i < n; i++)
			if (old[i].at)
				*find(c, old[i].key) = old[i];
		free(old);
	}
	p = find(c, k);
	c->used += !p->at;
	*p = (struct place){ k, at };
}

/* ---- the file -------------------------------------------------------------------------------- */

static int
lock_file(int fd, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET };

	while (fcntl(fd, F_SETLKW, &l))
		if (errno != EINTR)
			return -1;
	return 0;
}

static int
write_all(int fd, const void *vp, size_t n, off_t at)
{
	const char *p = vp;

	while (n) {
		ssize_t w = pwrite(fd, p, n, at);

		if (w < 0 && errno != EINTR)
			return -1;
		if (w > 0) {
			p += w;
			n -= (size_t)w;
			at += w;
		}
	}
	return 0;
}

static bool
read_all(int fd, void *vp, size_t n, off_t at)
{
	char *p = vp;

	while (n) {
		ssize_t r = pread(fd, p, n, at);

		if (r == 0 || (r < 0 && errno != EINTR))
			return false;
		if (r > 0) {
			p += r;
			n -= (size_t)r;
			at += r;
		}
	}
	return true;
}

/* The first line says whose features these are. A file of another (the names' hashes met) is begun
 * anew. */
static int
start(struct feature_cache *c, const char *key)
{
	char *line = xasprintf("%s%zu %s\n", magic, c->floats, key);
	const size_t len = strlen(line);
	char *have = xcalloc(len + 1, 1);
	struct stat st;
	int rc = lock_file(c->fd, F_WRLCK) || fstat(c->fd, &st);

	if (!rc && (!read_all(c->fd, have, len, 0) || memcmp(have, line, len) != 0)) {
		rc = ftruncate(c->fd, 0) || write_all(c->fd, line, len, 0);
		st.st_size = (off_t)len;
	}
	c->start = (off_t)len;
	for (off_t at = c->start; !rc && at + (off_t)c->entry <= st.st_size;
	     at += (off_t)c->entry) {
		struct entry_head h;

		if (!read_all(c->fd, &h, sizeof(h), at))
			break;
		note(c, (struct content){ h.a, h.b }, at);
	}
	lock_file(c->fd, F_UNLCK);
	free(line);
	free(have);
	return rc ? -1 : 0;
}

struct feature_cache *
feature_cache_open(const char *dir, const char *key, size_t floats)
{
	struct feature_cache *c = xcalloc(1, sizeof(*c));
	char *path;

	c->floats = floats;
	c->entry = sizeof(struct entry_head) + floats * sizeof(float);
	c->fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	note(c, (struct content){ 0, 0 }, 1); /* a table is there */
	if (make_dirs(dir)) {
		feature_cache_close(c);
		return NULL;
	}
	path = xasprintf("%s/%016" PRIx64 ".features", dir, fnv1a(key, strlen(key)));
	c->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (c->fd < 0 || start(c, key)) {
		err("%s:", path);
		feature_cache_close(c);
		c = NULL;
	}
	free(path);
	return c;
}

static uint64_t
checksum(const struct feature_cache *c, struct content k, const float *v)
{
	return mix(mix(fnv1a(v, c->floats * sizeof(*v)), k.a), k.b);
}

bool
feature_cache_get(struct feature_cache *c, struct content k, float *v)
{
	struct entry_head h;
	off_t at;

	pthread_mutex_lock(&c->lock);
	at = find(c, k)->at;
	pthread_mutex_unlock(&c->lock);
	return at >= c->start && read_all(c->fd, &h, sizeof(h), at) && h.a == k.a && h.b == k.b &&
	    read_all(c->fd, v, c->floats * sizeof(*v), at + (off_t)sizeof(h)) &&
	    h.check == checksum(c, k, v);
}

void
feature_cache_put(struct feature_cache *c, struct content k, const float *v)
{
	char *entry = xmalloc(c->entry);
	struct entry_head h = { k.a, k.b, checksum(c, k, v) };
	struct stat st;

	memcpy(entry, &h, sizeof(h));
	memcpy(entry + sizeof(h), v, c->floats * sizeof(*v));
	pthread_mutex_lock(&c->lock);
	if (lock_file(c->fd, F_WRLCK) == 0 && fstat(c->fd, &st) == 0 && st.st_size >= c->start) {
		/* over what a writer that was killed left of its last */
		off_t at = c->start + (st.st_size - c->start) / (off_t)c->entry * (off_t)c->entry;

		if (write_all(c->fd, entry, c->entry, at) == 0)
			note(c, k, at);
		lock_file(c->fd, F_UNLCK);
	}
	pthread_mutex_unlock(&c->lock);
	free(entry);
}

void
feature_cache_close(struct feature_cache *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	pthread_mutex_destroy(&c->lock);
	free(c->slot);
	free(c);
}
