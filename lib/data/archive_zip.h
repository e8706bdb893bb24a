/*
 * The directory at the end of a zip file, to hold libarchive's members against it: libarchive takes
 * names from the headers before the members, others take them from here, and where the two differ
 * nobody can tell which is right. Used by archive*.c alone.
 */
#ifndef DATA_ARCHIVE_ZIP_H
#define DATA_ARCHIVE_ZIP_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zip_name;
struct zip_dir {
	bool there;  /* the record that ends it was found */
	char *bytes;
	size_t size;
	struct zip_name *v; /* in the order of the members in the file, as libarchive gives them */
	size_t n;
	uint64_t shift; /* libarchive's member i stands at i + shift, modulo 2^64 */
	size_t strays;  /* names that were looked for in all of it */
	struct sb name;
};

/* A directory that cannot be read has no names. */
void zip_dir_read(struct zip_dir *, const char *file);
/* Holds *name, that of member i as libarchive has it, against the directory's. NULL, and *name is
 * spelled as there (borrowed until the next call), or what is wrong. */
const char *zip_dir_check(struct zip_dir *, uint64_t i, const char **name);
void zip_dir_release(struct zip_dir *);

#endif
