/* Results as records, and matrices as CSV. */
#ifndef METRIC_RESULT_H
#define METRIC_RESULT_H

#include "base/mem.h"

#include <stdbool.h>

/* {"kind": "result", "tool": .., "metric": .., "average": .., "label": .., "value": .., "n": ..};
 * NULL for a name leaves it out; a value that is not finite is null. */
void result_put(struct sb *, const char *metric, const char *average, const char *label,
    double value, size_t n);

/* An n x n matrix of counts as CSV, the names as header; with shares each row divided by its sum.
 * 0, or -1 with a message. */
int result_matrix(const char *path, const char *const *name, int n, const int64_t *m, bool shares);

#endif
