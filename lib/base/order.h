/* Orders for qsort(), and the largest of numbers. */
#ifndef BASE_ORDER_H
#define BASE_ORDER_H

#include <stdint.h>

int order_doubles(const void *, const void *); /* rising; none is NaN */
int order_names(const void *, const void *);   /* elements are char *: by their bytes */

/* Which of n > 0 numbers is the largest: the first of them. */
int64_t order_largest(const double *, int64_t n);

#endif
