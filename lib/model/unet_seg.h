/*
 * The decoders of U-Net (Ronneberger et al., 2015) and U-Net++ (Zhou et al., 2018) over an
 * encoder's features, as segmentation_models.pytorch 0.3.3 builds and names them. A block doubles
 * its input (nearest), puts the skips beside it, and passes two 3x3 conv-BN-ReLU:
 *
 *	U-Net     blocks.I            I-th from the coarsest
 *	U-Net++   blocks.x_D_L        depth D, layer L; x_0_{n-1}, the last, has no skip
 */
#ifndef MODEL_UNET_SEG_H
#define MODEL_UNET_SEG_H

#include "nn/layer.h"

enum { UNET_MAXDEPTH = 5 };

/* Concurrent spatial and channel squeeze and excitation (Roy et al., 2018):
 * x * sigmoid(W2 relu(W1 avg(x))) + x * sigmoid(w x). */
struct scse {
	struct linear_layer reduce, expand;
	struct conv_layer spatial;
};

struct decoder_block {
	struct conv_layer conv1, conv2;
	struct bn_layer bn1, bn2;
	struct scse att1, att2;
	bool scse;
	bool has_skip; /* att1 is used only then */
};

struct unet_decoder {
	int depth;
	bool plusplus;
	struct decoder_block block[UNET_MAXDEPTH];                    /* U-Net */
	struct decoder_block dense[UNET_MAXDEPTH][UNET_MAXDEPTH];     /* U-Net++: [depth][layer] */
};

/* encoder: channels of the features at 1/2, 1/4, ...; decoder: of each block, coarsest first; both
 * [depth]. 0, or -1 with a message when attention does not fit (fewer than 16 channels). */
int unet_decoder_init(struct unet_decoder *, struct params *, const char *prefix, bool plusplus,
    int depth, const int *encoder, const int *decoder, bool scse);
/* f[0..depth): the encoder's features, [N,H/2,W/2,..] first -> [N,H,W,decoder[depth-1]]. */
struct tensor *unet_decoder_forward(const struct unet_decoder *, struct tensor *const *f,
    bool train);

#endif
