/*
 * A whole stream of records held for splitting and selecting: each record's line and the few values
 * that decide where it goes. Random decisions are functions of (seed, id), never of the order of
 * the input, but for those that repeat CPython's.
 *
 *	struct split_set s = { 0 };
 *	rc = split_read(&s, &ro, files, n, &fields);
 *	if (split_assign(&s, &how)) return -1;
 *	split_write(&s, &out_options, &out);
 *	split_release(&s);
 *
 * Memory: the lines, and about 170 bytes more for each record.
 */
#ifndef DATA_SPLIT_H
#define DATA_SPLIT_H

#include "base/intern.h"
#include "data/rec.h"

struct split_item {
	const char *line;  /* without its newline; what is `raw` are whole lines with theirs */
	size_t len;
	const char *input; /* file name; borrowed from argv */
	uint64_t lineno;
	const char *id;
	int64_t frame;     /* -1: none */
	int group, label, stratum, phase, plane; /* numbers in the set's tables, -1: none */
	int part;          /* its split, -1: none */
	unsigned copy;     /* 0, or the how many-th repeat it is */
	bool raw;          /* bad records on their way through: only written */
	bool generated;    /* came from --generated */
	bool fixed;        /* its part stands */
};

struct split_set {
	struct split_item *v;
	size_t n, cap;
	size_t *order;     /* what is written: numbers of items, in this order */
	size_t norder, order_cap;
	struct intern group, label, stratum, phase, plane, part;
	struct arena mem;
	const char *folder; /* of the operands read so far */
	bool folders;       /* there was more than one */
};

/* Which fields decide. NULL: not looked at. */
struct split_fields {
	const char *group;
	const char *group_cut; /* group names end before the last of this */
	const char *label, *stratum;
	bool need_group, need_label, need_stratum; /* a record without one is bad */
	bool generated;        /* what is read now are generated records */
};

/* Adds all records of the operands; the rest as rec_each(). Bad ones kept under keep_bad, and those
 * that came with an error, stay where they stood. Returns an exit code. */
int split_read(struct split_set *, const struct rec_opts *, const char *const *files, size_t n,
    const struct split_fields *);
/* Adds an item and puts it last in the order; lines and ids are copied. */
struct split_item *split_add(struct split_set *, const char *line, size_t len, const char *id);
void split_release(struct split_set *);

/* "train", "validation", "test" and whatever else is used; val, valid and eval are validation. */
const char *split_canonical(const char *name);
/* The sets that trainers tell apart, and the one that a record's split names; -1: it has none. 0,
 * or -1 with a message. */
enum { SET_TRAIN, SET_VALIDATION, SET_TEST, SETS };
extern const char *const split_set_name[SETS];
int split_set_of(struct rec *, int *set);
/* A record's split by name; NULL: none. */
const char *split_part_name(const struct split_set *, const struct split_item *);

/* Numbers of the items in v, put in the order of a hash of (seed, purpose, id); equal ids keep
 * their order. */
void split_hash_order(const struct split_set *, size_t *v, size_t n, uint64_t seed,
    const char *purpose);
/* Shuffles the order (bad records keep their places). */
void split_shuffle(struct split_set *, uint64_t seed);
/* Puts the order plane by plane, and in each plane the groups as in ids (others after them). */
void split_order_groups(struct split_set *, const char *const *ids, size_t n);
/* Keeps what ok() says of the order, and all bad records. */
void split_keep(struct split_set *, bool (*ok)(const struct split_item *, void *), void *ctx);

/* What is written. */
struct split_out {
	struct shard shard;
	bool set_split;   /* set the `split` field */
	bool resolve;     /* file names as seen from the current folder */
	bool describe;    /* `text` by phase, and by focal plane if there are several */
};
/* Writes the records in their order. -1 with a message if one cannot be written. */
int split_write(const struct split_set *, const struct split_out *, struct rec_out *);

/* ---- assigning (split_assign.c) -------------------------------------------------------------- */

enum split_how {
	SPLIT_SLICE,  /* exact sizes, units in hash order */
	SPLIT_HASH,   /* each unit by its own hash: sizes only about right, but nobody ever moves */
	SPLIT_PYTHON  /* units in the order of the input, shuffled as CPython does, sliced */
};

enum { SPLIT_MAX_PARTS = 64 };

struct split_weights {
	int n;
	const char *name[SPLIT_MAX_PARTS];
	double w[SPLIT_MAX_PARTS]; /* weights, or counts; -1: the rest */
};

struct split_plan {
	const struct split_weights *w;
	bool counts;      /* w are numbers of units; units beyond them get no split */
	bool grouped;     /* units are groups; else records */
	bool stratified;  /* the strata are shared out evenly */
	bool by_records;  /* groups weigh as much as they have records */
	bool allow_empty;
	enum split_how how;
	uint64_t seed;
};

/* "8,1,1", "80%,20%", "train=0.9,test=0.1"; unnamed are train, test or train, validation, test.
 * With counts also "rest". 0, or -1 with a message. The names live in mem. */
int split_parse_weights(struct split_weights *, const char *text, bool counts, struct arena *mem);
/* Sizes of the parts of n: offsets are cumulative weights times n, rounded half to even. -1 with a
 * message if a part would be empty and may not be. */
int split_sizes(const struct split_weights *, size_t n, bool allow_empty, size_t *size);
/* Gives every item in the order its part. */
int split_assign(struct split_set *, const struct split_plan *);
/* In order of the file's name (without its folder; else id) the first int(keep * n) go on, the rest
 * get the split `holdout` for good. Returns how many go on. */
size_t split_holdout(struct split_set *, double keep);
/* Validation is a tenth of n, test a tenth of what is left, train the rest: 900 -> 729, 90, 81. */
void split_tenths(struct split_weights *, size_t n);

#endif
