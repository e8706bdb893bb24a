/*
 * DenseNet (Huang et al., Densely connected convolutional networks, 2017) without its classifier,
 * for features alone, under torchvision's names: features.conv0, features.norm0,
 * features.denseblockB.denselayerL.{norm1,conv1,norm2,conv2}, features.transitionB.{norm,conv},
 * features.norm5; older files say norm.1 for norm1 and so on.
 */
#ifndef MODEL_DENSENET_H
#define MODEL_DENSENET_H

#include "model/fold.h"
#include "nn/layer.h"

enum { DENSENET_BLOCKS = 4 };

struct densenet_config {
	int stem;                    /* channels after conv0 */
	int growth;                  /* that each layer adds */
	int neck;                    /* between a layer's two convolutions, in growths */
	int layers[DENSENET_BLOCKS]; /* of each block */
};

struct densenet_layer {
	struct bn_layer norm1;
	struct folded conv1;
	struct conv_layer conv2;
};

struct densenet {
	struct densenet_config cfg;
	struct folded conv0;
	struct densenet_layer *layer; /* of all blocks, in order */
	struct {
		struct bn_layer norm;
		struct conv_layer conv;
	} transition[DENSENET_BLOCKS - 1];
	struct bn_layer norm5;
};

/* The configuration of densenet121, 161, 169 or 201: 0, or -1 with a message. */
int densenet_config_named(struct densenet_config *, const char *name);
/* From the shapes of a file's tensors. 0, or -1 with a message. */
int densenet_config_from(struct densenet_config *, const struct safetensors *);
/* Channels of the features. */
int densenet_dim(const struct densenet_config *);

/* Gives tensors of older files their names of today. */
void densenet_rename(struct weights *);
/* Announces the tensors of a file. */
void densenet_announce(struct params *, const struct densenet_config *);
/* Announces those of the net itself; adds what is folded to w, made of a file's that fits. */
void densenet_init(struct densenet *, struct params *, const struct densenet_config *);
void densenet_fold(const struct densenet_config *, const struct safetensors *, struct weights *w);
void densenet_release(struct densenet *);

/* x [N,H,W,3], at least 32 pixels a side -> [N,dim]: the mean over the picture after the last norm
 * and ReLU. */
struct tensor *densenet_features(const struct densenet *, struct tensor *x);

#endif
