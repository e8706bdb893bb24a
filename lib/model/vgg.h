/*
 * VGG (Simonyan and Zisserman, Very deep convolutional networks, 2015) without its last layer, for
 * features alone, under torchvision's names: features.N of convolutions (and of the norms after
 * them), classifier.0, classifier.3.
 */
#ifndef MODEL_VGG_H
#define MODEL_VGG_H

#include "model/fold.h"
#include "nn/layer.h"

enum { VGG_MOST = 32, VGG_BLOCKS = 5, VGG_GRID = 7 };

struct vgg_config {
	int n;              /* 3x3 convolutions */
	int out[VGG_MOST];  /* their channels */
	int block[VGG_MOST]; /* in which of the blocks, each with a pool at its end, they are */
	int hidden;         /* channels of classifier.0 and classifier.3 */
	bool norm;
};

struct vgg {
	struct vgg_config cfg;
	struct folded conv[VGG_MOST];
	struct linear_layer fc0, fc3;
};

/* The configuration of vgg11, 13, 16 or 19, with or without _bn: 0, or -1 with a message. */
int vgg_config_named(struct vgg_config *, const char *name);
/* From the shapes of a file's tensors. 0, or -1 with a message. */
int vgg_config_from(struct vgg_config *, const struct safetensors *);

/* Announces the tensors of a file. */
void vgg_announce(struct params *, const struct vgg_config *);
/* Announces those of the net itself; adds what is folded to w, made of a file's that fits. */
void vgg_init(struct vgg *, struct params *, const struct vgg_config *);
void vgg_fold(const struct vgg_config *, const struct safetensors *, struct weights *w);

/* x [N,H,W,3], at least 32 pixels a side -> [N,hidden] */
struct tensor *vgg_features(const struct vgg *, struct tensor *x);

#endif
