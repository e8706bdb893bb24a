/*
 * The extracted tree of the human embryo time-lapse data set (Gomez et al., Data in Brief 42, 2022,
 * 108258) as records, one a frame:
 *
 *	embryo_dataset{suffix}/{video}/{anything}_RUN{n}.jpeg
 *	    suffix of the plane: _F-45 _F-30 _F-15 "" _F15 _F30 _F45
 *	embryo_dataset_annotations/{video}_phases.csv
 *	    phase,first,last (inclusive), no header
 *	embryo_dataset_time_elapsed/{video}_timeElapsed.csv
 *	    header, then frame,hours
 *	embryo_dataset_grades.csv
 *	    header, then video,grade,grade
 *
 * The latter two may be absent. Sub-folders of a video's folder (some hold a second copy called F0)
 * and hidden files are passed over.
 */
#ifndef DATA_SPLIT_NSW_H
#define DATA_SPLIT_NSW_H

#include "data/split.h"
#include "data/split_pick.h"

enum { NSW_PLANES = 7, NSW_NPHASES = 16 };
/* "F-45" .. "F+00" .. "F+45", and "tPB2" .. "tHB". */
extern const char *const nsw_plane[NSW_PLANES];
extern const char *const nsw_phase[NSW_NPHASES];
int nsw_phase_find(const char *name); /* -1 with a message that lists them */
int nsw_plane_find(const char *name); /* -1 with a message that lists them */

struct nsw_range {
	int phase;
	int64_t first, last;
};

struct nsw_video {
	const char *id;
	struct nsw_range *range; /* in the order of the file */
	int n;
	const char *grade[2];    /* as written, or NULL */
};

struct nsw_tree {
	const char *dir;
	struct nsw_video *v;     /* in the order of the videos' list */
	size_t n;
	bool has_planes[NSW_PLANES], has_times, has_grades;
	int64_t frames, times, grades, bad; /* met so far */
	struct intern ids;
	struct arena mem;
};

/* Reads the annotations. videos: a file of one id a line, the closed list in its order; NULL: the
 * annotated ones, sorted by bytes. -1 with a message if something is missing or wrong. */
int nsw_open(struct nsw_tree *, const char *dir, const char *videos);
void nsw_close(struct nsw_tree *);

/* Which frames are read. */
struct nsw_opts {
	bool plane[NSW_PLANES];
	bool unannotated;        /* also frames before the first phase and after the last */
	const char *const *ids;  /* only these videos, in this order; NULL: all */
	size_t n;
	const char *label, *stratum; /* fields that decide, or NULL */
	bool strict;             /* the first bad file or frame ends the program */
};
/* Adds the frames, plane by plane, video by video, rising. A file that is no frame, or a frame that
 * lies between two phases, is told on stderr, counted in `bad` and left out. -1 with a message if a
 * folder is missing. */
int nsw_read(struct nsw_tree *, struct split_set *, const struct nsw_opts *);
/* The videos as split_fair() wants them; fair_release() frees. Phase numbers are nsw_phase's. */
void nsw_fair(const struct nsw_tree *, struct fair_video **, size_t *n);

#endif
