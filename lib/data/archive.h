/*
 * Unpacking archives of every format that libarchive reads, without trusting what they say.
 *
 * An archive is unpacked into a folder of its own, DEST/.archx-XXXXXX/N, where each name is walked
 * part by part without following links. When it has ended and its checksums are verified, what is
 * whole moves to its place below DEST, in the order of the archives given, and its records go out.
 * So nothing half-written ever stands under its name, and a damaged stream leaves nothing that a
 * record or a name would present as good.
 *
 *	struct unpack_opts o = UNPACK_OPTS;
 *	o.dest = "data";
 *	return unpack_all(&o, items, n, &out);
 *
 * Limits: archives are files that can be opened by name, more than once; passwords are not known;
 * times of folders, owners, ACLs and extended attributes are not restored.
 */
#ifndef DATA_ARCHIVE_H
#define DATA_ARCHIVE_H

#include "data/rec.h"

#include <stdbool.h>
#include <stdint.h>

struct unpack_opts {
	/* folder, absent or empty; NULL: only records of what would be unpacked */
	const char *dest;
	int64_t jobs;        /* archives at once */
	int64_t max_bytes;   /* that one archive may unpack to */
	int64_t max_members; /* of one archive */
	double max_ratio;    /* of unpacked bytes to the archive's size, beyond 16 MiB */
	const char *charset; /* of names that do not say theirs; NULL: their bytes are kept */
	bool dirs;           /* records of folders and symbolic links too */
	bool sync;           /* files are on the disk before they get their names */
	bool quiet;          /* no progress */
};
/* 64 GiB and 4 million members: above the largest published image sets' single archives. A ratio of
 * 200: real images and tables stay below it, deflate's bombs reach 1000. */
#define UNPACK_OPTS { .jobs = 1, .max_bytes = INT64_C(64) << 30, .max_members = 4000000, \
	.max_ratio = 200 }

struct unpack_item {
	const char *path; /* as it is called in records and messages; borrowed, as file is */
	const char *file; /* what is opened; NULL: path */
	bool copy;        /* no archive: copied as it is */
	bool maybe;       /* passed over with a word if it turns out to be no archive */
};

/* Unpacks all items, writes their records to out. Bad members and archives: one line each on
 * stderr, `tool: ARCHIVE: MEMBER: why`. Returns EXIT_OK, or EXIT_RECORDS if anything was bad. Ends
 * the program (EXIT_FATAL) if dest cannot be made or is not empty, or on a write error. INT and
 * TERM end it too, leaving what was complete. */
int unpack_all(const struct unpack_opts *, const struct unpack_item *, size_t n,
    struct rec_out *out);

#endif
