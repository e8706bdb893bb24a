/* What can be said about a split_set: whether its images decode, and how it was divided. */
#ifndef DATA_SPLIT_CHECK_H
#define DATA_SPLIT_CHECK_H

#include "data/split_pick.h"

/* Opens and decodes the image of every record (file_name), on ro->jobs threads. Records whose image
 * is missing, truncated or damaged are told as bad and leave the order, or stay with an error under
 * keep_bad. Returns an exit code. */
int split_decode(struct split_set *, const struct rec_opts *);

/*
 * Numbers about a split, as result records put on sb. group_field and label_field are names for the
 * records.
 *	groups   of the order as it stands: groups of each part, and how many stand on more than one
 *	         side (which is returned)
 *	records  of each part, and of each label if label_field is not NULL
 *	ids      how many records have an id that one before them has (which is returned)
 *	mixed    real and generated records of each label
 */
size_t split_count_groups(const struct split_set *, const char *group_field, struct sb *);
void split_count_records(const struct split_set *, const char *label_field, uint64_t seed,
    struct sb *);
size_t split_count_repeated(const struct split_set *, struct sb *);
void split_count_mixed(const struct split_set *, const struct mixed *, size_t n, struct sb *);
/* The same from a list of groups, where there are no records to count. */
void split_count_lists(const struct split_file *, struct sb *);
/* One number of a tree or stream: {"kind": "result", "metric": metric, "value": value}. */
void split_count(struct sb *, const char *metric, int64_t value);

#endif
