/*
 * Features of images by a network: files are read, looked up in the cache and decoded on other
 * threads, ahead of the device, which takes those that are new in batches.
 *
 *	struct fset_images im = { .network = "inception", .weights = path, .batch = 8, .jobs = 2 };
 *	how.images = &im;
 *	fset_read(&s, dir, &how);
 *	fset_images_close(&im);
 *
 * The device and the network are opened when the first image comes. Memory: about three batches of
 * prepared images.
 */
#ifndef METRIC_FEATURE_IMAGES_H
#define METRIC_FEATURE_IMAGES_H

#include "metric/features.h"

struct embedder;

struct fset_images {
	const char *network, *weights;
	const char *preprocess; /* NULL: the network's own */
	const char *device;     /* as gpu_open() takes it */
	const char *cache;      /* folder, or NULL: none */
	int64_t batch, jobs, side; /* side: pixels of the input, 0: the preprocessing's own */
	bool logits;            /* shares of classes are wanted too */
	struct embedder *e;     /* once open */
};

void fset_images_close(struct fset_images *);

#endif
