/*
 * Archives: whatever the bytes, nothing but files, folders and links that stay comes out, within
 * the limits, in the folder that was given; and what the log says came out is there.
 */
#define _GNU_SOURCE /* nftw */
#include "base/err.h"
#include "data/archive_unpack.h"
#include "run.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(x) ((x) ? (void)0 : abort())

static char scratch[64]; /* holds the archive, and the folder `root` that it is unpacked to */
static uint64_t nfiles, bytes;

static void
remove_scratch(void)
{
	char name[80];

	snprintf(name, sizeof(name), "%s/in", scratch);
	unlink(name);
	rmdir(scratch);
}

static void
start(void)
{
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	if (scratch[0])
		return;
	snprintf(scratch, sizeof(scratch), "%s/fuzz-archive.XXXXXX", tmp);
	if (!mkdtemp(scratch))
		die("%s:", scratch);
	atexit(remove_scratch);
}

static int
look(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char to[4096];
	ssize_t n;

	(void)type;
	CHECK(!(st->st_mode & 07000));
	if (S_ISREG(st->st_mode)) {
		nfiles++;
		bytes += (uint64_t)st->st_size;
	} else if (S_ISLNK(st->st_mode)) {
		int depth = ftw->level - 1; /* folders that stand between the root and the link */

		n = readlink(path, to, sizeof(to) - 1);
		CHECK(n > 0);
		to[n] = '\0';
		CHECK(to[0] != '/');
		for (char *save, *part = strtok_r(to, "/", &save); part;
		     part = strtok_r(NULL, "/", &save))
			CHECK(strcmp(part, "..") != 0 || depth-- > 0);
	} else {
		CHECK(S_ISDIR(st->st_mode));
	}
	return 0;
}

static int
clear(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	CHECK(remove(path) == 0);
	return 0;
}

/* How many files the log names that are there, less those that were lost again. */
static uint64_t
logged(struct unpack *u)
{
	struct log_entry e = { 0 };
	uint64_t n = 0;
	struct stat st;

	rewind(u->log);
	while (log_get(u->log, &e)) {
		if (e.kind != LOG_FILE)
			continue;
		if (fstatat(u->root, e.path.s, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			CHECK(S_ISREG(st.st_mode));
			CHECK(e.size == st.st_size || e.size == 0);
			n++;
		} else {
			CHECK(u->lost.len);
		}
	}
	sb_release(&e.path);
	sb_release(&e.member);
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unpack_opts o = UNPACK_OPTS;
	atomic_bool stop = false;
	atomic_ullong count = 0;
	struct unpack u = { .o = &o, .stop = &stop, .count = &count };
	char in[80], root[80];
	FILE *fp;

	start();
	snprintf(in, sizeof(in), "%s/in", scratch);
	snprintf(root, sizeof(root), "%s/root", scratch);
	o.dest = root;
	o.max_bytes = 4 << 20;
	o.max_members = 200;
	fp = fopen(in, "wb");
	if (!fp || fwrite(data, 1, size, fp) != size || fclose(fp) || mkdir(root, 0700))
		die("%s:", in);
	u.path = u.file = in;
	u.root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	u.log = tmpfile();
	if (u.root < 0 || !u.log)
		die("%s:", root);
	unpack_one(&u);
	nfiles = bytes = 0;
	CHECK(nftw(root, look, 16, FTW_PHYS) == 0);
	CHECK(logged(&u) == nfiles);
	/* a hard link is no more bytes, but counts as often as it is met */
	CHECK(u.members <= 200 && bytes <= (uint64_t)o.max_bytes * 200);
	close(u.root);
	unpack_release(&u);
	CHECK(nftw(root, clear, 16, FTW_PHYS | FTW_DEPTH) == 0);
	return 0;
}
