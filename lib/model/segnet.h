/*
 * A segmentation net: encoder, decoder, 3x3 head, under the names of segmentation_models.pytorch
 * 0.3.3 (encoder.*, decoder.blocks.*, segmentation_head.0.*), so that its weights load.
 *
 *	struct segnet_config c;
 *	struct segnet net;
 *	if (segnet_config_named(&c, "unetplusplus", "resnet34")) ...
 *	c.classes = 2;
 *	if (segnet_init(&net, &c, true)) ...
 *	segnet_init_weights(&net, seed);           or params_load_file(&net.ps, path, 0)
 *	struct tensor *y = segnet_forward(&net, x, true, step_seed, NULL);
 */
#ifndef MODEL_SEGNET_H
#define MODEL_SEGNET_H

#include "base/mem.h"
#include "data/json.h"
#include "model/efficientnet.h"
#include "model/resnet.h"
#include "model/unet_seg.h"

#define SEGNET_ARCHS "unet|unetplusplus"
enum seg_activation { SEG_NONE, SEG_SIGMOID, SEG_SOFTMAX };
#define SEG_ACTIVATIONS "none|sigmoid|softmax"

struct segnet_config {
	bool plusplus;
	char encoder[32];
	bool effnet;                     /* which of the two below */
	struct resnet_config resnet;
	struct effnet_config eff;
	int depth;                       /* 3..5: the coarsest feature is at 1/2^depth */
	int decoder[UNET_MAXDEPTH];
	bool scse;
	int in_channels, classes;
	enum seg_activation activation;  /* is part of the net, as in smp: losses see its output */
};

struct segnet {
	struct segnet_config cfg;
	struct params ps;
	struct resnet resnet;
	struct effnet eff;
	struct unet_decoder decoder;
	struct conv_layer head;
};

/* smp's defaults: depth 5, decoder 256,128,64,32,16, 3 channels in, 1 class, no activation.
 * 0, or -1 with a message. */
int segnet_config_named(struct segnet_config *, const char *arch, const char *encoder);
/* Multiplies the encoder's channels (kept multiples of 8), for nets narrower than the published. */
void segnet_config_widen(struct segnet_config *, double factor);
/* From the names and shapes of a net's tensors (no data is read). hint: a file or case name, for
 * what they leave open (which EfficientNet; the activation, "sigmoid" or "softmax"); may be
 * NULL. */
int segnet_config_from(struct segnet_config *, const struct st_tensor *t, int n, const char *hint);
/* As members of a JSON object, without its braces; and back from an object's value v. */
void segnet_config_put(const struct segnet_config *, struct sb *);
int segnet_config_get(struct segnet_config *, const struct json *, int v);

/* Makes the net; train: with gradients. Weights are 0 until initialised or loaded. */
int segnet_init(struct segnet *, const struct segnet_config *, bool train);
void segnet_release(struct segnet *);
/* The distributions that smp starts from (encoder as torchvision or efficientnet-pytorch make
 * it). */
void segnet_init_weights(struct segnet *, uint64_t seed);
/* Weights of the encoder alone, its names with or without "encoder."; a classifier in the file is
 * left out, a first convolution of 3 channels is adapted to another number as smp does (summed for
 * one channel; repeated and scaled by 3/n otherwise). 0, or -1 with a message. */
int segnet_load_encoder(struct segnet *, const char *path);

/* x [N,H,W,in], H and W multiples of 2^depth -> [N,H,W,classes], activation applied. seed: drives
 * drop-connect in training. features: NULL, or [depth], for the encoder's outputs. */
struct tensor *segnet_forward(const struct segnet *, struct tensor *x, bool train, uint64_t seed,
    struct tensor **features);

#endif
