#include "nn/gradscale.h"

#include <math.h>

void
gradscale_init(struct gradscale *g)
{
	*g = (struct gradscale){ .scale = 65536, .growth = 2, .backoff = 0.5, .interval = 2000 };
}

bool
gradscale_update(struct gradscale *g, double norm)
{
	if (!isfinite(norm)) {
		g->scale *= g->backoff;
		g->good = 0;
		return false;
	}
	if (++g->good == g->interval) {
		g->scale *= g->growth;
		g->good = 0;
	}
	return true;
}
