/*
 * How a picture becomes the input of a network that makes features of it: the rule of each of the
 * programs whose features ours are to equal, by name.
 */
#ifndef MODEL_EMBED_PREP_H
#define MODEL_EMBED_PREP_H

#include "data/image.h"

#include <stddef.h>

enum embed_prep {
	/* for Inception, to 299 x 299 */
	PREP_PYTORCH_FID,    /* bilinear between neighbours even when shrinking; 2 x/255 - 1 */
	PREP_CLEAN_FID,      /* Pillow's bicubic on floats, clipped; (x - 128) / 128 */
	PREP_TORCH_FIDELITY, /* TensorFlow 1's bilinear (corners at 0); (x - 128) / 128 */
	/* for transformers and classifiers, to 224 x 224, less ImageNet's mean over its
	 * deviation */
	PREP_DINO,           /* short side to 256/224 of it, Pillow's bicubic; the middle */
	PREP_HF,             /* stretched, Pillow's bilinear */
	PREP_MEP_EDGES,   /* Otsu's threshold and two Canny edge maps as colours, then as PREP_HF */
	PREP_IMAGENET,       /* as PREP_DINO, but bilinear */
	PREP_CLIP,  /* short side to it, Pillow's bicubic; the middle; CLIP's own mean, deviation */
	PREP_NSW,            /* gray, stretched to 256 x 256, Pillow's bilinear; x/255, no mean */
	PREP_KINDS
};
#define EMBED_PREPS "pytorch-fid|clean-fid|torch-fidelity|dino|hf|mep-edges|imagenet|clip|nsw"

const char *embed_prep_name(enum embed_prep);
/* -1 with a message if there is none of that name. */
int embed_prep_named(const char *name);
/* The side that it makes unless told otherwise. */
int embed_prep_side(enum embed_prep);

/* A picture of any size, channels and bits as out: [side][side][3] floats. On any thread. 0, or -1
 * with a message: it is too narrow or too large for this. */
int embed_prepare(enum embed_prep, int side, const struct image *, float *out);
/* Only the picture's size and cropping, without mean and deviation: for PREP_PYTORCH_FID in [0,1],
 * for the two others of Inception in [0,255]; [3][side][side]. */
void embed_resize_fid(enum embed_prep, int side, const struct image *, float *out);

#endif
