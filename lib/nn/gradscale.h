/*
 * The loss scale of 16-bit training: gradients are made `scale` times too large, so that small ones
 * survive f16. A step whose gradients are not all finite is left out and the scale lowered; after
 * `interval` good steps it is raised. As torch.amp.GradScaler.
 *
 *	backward_scaled(loss, gs.scale);
 *	norm = optim_clip(&o, max_norm, gs.scale);
 *	if (gradscale_update(&gs, tensor_item(norm)))
 *		optim_step(&o, lr);
 */
#ifndef NN_GRADSCALE_H
#define NN_GRADSCALE_H

#include <stdbool.h>
#include <stdint.h>

struct gradscale {
	double scale, growth, backoff;
	int64_t interval, good; /* good steps since the last change */
};

/* scale 65536, growth 2, backoff 1/2, interval 2000. */
void gradscale_init(struct gradscale *);
/* Is the step good? Its gradients' norm (of optim_clip) is finite. Moves the scale. */
bool gradscale_update(struct gradscale *, double norm);

#endif
