#include "nn/checkpoint.h"

#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "gpu/gpu.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Removes a folder and what is in it; one that is not there is fine. */
static int
remove_folder(const char *path)
{
	struct stat st;

	return lstat(path, &st) && errno == ENOENT ? 0 : tree_remove(AT_FDCWD, path);
}

/* A folder's own entries reach the disk. */
static int
sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY), r = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	/* some file systems know no fsync of folders */
	return r && errno != EINVAL ? err("%s:", path) : 0;
}

int
ckpt_begin(struct ckpt *c, const char *run, const char *name)
{
	*c = (struct ckpt){ xstrdup(run), xstrdup(name), xasprintf("%s/.%s.part", run, name) };
	if (make_dirs(run) || remove_folder(c->temp))
		return ckpt_abort(c);
	if (mkdir(c->temp, 0777)) {
		err("%s:", c->temp);
		return ckpt_abort(c);
	}
	return 0;
}

char *
ckpt_file(const struct ckpt *c, const char *name)
{
	return path_join(c->temp, name);
}

static void
ckpt_release(struct ckpt *c)
{
	free(c->run);
	free(c->name);
	free(c->temp);
	*c = (struct ckpt){ 0 };
}

int
ckpt_abort(struct ckpt *c)
{
	char *why = xstrdup(errmsg());

	remove_folder(c->temp);
	ckpt_release(c);
	err("%s", why);
	free(why);
	return -1;
}

int
ckpt_commit(struct ckpt *c)
{
	char *final = path_join(c->run, c->name), *old = xasprintf("%s/.%s.old", c->run, c->name);
	int r = sync_folder(c->temp) || remove_folder(old) ? -1 : 0;

	if (!r && rename(final, old) && errno != ENOENT)
		r = err("%s:", final);
	if (!r && rename(c->temp, final))
		r = err("%s:", final);
	if (!r)
		r = remove_folder(old) || sync_folder(c->run) ? -1 : 0;
	free(final);
	free(old);
	if (r)
		return ckpt_abort(c);
	ckpt_release(c);
	return 0;
}

int
ckpt_link(const char *run, const char *link, const char *name)
{
	char *to = path_join(run, link), *temp = xasprintf("%s/.%s.part", run, link);
	int r = 0;

	if ((unlink(temp) && errno != ENOENT) || symlink(name, temp) || rename(temp, to))
		r = err("%s:", to);
	free(to);
	free(temp);
	return r;
}

/* ---- pruning --------------------------------------------------------------------------------- */

struct found {
	uint64_t step;
	bool linked;
};

static int
by_step(const void *a, const void *b)
{
	const struct found *p = a, *q = b;

	return p->step < q->step ? -1 : p->step > q->step;
}

/* N of a name checkpoint-N, -1 for another. */
static int64_t
step_of(const char *name)
{
	char *end;
	unsigned long long n;

	if (strncmp(name, "checkpoint-", 11) || name[11] < '0' || name[11] > '9')
		return -1;
	n = strtoull(name + 11, &end, 10);
	return *end || n > INT64_MAX ? -1 : (int64_t)n;
}

/* Is it what a crash left of a checkpoint on its way out? */
static bool
is_old(const char *name)
{
	size_t n = strlen(name);

	return strncmp(name, ".checkpoint-", 12) == 0 && n > 16 &&
	    strcmp(name + n - 4, ".old") == 0;
}

/* Does any link of the run's folder point to checkpoint-step? */
static bool
is_linked(const char *run, uint64_t step)
{
	DIR *d = opendir(run);
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d))) {
		char *path = path_join(run, e->d_name), to[128];
		ssize_t n = readlink(path, to, sizeof(to) - 1);

		if (n > 0) {
			to[n] = 0;
			found = step_of(to) == (int64_t)step;
		}
		free(path);
	}
	if (d)
		closedir(d);
	return found;
}

int
ckpt_prune(const char *run, int64_t keep)
{
	DIR *d = keep < 0 ? NULL : opendir(run);
	struct dirent *e;
	struct found *f = NULL;
	size_t n = 0, cap = 0, left;
	int r = 0;

	if (!d)
		return keep < 0 ? 0 : err("%s:", run);
	while ((e = readdir(d))) {
		if (is_old(e->d_name)) {
			char *path = path_join(run, e->d_name);

			r |= remove_folder(path);
			free(path);
		}
		if (step_of(e->d_name) >= 0) {
			f = xgrow(f, &cap, n + 1, sizeof(*f));
			f[n].step = (uint64_t)step_of(e->d_name);
			f[n].linked = is_linked(run, f[n].step);
			n++;
		}
	}
	closedir(d);
	left = n;
	if (n)
		qsort(f, n, sizeof(*f), by_step);
	for (size_t i = 0; i < n && left > (size_t)keep; i++)
		if (!f[i].linked) {
			char *path = xasprintf("%s/checkpoint-%" PRIu64, run, f[i].step);
			char *old = xasprintf("%s/.checkpoint-%" PRIu64 ".old", run, f[i].step);

			/* a reader, or one who comes after a crash, sees it whole or not at all */
			r |= rename(path, old) ? err("%s:", path) : remove_folder(old);
			free(path);
			free(old);
			left--;
		}
	free(f);
	return r;
}

/* ---- where a run is -------------------------------------------------------------------------- */

int
ckpt_read_state(const char *dir, int (*get)(void *ctx, const struct json *), void *ctx)
{
	char *path = path_join(dir, "state.json"), *text;
	struct json j;
	int r = json_read_file(&j, &text, path);

	if (!r) {
		r = get(ctx, &j);
		if (r)
			err_prefix("%s", path);
		json_release(&j);
		free(text);
	}
	free(path);
	return r;
}

int
ckpt_get_ints(const struct json *j, const struct ckpt_int *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (json_int(j, json_get(j, 0, v[i].key), v[i].to) || *v[i].to < v[i].least)
			return err("%s: want a whole number", v[i].key);
	return 0;
}

int
ckpt_same_seed(const struct json *j, uint64_t seed)
{
	struct arena mem = { 0 };
	const char *theirs = json_str(j, json_get(j, 0, "seed"), &mem);
	char mine[32];
	int r = 0;

	snprintf(mine, sizeof(mine), "%" PRIu64, seed);
	if (!theirs || strcmp(theirs, mine))
		r = err("the run has seed %s, --seed says %s", theirs ? theirs : "?", mine);
	arena_release(&mem);
	return r;
}

/* ---- provenance ------------------------------------------------------------------------------ */

void
provenance_put(struct sb *sb, int argc, char *const *argv, uint64_t seed)
{
	const struct gpu_info *g = gpu_info();

	sb_printf(sb, "\"program\":\"%s\",\"version\":\"%s\",\"arguments\":[", prog_name(),
	    PHANTOM_VERSION);
	for (int i = 1; i < argc; i++) {
		if (i > 1)
			sb_putc(sb, ',');
		json_put_str(sb, argv[i], strlen(argv[i]));
	}
	sb_putc(sb, ']');
	json_add_str(sb, "device", g->name);
	json_add_str(sb, "driver", g->driver);
	sb_printf(sb, ",\"seed\":%" PRIu64, seed);
}

char *
file_hash(const char *path)
{
	char *data, *text;
	size_t len;

	if (file_read(path, SIZE_MAX / 2, &data, &len))
		return NULL;
	text = xasprintf("fnv1a64:%016" PRIx64, fnv1a(data, len));
	free(data);
	return text;
}
