/*
 * Choosing among the records of a split_set: fair splits by phase, one frame for each phase of each
 * video, as many of each label, a random few, and the mixture of real and generated ones.
 */
#ifndef DATA_SPLIT_PICK_H
#define DATA_SPLIT_PICK_H

#include "data/split.h"

/* ---- the fair split of videos (split_fair.c) ------------------------------------------------- */

/* A video and the phases that it shows, in order. */
struct fair_video {
	const char *id;
	int *phase;
	int n;
};

/*
 * As long as there are videos: takes the phase that the fewest of them show (the one first seen
 * among equals), shuffles those videos with CPython's random, and slices them by the weights. list:
 * [n] numbers of videos, part after part, each in the order drawn; size: [parts]. Videos without a
 * phase go nowhere. 0, or -1 with a message: some phase leaves a part empty.
 */
int split_fair(const struct fair_video *, size_t n, const char *const *phase_name,
    const struct split_weights *, uint64_t seed, bool allow_empty, size_t *list, size_t *size);

/* Groups and their phases as the records show them; to be freed by fair_release(). */
void fair_from_set(const struct split_set *, struct fair_video **, size_t *n);
void fair_release(struct fair_video *, size_t n);
/* Every record gets the part of its group. */
void fair_apply(struct split_set *, const struct fair_video *, const struct split_weights *,
    const size_t *list, const size_t *size);

/* ---- split.json ------------------------------------------------------------------------------ */

/* One line {"train": [ids], ...}: groups where records have one, else ids. The validation set is
 * called `eval`. path may be a folder: split.json in it. -1 with a message; so if it exists. */
int split_json_write(const char *path, const struct split_weights *, const char *const *const *ids,
    const size_t *n);
/* The same from the parts of a set's records, in order of first appearance. */
int split_json_write_set(const char *path, const struct split_set *);
/* Reads one: names and ids live in mem. The ids of part k are id[k][0..n[k]-1]. */
struct split_file {
	int parts;
	const char *name[SPLIT_MAX_PARTS]; /* canonical */
	const char *key[SPLIT_MAX_PARTS];  /* as written */
	const char **id[SPLIT_MAX_PARTS];
	size_t n[SPLIT_MAX_PARTS];
	struct arena mem;
};
int split_json_read(struct split_file *, const char *path);
void split_file_release(struct split_file *);
/* Records whose group (or id) the file names get its part, others none. */
void split_file_apply(struct split_set *, const struct split_file *);

/* ---- choosing (split_pick.c) ----------------------------------------------------------------- */

enum frame_rule { FRAME_BRANCH, FRAME_MAIN };

struct pick {
	uint64_t seed;
	bool shuffle;
	bool python;            /* draw as CPython does */
	bool replace;           /* --balanced draws with replacement */
	bool drop;              /* labels with too few: take what there is */
	enum frame_rule rule;
	const int *phases;      /* wanted phase numbers, or NULL: all */
	int nphases;
	const int *planes;      /* plane numbers to draw from */
	int nplanes;
};

/* One frame for each phase of each video: median position (branch), or median frame number where
 * that frame exists (main); its focal plane drawn. Records need group, phase and frame. Returns the
 * number of frames that the drawn plane lacks (told on stderr), or -1 with a message. */
int64_t pick_one_per_phase(struct split_set *, const struct pick *);
/* n records of each label; of each phase in python mode. -1 with a message if one has too few. */
int pick_balanced(struct split_set *, size_t n, const struct pick *);
void pick_random(struct split_set *, size_t n, const struct pick *);

/* How generated records join the real ones of the split `into` (NULL: all). */
struct mix {
	double replace;         /* share of each label's real records that is replaced; -1: none */
	const struct opt_list *total; /* "LABEL=N" or "N": generated are added up to N of it */
	uint64_t seed;
	int into;               /* part number, -1: whole stream */
};
/* Told for each label: */
struct mixed {
	int label;
	size_t real, dropped, added;
};
/* Generated records that are not taken leave the order, the others get the part `into` and stand
 * last. -1 with a message if there are too few. *out: [*n], caller frees. */
int split_mix(struct split_set *, const struct mix *, struct mixed **out, size_t *n);

#endif
