/*
 * The bytes of an archive file with every layer of compression taken off, checksums verified to the
 * very end (libarchive alone reads past a gzip member's checksum without looking at it). What comes
 * out is bounded, so that a bomb stops here.
 *
 *	struct src s;
 *	if (src_open(&s, path, &limits)) return -1;
 *	while (!src_read(&s, &p, &n) && n) ...
 *	src_close(&s);
 */
#ifndef DATA_ARCHIVE_SRC_H
#define DATA_ARCHIVE_SRC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct src_limits {
	uint64_t bytes; /* that may come out of a layer */
	double ratio;   /* of bytes out to the file's size, judged beyond SRC_RATIO_FROM bytes */
};
enum { SRC_LAYERS = 16, SRC_RATIO_FROM = 16 << 20 };

/* SRC_CHECKSUM: something before the place was damaged, nobody knows what. */
enum src_fault { SRC_FINE, SRC_TRUNCATED, SRC_DAMAGED, SRC_CHECKSUM, SRC_LIMIT };

struct src_layer;
struct src {
	struct src_layer *top;
	int nlayers;          /* 1: the file itself, not compressed */
	uint64_t size;        /* bytes of the file */
	struct src_limits limits;
	enum src_fault fault; /* what src_read's -1 was */
	bool garbage;         /* bytes that belong to nothing follow the compressed data */
};

/* 0, or -1 with a message: cannot be opened, a layer that this machine cannot undo, too many. */
int src_open(struct src *, const char *path, const struct src_limits *);
/* The file's own bytes, without limits. */
int src_open_plain(struct src *, const char *path);
/* The next bytes, borrowed until the next call; *n = 0 at the end. -1 with a message. */
int src_read(struct src *, const void **p, size_t *n);
/* The bytes that src_read will give first, if src_open or src_skip looked at them already. */
void src_peek(const struct src *, const void **p, size_t *n);
/* Passes over n bytes; fewer if the end comes first. */
int src_skip(struct src *, uint64_t n);
void src_close(struct src *);

struct archive;
/* libarchive's message becomes ours; -1. */
int src_err(struct archive *);

/* True if `bytes` unpacked from a file of `size` bytes is more than the limits allow; then with a
 * message. */
bool src_over(const struct src_limits *, uint64_t bytes, uint64_t size);

#endif
