/*
 * Prompts that say what images look like: images are parted into clusters by their feature vectors,
 * and each one's prompt names its cluster (Osorio et al., Latent diffusion models with
 * image-derived annotations for enhanced AI-assisted cancer diagnosis in histopathology, 2024).
 */
#ifndef METRIC_MORPH_H
#define METRIC_MORPH_H

#include "data/look.h"
#include "data/rec.h"
#include "data/safetensors.h"
#include "metric/cluster_score.h"
#include "metric/kmeans.h"

enum morph_split { MORPH_TRAIN, MORPH_TEST, MORPH_VALIDATION, MORPH_SPLITS };

struct morph_item {
	char *line;       /* the record */
	size_t len;
	const char *input;
	uint64_t lineno;
	char *id, *path;  /* path: the image's */
	int64_t row;      /* of x; -1: removed */
	int label, prompt; /* indices of below */
	int32_t cluster;
	struct look look;
	unsigned fails;   /* bits of the outlier rules that it fails */
	char *why;        /* NULL, or why the image could not be read */
	bool taken;       /* into the balanced set */
	enum morph_split split;
};

struct morph_prompt {
	char *text;       /* in the order of their bytes */
	int label;
	int64_t n;
	bool taken;
};

/* A file of rows that records name. */
struct morph_file {
	char *path;
	struct st_tensor t;
};

struct morph {
	struct morph_item *item;
	int64_t n;
	size_t cap;
	int64_t d, rows;
	float *x;         /* [rows,d] */
	size_t xcap;
	struct morph_file *file;
	size_t nfile, fcap;
	char *origin[3];  /* the first record's network, preprocessing and weights, or NULL */
	char **label;     /* sorted by morph_sort_labels */
	int nlabel;
	size_t lcap;
	struct morph_prompt *prompt;
	int nprompt;
	struct kmeans clusters;
};

/* ---- vectors (morph_rows.c) ----------------------------------------------------------------- */

/* A record's vector, its `embedding` or the row of embedding_file that embedding_row names, goes to
 * x behind the last row; the caller counts it. All must be made in one way and as long. -1 with a
 * message. */
int morph_read_row(struct morph *, struct rec *);
void morph_rows_release(struct morph *);

/* ---- outliers ----------------------------------------------------------------------------- */

/* An image is one if any of its numbers is less than this: MEP's for patches of histology. */
struct morph_limits {
	double mean_v, mean_s, std_v, std_s, std_h, var_l, n_contour;
};
#define MORPH_LIMITS { 70, 3, 4, 4, 1.5, 100, 10 }
enum { FAILS_V = 1, FAILS_S = 2, FAILS_STD_V = 4, FAILS_STD_S = 8, FAILS_STD_H = 16, FAILS_L = 32,
	FAILS_CONTOUR = 64 };

/* Adds a label if it is new; returns its index. */
int morph_label(struct morph *, const char *);
/* Looks at every image, on all cores, and fills look and fails, or why. */
void morph_look(struct morph *, const struct morph_limits *);
/* Removes the items that fail a rule or could not be read, and their rows; returns how many were
 * read but fail. */
int64_t morph_remove(struct morph *);

/* ---- clusters ----------------------------------------------------------------------------- */

/* Sorts the labels; fills each item's cluster from m->clusters. */
void morph_sort_labels(struct morph *);
void morph_take_clusters(struct morph *);

/* ---- prompts ------------------------------------------------------------------------------ */

/* text [n]: of each item that is not removed, NULL of others; taken over. Fills prompts and each
 * item's. */
void morph_set_prompts(struct morph *, char **text);

struct morph_balance {
	int64_t least;      /* prompts of a label: more than so many */
	int64_t first, step; /* sizes tried: first, first + step, ... */
	/* out: prompts of each label, samples of each prompt, the size tried */
	int64_t prompts, each, size;
};
/* Of every label as many of its most frequent prompts, of every prompt as many items, as the
 * largest size N allows: m prompts of each of L labels may be taken if each has more than N / (L m)
 * items; the largest m is taken. Marks prompts and items as taken; which items is a function of
 * seed and id. -1 with a message: no size allows it. */
int morph_take_balanced(struct morph *, struct morph_balance *, uint64_t seed);
/* All of them. */
void morph_take_all(struct morph *);

/* Parts the taken items of each prompt by weights of train, test and validation (0: none), as a
 * function of seed and id; the parts' sizes are the nearest whole numbers, the remainder spread
 * over the prompts. */
void morph_part(struct morph *, const double weight[MORPH_SPLITS], uint64_t seed);

void morph_release(struct morph *);

/* ---- MEP's files -------------------------------------------------------------------------- */

/* DIR/metadata/: df_plot_full_ds.csv, df_clean.csv, df_prompts.csv, df_subset.csv, df_train.csv,
 * df_val.csv and df_test.csv where there are such parts, text_2_promptidx.json and
 * text_2_promptidx_valid_susbet.json. only: a label, or NULL: the tables of parts and the two maps
 * hold this one alone. looked: outliers were looked for. -1 with a message. */
int morph_write_mep(const struct morph *, const char *dir, bool looked, const char *only);

/* The rows on their first two principal components, a colour a cluster, its number in its middle:
 * a PNG. -1 with a message. */
int morph_draw(const struct morph *, const char *path, uint64_t seed);

#endif
