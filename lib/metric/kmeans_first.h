/* The means that k-means begins with. */
#ifndef METRIC_KMEANS_FIRST_H
#define METRIC_KMEANS_FIRST_H

#include "base/rng.h"
#include "metric/kmeans_data.h"

/* k-means++: each next mean is the best of 2 + ln k candidates, rows drawn with a probability
 * proportional to their squared distance from the means so far. c [k,d], less the data's mean. */
void kmeans_spread(const struct kdata *, float *c, int64_t k, struct rng *);

#endif
