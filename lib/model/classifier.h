/*
 * Classifiers whose features, what their last linear layer sees, describe images: ResNet,
 * DenseNet, EfficientNet, MobileNetV2 and VGG, read from the files that torchvision and timm
 * publish.
 *
 *	struct classifier c;
 *	struct weights w;
 *	if (weights_open_file(&w, path) || classifier_load(&c, "densenet121", &w, NULL)) ...
 *	classifier_input(&c, 224);
 *	y = classifier_features(&c, x);
 *	l = classifier_logits(&c, y);
 */
#ifndef MODEL_CLASSIFIER_H
#define MODEL_CLASSIFIER_H

#include "model/densenet.h"
#include "model/efficientnet.h"
#include "model/mobilenet.h"
#include "model/resnet.h"
#include "model/vgg.h"

/* What can be made anew. */
#define CLASSIFIER_NAMES \
	"resnet(18|34|50|101|152), resnext50_32x4d, resnext101_(32x8d|64x4d), " \
	"wide_resnet(50|101)_2, densenet(121|161|169|201), efficientnet-b(0..7), " \
	"mobilenet_v2, vgg(11|13|16|19)(_bn)"

enum classifier_kind { CLASSIFIER_NONE, CLASSIFIER_RESNET, CLASSIFIER_DENSENET, CLASSIFIER_EFFNET,
	CLASSIFIER_MOBILENET, CLASSIFIER_VGG };

struct classifier {
	enum classifier_kind kind;
	struct params ps;
	struct resnet resnet;
	struct densenet densenet;
	struct effnet effnet;
	struct mobilenet mobilenet;
	struct vgg vgg;
	struct linear_layer head; /* .w NULL: none */
	int dim, classes;         /* of features, of logits (0: none) */
	int side;                 /* of the pictures that it was made for */
};

/* Is it the name of a family (resnet) or of one of it (resnet50)? tf-efficientnet and those of it
 * are timm's with TensorFlow's padding. */
enum classifier_kind classifier_kind_of(const char *name);
/* Announces the tensors of a published file with that many classes. -1 with a message: no such
 * net. */
int classifier_announce(struct classifier *, struct params *, const char *name, int classes);

/* Reads a file, whose sizes are its tensors'; tensors are renamed to today's names. config: text of
 * the config.json beside it, or NULL; of timm's files it says which come from TensorFlow. -1 with a
 * message: not the net of that name, tensors missing or left over; without a linear layer at the
 * end there are no classes. */
int classifier_load(struct classifier *, const char *name, struct weights *w, const char *config);
void classifier_release(struct classifier *);
/* Pictures have that many pixels a side from now on: 32 at least. */
void classifier_input(struct classifier *, int side);

/* x [N,side,side,3] -> [N,dim] */
struct tensor *classifier_features(const struct classifier *, struct tensor *x);
/* features [N,dim] -> [N,classes] */
struct tensor *classifier_logits(const struct classifier *, struct tensor *features);

#endif
