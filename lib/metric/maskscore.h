/* Predicted and true masks of records as label maps of one kind, and the counts of many of them. */
#ifndef METRIC_MASKSCORE_H
#define METRIC_MASKSCORE_H

#include "data/mask.h"
#include "data/rec.h"
#include "metric/seg.h"

/* How masks are read. */
struct mask_how {
	const char *truth; /* field; NULL: whatever mask_of_record() finds, or mask_file_name */
	const char *pred;              /* field */
	int classes;                   /* binary: 2 */
	bool binary;                   /* foreground is what is not 0 */
	double threshold;              /* binary: a prediction is foreground from this share of its
	                                * largest possible value on; negative: from 1 on */
	const struct class_dict *dict; /* classes by colour; NULL: by number */
};

/* [n] labels, 0 .. classes - 1, or -1 for none. */
struct mask_pair {
	int32_t *pred, *truth;
	size_t n;
	int w, h;
};

/* Reads both; -1 with a message if one is not there, cannot be read, or they differ in size. */
int mask_pair_read(struct mask_pair *, struct rec *, const struct mask_how *);
void mask_pair_release(struct mask_pair *);

/* Counts of many images, added in any order by several threads. */
struct mask_scores {
	struct seg_stats st;
	struct mask_key {
		size_t file;
		uint64_t line;
		size_t row;
	} *key;      /* [st.n] */
	size_t key_cap;
	int64_t *confusion; /* [c + 1][c + 1] pixels by truth and prediction; the last: none */
};
void mask_scores_init(struct mask_scores *, int classes);
void mask_scores_release(struct mask_scores *);
/* One image, known by the number of its file and its line. one: its own counts, [1]. Call with a
 * lock held. */
void mask_scores_add(struct mask_scores *, const struct seg_stats *one, const struct mask_pair *,
    int32_t ignore, size_t file, uint64_t line);
/* Puts the images into the order of the input. */
void mask_scores_sort(struct mask_scores *);
/* dst: the same images without class 0. */
void seg_without_first(struct seg_stats *dst, const struct seg_stats *src);

#endif
