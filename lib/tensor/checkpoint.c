/* Time for memory: a part of a net whose activations are not kept is run again when backward
 * comes. */
#include "tensor/walk.h"

#include <string.h>

static bool again;

bool
checkpoint_again(void)
{
	return again;
}

/* The part runs again on inputs cut off from the graph, and a walk of its own differentiates it. */
static void
checkpoint_back(struct node *n, struct tensor *gy, struct tensor **gx)
{
	struct tensor *(*fn)(void *, struct tensor **, int);
	void *ctx;
	struct tensor *in[NODE_MAXIN] = { NULL }, *x[NODE_MAXIN], *g[NODE_MAXIN], *y;
	bool was_again = again, was;
	int nx = 0;

	if (!tape_in_backward())
		op_die("checkpoint", "only backward() passes through it");
	memcpy(&fn, &n->i[0], sizeof(fn));
	memcpy(&ctx, &n->i[2], sizeof(ctx));
	for (int i = 0; i < n->nin; i++) {
		if (!n->in[i])
			continue;
		x[nx] = in[i] = tensor_detach(n->save[i]);
		x[nx++]->requires_grad = n->need[i];
	}
	was = grads_set(true);
	again = true;
	y = fn(ctx, in, n->nin);
	again = was_again;
	tape_walk(y, gy, x, nx, true, false, g);
	grads_set(was);
	for (int i = nx = 0; i < n->nin; i++)
		if (in[i])
			gx[i] = g[nx++];
}

struct tensor *
checkpoint(struct tensor *(*fn)(void *ctx, struct tensor **in, int n), void *ctx,
    struct tensor **in, int nin)
{
	struct tensor *y;
	struct node *n;

	if (!grads_on())
		return fn(ctx, in, nin);
	scope_open();
	grads_set(false);
	y = tensor_detach(fn(ctx, in, nin));
	grads_set(true);
	n = node_new("checkpoint", y, in, nin, checkpoint_back);
	memcpy(&n->i[0], &fn, sizeof(fn));
	memcpy(&n->i[2], &ctx, sizeof(ctx));
	for (int i = 0; i < nin; i++)
		node_save(n, in[i]);
	return scope_keep(y);
}
