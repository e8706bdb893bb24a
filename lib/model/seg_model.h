/*
 * A trained segmentation model: a folder with weights.safetensors and config.json, whose `net` and
 * `input` describe the network and what it reads.
 */
#ifndef MODEL_SEG_MODEL_H
#define MODEL_SEG_MODEL_H

#include "model/seg_data.h"
#include "model/segnet.h"

struct seg_model {
	struct segnet net;
	struct seg_spec spec;
	double threshold; /* a pixel is of a class from this probability on (binary, multilabel) */
};

/* Reads folder dir; train: with gradients. 0, or -1 with a message: not a segmentation model,
 * weights that do not fit or are not finite. */
int seg_model_load(struct seg_model *, const char *dir, bool train);
void seg_model_release(struct seg_model *);
/* The members of config.json that describe the model, without braces. */
void seg_model_put(const struct seg_model *, struct sb *);

/* What the net says as probabilities [N,H,W,C]: its activation if it has one, else sigmoid or
 * softmax by mode. */
struct tensor *seg_probabilities(const struct seg_model *, struct tensor *out);

struct seg_tiling {
	int tile;    /* side of a window in the image's own pixels; 0: the whole image at once */
	int overlap; /* pixels that neighbours share */
	int batch;   /* windows at a time */
};
/* Probabilities of an image: float [classes][h][w], caller frees. Without tiles the image is
 * stretched to the model's input size, if it has one, and the result back. */
float *seg_predict(const struct seg_model *, const struct image *, const struct seg_tiling *);
/* Class numbers [h][w]: the likeliest (multiclass), 0 and 1 (binary), the likeliest class that
 * reaches the threshold or SEG_NO_CLASS (multilabel). */
void seg_decide(const struct seg_model *, const float *prob, int w, int h, uint8_t *labels);

#endif
