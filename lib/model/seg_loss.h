/*
 * Losses of segmentation, as segmentation_models.pytorch 0.3.3 and PyTorch define them, and
 * weighted sums of them. p is the net's output after softmax or sigmoid, y the target, sums run
 * over batch and pixels for each class:
 *
 *	dice      1 - (2 sum py + s) / max(sum p + sum y + s, eps)
 *	jaccard   1 - (sum py + s) / max(sum p + sum y - sum py + s, eps)
 *	tversky   1 - (sum py + s) / max(sum py + alpha sum p(1-y) + beta sum (1-p)y + s, eps),
 *	mean^gamma focal     mean of a (1-pt)^gamma (-log pt), a = alpha y + (1-alpha)(1-y); summed
 *	over classes bce       binary cross-entropy; ce  cross-entropy of softmax; smooth spreads
 *	the target lovasz    the Lovasz extension of the Jaccard loss (Berman et al., 2018)
 *	mcc       1 - Matthews correlation of p and y
 *
 * The first three leave out classes that the target lacks, but divide by all.
 */
#ifndef MODEL_SEG_LOSS_H
#define MODEL_SEG_LOSS_H

#include "tensor/ops.h"

enum seg_mode { SEG_BINARY, SEG_MULTICLASS, SEG_MULTILABEL };
#define SEG_MODES "binary|multiclass|multilabel"

enum seg_loss_kind { SEG_DICE, SEG_JACCARD, SEG_TVERSKY, SEG_FOCAL, SEG_BCE, SEG_CE, SEG_LOVASZ,
	SEG_MCC, SEG_LOSSES };
extern const char *const seg_loss_name[SEG_LOSSES];

struct seg_term {
	enum seg_loss_kind kind;
	double scale;        /* in the sum */
	double smooth;       /* s above; bce and ce: label smoothing */
	double eps;
	double alpha, beta, gamma;
	bool has_alpha;      /* focal */
	bool log;            /* dice, jaccard, tversky: -log(score) instead of 1 - score */
	bool normalized;     /* focal: divided by the sum of its factor */
	bool per_image;      /* lovasz: the mean of each image's loss */
	bool from_probs;     /* the net's output is a probability already: no sigmoid or softmax */
	uint64_t classes;    /* bit k: class k counts; 0: all */
};

enum { SEG_MAXTERMS = 8 };
struct seg_loss {
	enum seg_mode mode;
	struct seg_term term[SEG_MAXTERMS];
	int n;
};

/* What the net should have said, on the device. */
struct seg_target {
	/* I32 [N,H,W]: multiclass; pixels to be ignored hold a label of no class */
	struct tensor *labels;
	/* F32 [N,H,W,C]: binary, multilabel; multiclass too, when it is soft */
	struct tensor *dense;
	struct tensor *valid;  /* F32 [N,H,W,1]: 1, and 0 where ignored; NULL: all valid */
	/* F32 [C] or NULL: class weights, of ce as PyTorch's (with soft targets too); dice,
	 * jaccard, tversky: weighted mean; focal: weighted sum */
	struct tensor *weight;
};

/* A term as smp has it by default. */
struct seg_term seg_term_default(enum seg_loss_kind);
/* "dice", "0.5*dice:smooth=1+focal:alpha=.25:gamma=2": terms joined by '+', each with a factor and
 * options smooth, eps, alpha, beta, gamma, log, normalized, per-image, classes=0,2. 0, or -1 with a
 * message that names what is wrong (a term that the mode does not have, too). */
int seg_loss_parse(struct seg_loss *, enum seg_mode, const char *text);
/* x [N,H,W,C] logits (or what the net's activation made of them) -> the loss, one element. */
struct tensor *seg_loss_of(const struct seg_loss *, struct tensor *x, const struct seg_target *);

#endif
