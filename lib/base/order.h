/* Orders for qsort(). */
#ifndef BASE_ORDER_H
#define BASE_ORDER_H

int order_doubles(const void *, const void *); /* rising; none is NaN */
int order_names(const void *, const void *);   /* elements are char *: by their bytes */

#endif
