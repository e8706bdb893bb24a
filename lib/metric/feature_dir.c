#include "metric/feature_dir.h"

#include "base/err.h"
#include "base/file.h"
#include "base/order.h"
#include "data/image.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 32 };

static int
walk(struct image_list *l, const char *dir, const char *below, int depth)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int rc = 0;

	if (!d)
		return err("%s:", dir);
	while (!rc && (e = readdir(d))) {
		char *path, *name;
		struct stat st;

		if (e->d_name[0] == '.')
			continue;
		path = path_join(dir, e->d_name);
		name = path_join(below, e->d_name);
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
			rc = depth == MAX_DEPTH ? err("%s: folders too deep", path)
			                        : walk(l, path, name, depth + 1);
		} else if (image_is_name(e->d_name)) {
			l->name = xgrow(l->name, &l->cap, l->n + 1, sizeof(*l->name));
			l->name[l->n++] = arena_strndup(&l->mem, name, strlen(name));
		}
		free(path);
		free(name);
	}
	closedir(d);
	return rc;
}

int
image_list_read(struct image_list *l, const char *dir)
{
	*l = (struct image_list){ 0 };
	if (walk(l, dir, "", 0)) {
		image_list_release(l);
		return -1;
	}
	if (l->n)
		qsort(l->name, l->n, sizeof(*l->name), order_names);
	l->path = xmalloc((l->n + 1) * sizeof(*l->path));
	for (size_t i = 0; i < l->n; i++) {
		char *path = path_join(dir, l->name[i]);

		l->path[i] = arena_strndup(&l->mem, path, strlen(path));
		free(path);
	}
	return 0;
}

void
image_list_release(struct image_list *l)
{
	free(l->name);
	free(l->path);
	arena_release(&l->mem);
	*l = (struct image_list){ 0 };
}
