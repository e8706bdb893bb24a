/* One archive into its staging folder; used by archive.c alone. */
#ifndef DATA_ARCHIVE_UNPACK_H
#define DATA_ARCHIVE_UNPACK_H

#include "data/archive.h"
#include "data/archive_zip.h"

#include <locale.h>
#include <stdatomic.h>
#include <stdio.h>

/* What happened, in the archive's order, kept in a file so that memory does not grow with it. */
enum log_kind { LOG_FILE, LOG_DIR, LOG_SYMLINK, LOG_BAD, LOG_WARN };
struct log_entry {
	enum log_kind kind;
	int64_t size;        /* bytes of a file; -1: the archive does not say (only when listing) */
	struct sb path, member; /* below dest, and as the archive spells it; a message is in path */
};
void log_put(FILE *, const struct log_entry *);
/* 1, or 0 at the end. Strings are reused by the next call. */
int log_get(FILE *, struct log_entry *);

struct unpack {
	const struct unpack_opts *o;
	const char *path, *file;    /* of the archive: as it is called, and to open */
	bool copy, maybe;           /* as in struct unpack_item */
	int root;                   /* the staging folder; -1 when listing */
	FILE *log;
	atomic_bool *stop;          /* somebody asked to end */
	atomic_ullong *count;       /* members so far, for progress */
	/* results */
	bool bad;                   /* a LOG_BAD was put */
	bool withdrawn;             /* nothing of it may be published */
	struct sb lost;        /* paths, each with a NUL, that were recorded and taken away again */
	/* at work */
	uint64_t members, bytes, size;
	bool over;                  /* a limit was met */
	struct sb dirname;          /* the folder that dirfd is */
	int dirfd;
	struct sb target, p;
	locale_t utf8, ascii;
	struct zip_dir zip;
	bool zip_read;              /* if there is one */
};
/* "ARCHIVE: MEMBER: why", or without MEMBER, fit for a terminal; appended. */
void unpack_message(struct sb *, const struct unpack *, const char *member, const char *why);
/* Puts such a message into the log. */
void unpack_say(struct unpack *, enum log_kind, const char *member, const char *why);
/* Fills the staging folder and the log. Never fails: what is bad stands in the log. */
void unpack_one(struct unpack *);
void unpack_release(struct unpack *); /* the log is closed, the root not */

/* Opens folder path[0..n) below root, never through a link; makes what is missing. -1: message. */
int folder_open(int root, const char *path, size_t n, bool make, unsigned mode);

#endif
