/*
 * ResNet (He et al., Deep residual learning for image recognition, 2016), ResNeXt (Xie et al.,
 * Aggregated residual transformations for deep neural networks, 2017) and Wide ResNet (Zagoruyko
 * and Komodakis, 2016) without their classifier, under torchvision's names: conv1, bn1,
 * layerK.B.convJ, layerK.B.bnJ, layerK.0.downsample.{0,1}.
 */
#ifndef MODEL_RESNET_H
#define MODEL_RESNET_H

#include "model/weights.h"
#include "nn/layer.h"

struct resnet_config {
	int blocks[4];  /* of layer1..4 */
	int stem;       /* channels after conv1 */
	int width[4];   /* channels inside the blocks of layer1..4 */
	/* a block's output is width x expansion: 1 basic blocks, 4 bottlenecks, 2 wide ones */
	int expansion;
	int groups;     /* of a bottleneck's 3x3 convolution; 0 counts as 1 */
	bool folded;    /* norms are in the convolutions before them: for features alone */
};

struct resnet_block {
	struct conv_layer conv[3], down;
	struct bn_layer bn[3], down_bn;
	int nconv;      /* 2 basic, 3 bottleneck */
	bool has_down;
};

struct resnet {
	struct resnet_config cfg;
	struct conv_layer conv1;
	struct bn_layer bn1;
	struct resnet_block *block; /* of all layers, in order */
	int nblock;
};

/* The configuration of resnet18, 34, 50, 101 or 152, of resnext50_32x4d, resnext101_32x8d or
 * resnext101_64x4d, of wide_resnet50_2 or wide_resnet101_2: 0, or -1 with a message. */
int resnet_config_named(struct resnet_config *, const char *name);
/* From the shapes of a file's tensors, named with that prefix. 0, or -1 with a message. */
int resnet_config_from(struct resnet_config *, const struct safetensors *, const char *prefix);
/* prefix: "" or "encoder." */
void resnet_init(struct resnet *, struct params *, const char *prefix, const struct resnet_config *,
    int in_channels);
/* Adds the weights of a folded net, made of a file's that fits. */
void resnet_fold(const struct safetensors *, struct weights *);
void resnet_release(struct resnet *);
/* Channels of the features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image: c[0..4]. */
void resnet_channels(const struct resnet_config *, int *c);
/* x [N,H,W,in] -> f[0..depth): [N,H/2,W/2,c0], [N,H/4,W/4,c1], ...; depth 1..5. */
void resnet_features(const struct resnet *, struct tensor *x, bool train, int depth,
    struct tensor **f);

#endif
