/*
 * EfficientNet (Tan and Le, 2019) without its classifier, under the names of
 *
 *	efficientnet-pytorch   _conv_stem, _bn0, _blocks.N._expand_conv, ..., _conv_head, _bn1
 *	torchvision            features.0.0, features.S.N.block.K.0, ..., features.8.0, features.8.1
 *	timm                   conv_stem, bn1, blocks.S.N.conv_pw, ..., conv_head, bn2
 *
 * A zeroed config's rest is efficientnet-pytorch's: padding is TensorFlow's "same" for the net's
 * own image size (224 for b0, 260 for b2), fixed when the net is made and kept for inputs of any
 * size. The others pad evenly, but for timm's tf_ ones, whose padding is "same" for the input.
 */
#ifndef MODEL_EFFICIENTNET_H
#define MODEL_EFFICIENTNET_H

#include "model/weights.h"
#include "nn/layer.h"

enum { EFFNET_STAGES = 7 };
enum effnet_layout { EFFNET_ORIGINAL, EFFNET_TORCHVISION, EFFNET_TIMM, EFFNET_LAYOUTS };

struct effnet_config {
	int stem;                    /* channels after _conv_stem */
	int head;                    /* channels of _conv_head */
	int repeats[EFFNET_STAGES];  /* blocks of each stage */
	int out[EFFNET_STAGES];      /* channels of each stage */
	int image_size;              /* that fixes the padding, where it is not even */
	enum effnet_layout layout;   /* the tensors' names */
	bool even_padding;
	double bn_eps;               /* 0 counts as 1e-3 */
	bool folded;   /* norms are in the convolutions before them: for features alone */
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
/* From a file's tensors: which layout, its channels and blocks; *known: which of b0..b7 it is, -1
 * for none. tf: of timm's layout, one whose weights come from TensorFlow. 0, or -1 with a
 * message. */
int effnet_config_from(struct effnet_config *, const struct safetensors *, bool tf, int *known);
/* What its classifier is called: classifier.1, _fc, classifier. */
const char *effnet_head_name(const struct effnet_config *);
void effnet_init(struct effnet *, struct params *, const char *prefix, const struct effnet_config *,
    int in_channels);
/* Adds the weights of a folded net, made of a file's that fits. */
void effnet_fold(const struct effnet_config *, const struct safetensors *, struct weights *);
void effnet_release(struct effnet *);
/* Pads for inputs of that side from now on, where padding is not even. */
void effnet_pad_for(struct effnet *, int side);
/* Channels of the features at 1/2, 1/4, ..., 1/32 of the image: c[0..4]. */
void effnet_channels(const struct effnet_config *, int *c);
/* x [N,H,W,in] -> f[0..depth): [N,H/2,W/2,c0], ..., each after the last block of its size, but b0's
 * fourth under the original names after the ninth block, where segmentation_models.pytorch takes
 * it. In training whole samples of a block's branch are dropped (drop-connect) by seed, which the
 * caller changes at every step. */
void effnet_features(const struct effnet *, struct tensor *x, bool train, uint64_t seed, int depth,
    struct tensor **f);
/* What the classifier sees: f[4] of the above -> [N,head], the mean over the picture. */
struct tensor *effnet_pooled(const struct effnet *, struct tensor *f4);

#endif
