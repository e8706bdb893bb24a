/* Generated images one by one: the nearest real one of each, how unlikely each is, and a sheet to
 * look at. */
#ifndef METRIC_FIDIMAGES_H
#define METRIC_FIDIMAGES_H

#include "metric/features.h"
#include "metric/neighbours.h"

/* What is written on each generated record. */
struct fid_images {
	struct neighbour *near;  /* [n], or NULL */
	bool *authentic;         /* [n], or NULL: fewer than two real ones */
	double *d2, *p;         /* [n]: squared Mahalanobis distance and its probability, or NULL */
};
void fid_images_release(struct fid_images *);

/* near and authentic. */
void fid_images_near(struct fid_images *, const struct fset *real, const struct fset *gen);
/* d2 and p by at most k principal components of the real features; *used of them. -1 with a
 * message. */
int fid_images_unlikely(struct fid_images *, const struct fset *real, const struct fset *gen,
    int64_t k, int64_t *used);

/* Writes gen's records with the fields `nearest_id`, `nearest_file_name`, `nearest_distance`,
 * `authentic`, `mahalanobis_sq`, `p_value`, as far as they are there: those whose p is at least
 * min_p (rest dropped), in the order of the input, or with rank the least likely first. */
void fid_images_write(const struct fid_images *, const struct fset *real, const struct fset *gen,
    double min_p, bool rank, struct rec_out *);

/* A sheet of the `rows` nearest pairs, the nearest first. -1 with a message: it cannot be
 * written, or neither set names images. An image that cannot be read leaves a gap. */
int fid_images_sheet(const struct fid_images *, const struct fset *real, const struct fset *gen,
    int64_t rows, const char *path);

#endif
