/*
 * Results as records: {"kind": "result", "tool": .., "metric": .., members, "value": .., ...}.
 * Members are appended to the text of a record that is begun.
 */
#ifndef DATA_RESULT_H
#define DATA_RESULT_H

#include "base/mem.h"

/* All but the closing brace of a result of this program without a value. */
void result_begin(struct sb *, const char *metric);
void result_str(struct sb *, const char *key, const char *value); /* NULL: left out */
void result_num(struct sb *, const char *key, double x);          /* NaN: left out */

/* A whole line: {.., "average": .., "label": .., "value": .., "n": ..}; NULL for a name leaves it
 * out; a value that is not finite is null. */
void result_put(struct sb *, const char *metric, const char *average, const char *label,
    double value, size_t n);

#endif
