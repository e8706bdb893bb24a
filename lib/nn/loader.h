/*
 * Samples made on worker threads ahead of the device, handed out in batches in a fixed order.
 *
 *	struct loader *l = loader_new(make, ctx, sample_bytes, batch, threads);
 *	loader_start(l, order, n, epoch);
 *	while ((b = loader_next(l)))
 *		... b->data holds b->n samples, borrowed until the next call ...
 *	loader_free(l);
 *
 * A few batches are kept ahead, never more. What a sample holds depends on its item and the epoch
 * alone, so the number of threads changes nothing.
 */
#ifndef NN_LOADER_H
#define NN_LOADER_H

#include <stddef.h>
#include <stdint.h>

/* Makes one sample in dst[sample_bytes]; on several threads at once. -1 with a message: the batch
 * that it belongs to fails. */
typedef int loader_fn(void *ctx, uint32_t item, uint64_t epoch, void *dst);

struct loader_batch {
	size_t n;             /* samples: `batch`, or fewer in the last */
	const uint32_t *item; /* their items */
	void *data;           /* [n][sample_bytes] */
	const char *error;    /* NULL, or why it could not be made */
};

struct loader;
struct loader *loader_new(loader_fn *, void *ctx, size_t sample_bytes, size_t batch, int threads);
/* stops the threads; what was made ahead is dropped; NULL is fine */
void loader_free(struct loader *);
/* Begins with items order[0..n) (copied); what was left of the run before is dropped. */
void loader_start(struct loader *, const uint32_t *order, size_t n, uint64_t epoch);
/* The next batch, NULL after the last. */
struct loader_batch *loader_next(struct loader *);

/* An order of items 0..n that depends on seed, epoch and their ids alone, not on how they came. */
void loader_shuffle(uint32_t *order, const char *const *id, size_t n, uint64_t seed,
    uint64_t epoch);

#endif
