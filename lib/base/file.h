/*
 * Files that are whole or absent: written under a temporary name beside the target, fsynced and
 * renamed. The temporary name is removed if the program dies.
 *
 *	struct outfile f;
 *	if (outfile_open(&f, path)) return -1;
 *	fwrite(..., f.fp);
 *	return outfile_commit(&f);         or outfile_abort(&f)
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct outfile {
	FILE *fp;
	char *path, *temp;
};
int outfile_open(struct outfile *, const char *path);
int outfile_commit(struct outfile *); /* -1: nothing was left at path that was not there before */
void outfile_abort(struct outfile *);

/* The whole of a file into *data (caller frees), at most `limit` bytes; NUL put after the end. */
int file_read(const char *path, size_t limit, char **data, size_t *len);
/* The same where only a file will do: a pipe, which might be waited for without end, or a device is
 * an error. */
int file_read_regular(const char *path, size_t limit, char **data, size_t *len);
/* Writes all of data as `path`, atomically. */
int file_write(const char *path, const void *data, size_t len);
bool file_exists(const char *path);
/* Is it a folder? One that is not there counts where it may be made. */
bool is_folder(const char *path, bool or_new);
/* Names of a folder's entries that are not hidden, in the order of their bytes; the strings live in
 * mem, the list is the caller's to free. 0, or -1 with a message. */
struct arena;
int dir_names(const char *dir, struct arena *mem, char ***names, size_t *n);
/* mkdir -p. */
int make_dirs(const char *path);
/* rm -r of `name` in the open folder dir, links not followed, however deep, with one descriptor and
 * no path. -1 with a message if something is left. */
int tree_remove(int dir, const char *name);
/* "dir/name", or name itself if absolute or dir is NULL, "" or "."; caller frees. */
char *path_join(const char *dir, const char *name);
/* The folder part ("." if none), caller frees; the last component, borrowed; its extension with the
 * dot ("" if none), borrowed. */
char *path_dir(const char *path);
const char *path_base(const char *path);
const char *path_ext(const char *path);

/* Ends standard output: a write error there (full disk) ends the program with EXIT_FATAL. */
void stdout_close(void);

#endif
