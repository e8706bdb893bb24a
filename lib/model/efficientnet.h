/*
 * EfficientNet (Tan and Le, 2019) without its classifier, under efficientnet-pytorch's names:
 * _conv_stem, _bn0, _blocks.N._expand_conv, ..., _conv_head, _bn1. The last two stand in the file
 * and take no part in the features.
 *
 * Padding is TensorFlow's "same" for the net's own image size (224 for b0, 260 for b2), fixed when
 * the net is made and kept for inputs of any size, as the original does.
 */
#ifndef MODEL_EFFICIENTNET_H
#define MODEL_EFFICIENTNET_H

#include "nn/layer.h"

enum { EFFNET_STAGES = 7 };

struct effnet_config {
	int stem;                    /* channels after _conv_stem */
	int head;                    /* channels of _conv_head */
	int repeats[EFFNET_STAGES];  /* blocks of each stage */
	int out[EFFNET_STAGES];      /* channels of each stage */
	int image_size;              /* that fixes the padding */
	double drop_connect;         /* 0.2 when trained; falls linearly to 0 at the first block */
};

struct effnet_block {
	struct conv_layer expand, depthwise, project;
	struct linear_layer se_reduce, se_expand;
	struct bn_layer bn0, bn1, bn2;
	bool has_expand, skip;
};

struct effnet {
	struct effnet_config cfg;
	struct conv_layer stem, head;
	struct bn_layer bn0, bn1;
	struct effnet_block *block;
	int nblock;
};

/* efficientnet-b0 .. efficientnet-b7: 0, or -1 with a message. */
int effnet_config_named(struct effnet_config *, const char *name);
void effnet_init(struct effnet *, struct params *, const char *prefix, const struct effnet_config *,
    int in_channels);
void effnet_release(struct effnet *);
/* Channels of the features at 1/2, 1/4, ..., 1/32 of the image: c[0..4]. */
void effnet_channels(const struct effnet_config *, int *c);
/* x [N,H,W,in] -> f[0..depth): [N,H/2,W/2,c0], ... In training whole samples of a block's branch
 * are dropped (drop-connect) by seed, which the caller changes at every step. */
void effnet_features(const struct effnet *, struct tensor *x, bool train, uint64_t seed, int depth,
    struct tensor **f);

#endif
