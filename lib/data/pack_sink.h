/*
 * One data set being written into the stage: a folder with files, a tar or a zip. Members have
 * fixed times and owners, so that the same members make the same bytes. A write error ends the
 * program.
 */
#ifndef DATA_PACK_SINK_H
#define DATA_PACK_SINK_H

#include "data/pack_name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct sink {
	const char *title;   /* for messages; borrowed */
	enum pack_kind kind;
	bool store;          /* zip: compress nothing */
	int fd;              /* of the folder or the archive */
	void *archive;       /* libarchive's */
	uint64_t bytes;      /* of a tar, so far, before compression; without its end */
};

/* `name` in folder `dir` (of the stage); filter as of pack_ending(). */
void sink_open(struct sink *, int dir, const char *name, enum pack_kind, const char *filter,
    bool store, const char *title);
/* A member, with the folders in its name. */
void sink_put(struct sink *, const char *member, const void *p, size_t n);
/* The same from a spool, which is read from its start; a zip compresses it,
 * unless it stores all. */
void sink_put_spool(struct sink *, const char *member, FILE *);
void sink_close(struct sink *);

/* Bytes that a member takes in a tar. */
uint64_t sink_tar_size(const char *member, size_t n);

#endif
