/*
 * A set of images as rows of features, from whatever holds it:
 *
 *	FILE.npy       a matrix [n,d]
 *	FILE.npz       mean `mu`, covariance `sigma` (divided by n-1), and where we wrote it `n`,
 *	`network`,
 *	               `preprocess` and `weights`: no rows, only moments
 *	FILE, -        records with `embedding_file` and `embedding_row`, or `embedding`, or images
 *	               (`file_name`)
 *	DIR            the images below it, sorted; its metadata.jsonl if there is one
 *
 *	struct fset s;
 *	rc = fset_read(&s, operand, &how);     EXIT_OK, or EXIT_RECORDS if some records were bad
 *	fset_release(&s);
 *
 * Memory: n * d * 4 bytes, and the records' lines.
 */
#ifndef METRIC_FEATURES_H
#define METRIC_FEATURES_H

#include "base/intern.h"
#include "data/rec.h"
#include "metric/moments.h"

/* What made the features; "" is not known. */
struct fset_source {
	const char *network, *preprocess, *weights;
};

struct fset_row {
	const char *line;     /* the record, without its newline */
	size_t len;
	const char *input;    /* for messages */
	uint64_t lineno;
	const char *id;
	const char *file;     /* of the image, as it can be opened; NULL */
	const char *label, *split, *pred; /* fields `label`, `split` and `pred_label`; NULL */
	int group;            /* by the field that was asked for; -1: none */
};

struct fset {
	const char *name;     /* the operand */
	int64_t n, d;
	float *x;             /* [n,d]; NULL: only moments */
	size_t cap;
	double *p;            /* [n,c] shares of classes, or NULL */
	int64_t c;
	size_t p_cap;
	struct fset_row *row; /* [n] */
	size_t row_cap;
	struct fset_source source;
	bool has_moments;
	struct moments moments; /* of statistics; their n is 0 if it is not known */
	double *sigma;        /* of statistics: [d,d] */
	struct arena mem;
};

struct fset_images;

struct fset_how {
	struct rec_opts *ro;
	struct rec_out *out;      /* where bad records go that are kept */
	const char *by;           /* field that groups, or NULL */
	struct intern *groups;    /* its values */
	const char *scores;      /* field with an array of shares (or logits) of classes, or NULL */
	bool lines;               /* keep the records' lines */
	struct fset_images *images; /* turns images into features */
	/* features that the records say are of another do not count; or NULL */
	const char *network;
};

/* Ends the program (EXIT_FATAL) if the operand cannot be read at all or no image of it is left. */
int fset_read(struct fset *, const char *operand, const struct fset_how *);
void fset_release(struct fset *);
/* Shares of classes from a matrix of logits, a row for each of the set. -1 with a message. */
int fset_read_logits(struct fset *, const char *path);

/* Sets pred of the rows that have none: the likeliest of the classes, which are in the order of p.
 * -1 with a message: a row has no shares of classes, or of another number of them. */
int fset_predict(struct fset *, const struct intern *classes);

/* Are both from the same network, prepared the same way? -1 with a message if they say otherwise.
 * *known: both do say. */
int fset_same_source(const struct fset *, const struct fset *, bool *known);
/* For what reads images: room for n rows of d, and the loss of rows whose flag is set. */
void fset_alloc(struct fset *, int64_t d);
void fset_drop(struct fset *, const bool *gone);

/* Image features by a network (metric/feature_images.c). Fills x (and p where logits are wanted) of
 * a set whose rows name files; rows whose image cannot be read are told in the records' common
 * wording and dropped. Returns an exit code. */
int fset_images_fill(struct fset_images *, struct fset *, const struct fset_how *);

#endif
