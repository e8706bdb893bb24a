/*
 * TensorBoard's event files: TFRecords (length, its checksum, bytes, their checksum) that each hold
 * an Event message of tensorflow/core/util/event.proto.
 *
 *	struct tfevents e;
 *	if (tfevents_open(&e, "runs/a")) return -1;
 *	if (tfevents_scalar(&e, "loss", step, loss)) ...
 *	return tfevents_close(&e);
 *
 * A file of its own for each open: a run that goes on leaves several, which TensorBoard reads as
 * one. Every event is on its way when the call returns, and a reader takes a half-written last one
 * for the end. Nothing is kept in memory. Errors are -1 with "path: why".
 */
#ifndef DATA_TFEVENTS_H
#define DATA_TFEVENTS_H

#include "data/image.h"

#include <stdio.h>

enum { TFEVENTS_TAG = 1024, TFEVENTS_IMAGE = 64 << 20 }; /* longest tag, largest PNG; bytes */

struct tfevents {
	FILE *fp;
	char *path;
};

/* Makes the folder and in it events.out.tfevents.SECONDS.HOST.PID.N. */
int tfevents_open(struct tfevents *, const char *dir);
int tfevents_scalar(struct tfevents *, const char *tag, int64_t step, double value);
/* 8 bits; stored as PNG. */
int tfevents_image(struct tfevents *, const char *tag, int64_t step, const struct image *);
int tfevents_close(struct tfevents *);

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4) of n bytes; and as TFRecords have it, rotated right
 * by 15 bits plus 0xa282ead8, so that a checksum may stand among the data that one is made of. */
uint32_t crc32c(const void *p, size_t n);
uint32_t crc32c_masked(const void *p, size_t n);

#endif
