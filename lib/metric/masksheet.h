/*
 * A contact sheet of scored masks: image, truth and prediction of the first records of the input,
 * whichever thread comes first.
 */
#ifndef METRIC_MASKSHEET_H
#define METRIC_MASKSHEET_H

#include "data/rec.h"
#include "metric/maskscore.h"

struct masksheet {
	size_t rows, n;        /* wanted, and kept so far */
	bool binary;
	struct masksheet_row {
		size_t file;
		uint64_t line;
		struct image pic[3];
		char *caption;
	} *row;                /* by file and line */
};

void masksheet_init(struct masksheet *, size_t rows, bool binary);
/* Keeps a record's pictures if it is among the first; score: its IoU, for the caption. Call with a
 * lock held. An image that cannot be read leaves a gap. */
void masksheet_add(struct masksheet *, struct rec *, const struct mask_pair *, size_t file,
    double score);
/* 0, or -1 with a message. */
int masksheet_write(const struct masksheet *, const char *path);
void masksheet_release(struct masksheet *);

#endif
