/*
 * Feature vectors of images, by one of the networks that metrics and clusterings use.
 *
 *	struct embedder *e;
 *	gpu_open(NULL);
 *	if (embedder_open(&e, "inception", "pt_inception.safetensors", NULL, 0)) die("%s",
 *	errmsg()); float *f = xmalloc(n * embedder_dim(e) * sizeof(*f));
 *	if (embedder_run(e, im, n, f, NULL)) ...
 *	embedder_close(e);
 *
 * Streams prepare pictures on other threads and run them in batches:
 *
 *	embedder_prepare(e, &im, in + i * embedder_input(e))      on any thread
 *	embedder_run_prepared(e, in, n, f, NULL)                  on the device's thread
 *
 * What comes out for a picture does not depend on those that run beside it.
 */
#ifndef MODEL_EMBEDDER_H
#define MODEL_EMBEDDER_H

#include "data/image.h"

#include <stddef.h>

struct embedder;

/*
 * Networks, and after a colon the layer that features are taken from:
 *
 *	inception    64, 192, 768, 2048 (unless told otherwise), logits, logits-unbiased
 *	dino, dinov2 cls (unless told otherwise), patch-mean; dino-vitb8 and the like insist on that
 *	             size
 *	clip         projection (unless told otherwise), cls; clip-vitb32 and the like
 *	resnet, densenet, efficientnet, mobilenet, vgg
 *	             what the classifier's last layer sees, logits; resnet50, densenet121,
 *	             efficientnet-b0 and the like insist on that net (CLASSIFIER_NAMES)
 */
#define EMBED_NETWORKS "inception|dino|dinov2|clip|resnet|densenet|efficientnet|mobilenet|vgg"
/* For a line of --help. */
#define EMBED_NETWORKS_SHORT "inception|dino|dinov2|clip|resnet|densenet|..."

/* weights: a safetensors file, or a folder that holds model.safetensors; a config.json beside it is
 * read for what transformers' shapes do not say. preprocess: one of
 * EMBED_PREPS (model/embed_prep.h), NULL for the network's own. side: pixels of the input, 0 for
 * the preprocessing's own. The device must be open. 0, or -1 with a message: no such network,
 * weights that do not fit it (each misfit is said on stderr). */
int embedder_open(struct embedder **, const char *network, const char *weights,
    const char *preprocess, int side);
void embedder_close(struct embedder *); /* NULL is fine */

const char *embedder_network(const struct embedder *);       /* as it was asked for */
int embedder_dim(const struct embedder *);                   /* floats of a feature vector */
int embedder_classes(const struct embedder *);              /* of logits; 0: the network has none */
/* "clean-fid", or "dino:448" where the side is not the usual one. */
const char *embedder_preprocess_id(const struct embedder *);
const char *embedder_weights_hash(const struct embedder *);  /* "fnv1a64:..." */

/* n pictures of any sizes -> features [n,dim]; logits [n,classes] (Inception's without bias, as the
 * Inception Score takes them; a classifier's with) or NULL. -1 with a message: a picture that
 * cannot be prepared. */
int embedder_run(struct embedder *, const struct image *im, int n, float *features, float *logits);

/* Floats of a prepared picture. */
size_t embedder_input(const struct embedder *);
int embedder_prepare(const struct embedder *, const struct image *, float *in);
/* in [n][input] -> features [n,dim] and logits or NULL. */
void embedder_run_prepared(struct embedder *, const float *in, int n, float *features,
    float *logits);

#endif
