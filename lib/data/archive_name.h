/*
 * Names in archives, which are not to be trusted. A name becomes a path below the destination, or
 * is refused with a reason:
 *
 *	struct sb path = { 0 };
 *	if (member_path(&path, "./scans//001.png")) ...     "scans/001.png"
 *
 * Bytes that are not UTF-8 are written as %XX, so that every path can stand in a record and the
 * file is found under just that path.
 */
#ifndef DATA_ARCHIVE_NAME_H
#define DATA_ARCHIVE_NAME_H

#include "base/mem.h"

#include <stdbool.h>

enum { NAME_PART_MAX = 255 }; /* bytes between two slashes: NAME_MAX of the usual file systems */

/* Appends the path, without "." and empty parts ("" is the destination itself). -1 with the reason:
 * an absolute name, a drive, a ".." between slashes or backslashes, a part that is too long. */
int member_path(struct sb *path, const char *name);
/* Whether a symbolic link at `path` (as made by member_path) may point at `target`: only relative
 * targets that climb by leading ".." no higher than the destination. Since each link obeys, and
 * none is ever walked through when writing, whatever chain they form stays inside. */
int member_link(const char *path, const char *target);
/* Appends s with bytes that are not UTF-8 as %XX. */
void name_utf8(struct sb *, const char *s);
/* Appends s fit for a terminal: control characters (also of Latin-1) as \xXX, the rest by
 * name_utf8. */
void name_show(struct sb *, const char *s);
/* The name without what only says how it was packed: "x.csv.gz" gives "x.csv", "x.csv" itself.
 * Caller frees. */
char *name_unpacked(const char *base);
/* Does the name claim to be an archive or compressed file; does it claim to be a tar? */
bool name_is_archive(const char *base);
bool name_is_tar(const char *base);

#endif
