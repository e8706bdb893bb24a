/* Between the tape and checkpoints; not for others. */
#ifndef TENSOR_WALK_H
#define TENSOR_WALK_H

#include "tensor/ops.h"

/* A node for out whether or not an input requires gradients. */
struct node *node_new(const char *op, struct tensor *out, struct tensor *const *in, int nin,
    void (*back)(struct node *, struct tensor *gy, struct tensor **gx));
/* From gy, y's gradient, to those of x[0..n) (new handles of the innermost scope, or NULL) and, if
 * `leaves`, into the grad of every other leaf. Frees the graph unless create_graph. */
void tape_walk(struct tensor *y, struct tensor *gy, struct tensor *const *x, int n, bool leaves,
    bool create_graph, struct tensor **gx);
/* Whether the walk in progress is backward's. */
bool tape_in_backward(void);

#endif
