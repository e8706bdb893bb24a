#include "nn/slabs.h"

size_t
slab_piece_max(void)
{
	size_t max = gpu_info()->max_range, most = (size_t)1 << 30;

	return (max < most ? max : most) & ~(size_t)0xFFF;
}

struct slab_walk
slab_walk(struct params *const *ps, int n)
{
	struct slab_walk w = { .ps = ps, .n = n };

	if (n)
		w.nrange = params_ranges(ps[0], &w.range);
	return w;
}

bool
slab_next(struct slab_walk *w, struct slab_piece *piece)
{
	size_t max = slab_piece_max(), left;

	while (w->at < w->n && w->next == w->nrange) {
		w->next = 0;
		w->nrange = ++w->at < w->n ? params_ranges(w->ps[w->at], &w->range) : 0;
	}
	if (w->at == w->n)
		return false;
	left = w->range[w->next].len - w->done;
	*piece = (struct slab_piece){ &w->ps[w->at]->slab[w->range[w->next].slab],
		w->range[w->next].off + w->done, left < max ? left : max };
	w->done += piece->len;
	if (piece->len == left) {
		w->next++;
		w->done = 0;
	}
	return true;
}
