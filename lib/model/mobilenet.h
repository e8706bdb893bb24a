/*
 * MobileNetV2 (Sandler et al., Inverted residuals and linear bottlenecks, 2018) without its
 * classifier, for features alone, under torchvision's names: features.0.0, features.0.1,
 * features.N.conv.K..., features.18.0, features.18.1.
 */
#ifndef MODEL_MOBILENET_H
#define MODEL_MOBILENET_H

#include "model/fold.h"
#include "nn/layer.h"

enum { MOBILENET_BLOCKS = 17 };

struct mobilenet_config {
	int stem, head;            /* channels of the first and the last convolution */
	int out[MOBILENET_BLOCKS]; /* and after each block */
};

struct mobilenet {
	struct mobilenet_config cfg;
	struct folded stem, head;
	struct {
		struct folded expand, depthwise, project; /* the first block does not expand */
	} block[MOBILENET_BLOCKS];
};

/* As published. */
void mobilenet_config_usual(struct mobilenet_config *);
/* From the shapes of a file's tensors. 0, or -1 with a message. */
int mobilenet_config_from(struct mobilenet_config *, const struct safetensors *);

/* Announces the tensors of a file. */
void mobilenet_announce(struct params *, const struct mobilenet_config *);
/* Announces those of the net itself; adds what is folded to w, made of a file's that fits. */
void mobilenet_init(struct mobilenet *, struct params *, const struct mobilenet_config *);
void mobilenet_fold(const struct safetensors *, struct weights *w);

/* x [N,H,W,3] -> [N,head]: the mean over the picture after the last convolution. */
struct tensor *mobilenet_features(const struct mobilenet *, struct tensor *x);

#endif
