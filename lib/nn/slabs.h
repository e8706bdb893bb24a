/*
 * Going over the parts of nets' slabs that have gradients, in pieces that one binding may cover.
 *
 *	for (struct slab_walk w = slab_walk(ps, n); slab_next(&w, &piece);)
 *		... piece.len bytes at piece.off of piece.slab->value and ->grad
 */
#ifndef NN_SLABS_H
#define NN_SLABS_H

#include "nn/params.h"

struct slab_piece {
	const struct slab *slab;
	size_t off, len; /* bytes, multiples of 256 */
};

struct slab_walk {
	struct params *const *ps;
	int n, at;              /* params, the one we are in */
	const struct prange *range;
	int nrange, next;
	size_t done;            /* bytes of the range that were given out */
};

/* The largest piece, in bytes. */
size_t slab_piece_max(void);
struct slab_walk slab_walk(struct params *const *ps, int n);
bool slab_next(struct slab_walk *, struct slab_piece *);

#endif
