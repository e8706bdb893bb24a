/*
 * A model made ready for training: its networks with gradients, or with low-rank changes beside
 * them, or with states of classes in the place of its text encoder.
 */
#ifndef MODEL_SD_SETUP_H
#define MODEL_SD_SETUP_H

#include "model/lora.h"
#include "model/pipeline.h"
#include "model/sd_plan.h"

struct sd_setup {
	const char *model;
	struct sd_sources from;
	bool text;                   /* the text encoder is trained, too */
	int rank;                  /* of low-rank changes; 0: the networks themselves are trained */
	double alpha;
	const char *const *targets[SD_NETS];
	int ntargets[SD_NETS];
	const char *const *labels;   /* of new classes; n 0: none */
	int nlabels, tokens;
	enum dtype compute;
	bool checkpointing;
	int prediction;              /* another than the model's, or -1 */
	uint64_t seed;
};

/* What the model is, before its weights are read. bare: a name (sd15) or configurations alone will
 * do. */
int sd_setup_config(const struct sd_setup *, bool bare, struct sd_config *);
/* Bits 1 << SD_UNET and so on: networks that are trained, and those that are changed by low
 * rank. */
unsigned sd_setup_trained(const struct sd_setup *, const struct sd_config *);
unsigned sd_setup_adapted(const struct sd_setup *, const struct sd_config *);
/* Loads the model. lora: [SD_NETS], those adapted are made. cfg: as sd_setup_config left it. */
int sd_setup_open(const struct sd_setup *, const struct sd_config *cfg, struct pipeline *,
    struct lora *lora);

#endif
