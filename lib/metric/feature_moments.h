/* A set of images as the moments of its features: files of statistics, and what is worked out. */
#ifndef METRIC_FEATURE_MOMENTS_H
#define METRIC_FEATURE_MOMENTS_H

#include "metric/features.h"
#include "metric/frechet.h"

/* A file of statistics; -1 with a message. write: the set's mean and covariance, and what made
 * them. */
int fset_read_moments(struct fset *, const char *path);
int fset_write_moments(const struct moments *, const struct fset_source *, const char *path);
/* The mean and covariance: of the rows, or as read. -1 with a message. */
int fset_gauss(const struct fset *, int ddof, struct gauss *);

#endif
