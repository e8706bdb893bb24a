/*
 * The training of a Stable Diffusion model: epochs, records, checkpoints, validation pictures.
 *
 * What a run has done so far is small (struct sd_progress) and stands, with weights, means and
 * optimiser, in every checkpoint; every random number is a function of the seed and of where the
 * run is. So a run that is stopped and resumed goes on bit for bit as it would have, on the same
 * device.
 *
 *	checkpoint-N/   unet/, text_encoder/, class_embedding/ (what is trained, in diffusers'
 *	layout),
 *	                unet_ema/, lora_unet.safetensors, lora_text_encoder.safetensors,
 *	                pytorch_lora_weights.safetensors, optimizer.safetensors, state.json
 *
 * When the final model stands in the run's folder, a state.json beside it says where it ended.
 */
#ifndef MODEL_SD_TRAIN_H
#define MODEL_SD_TRAIN_H

#include "base/progress.h"
#include "data/tfevents.h"
#include "model/lora.h"
#include "model/sd_feed.h"
#include "model/sd_sample.h"
#include "nn/schedule.h"

struct sd_settings {
	const char *run;             /* folder */
	uint64_t seed;
	struct optim_conf optim;
	double lr;
	struct schedule schedule;
	int64_t steps;               /* of the whole run */
	bool go_on;                  /* from where the run's folder stands */
	int batch, jobs;
	int64_t save_every, keep;    /* steps, 0: never; keep < 0: all checkpoints */
	int64_t log_every;           /* steps between records */
	enum st_dtype dtype;         /* of the final model's files */
	const char *const *meta;     /* of them: pairs as st_write's */
	/* pictures */
	const char *const *prompts;  /* texts, or labels of classes */
	int nprompts, images;        /* of each */
	int64_t eval_every;          /* steps; 0: never */
	int64_t eval_epochs;         /* or epochs; 0: never */
	int sampler, sample_steps;
	double guidance;
	/* a single file of the whole model, every so many steps; 0: never */
	int64_t single_every;
	const char *single_dir, *single_name;
	const char *tensorboard;     /* folder of event files, or NULL */
	enum lora_form lora_form;
	bool quiet;
};

struct sd_progress {
	int64_t epoch;     /* under way, from 0 */
	int64_t position;  /* batches of it that are done */
	int64_t step;      /* steps done */
	int64_t judged;    /* the step that was last judged */
	double loss_sum;   /* of all batches so far */
	int64_t loss_n;
};

struct sd_train {
	struct pipeline *p;
	struct sd_settings set;
	struct sd_step step;
	struct sd_feed feed, valid;  /* valid.view.n 0: no held-out images */
	unsigned trained;    /* networks that are trained themselves: bits 1 << SD_UNET and so on */
	unsigned adapted;           /* networks that stay, with low-rank changes that are trained */
	struct lora lora[SD_NETS];   /* of those */
	/* of sd_train_open */
	struct noise_schedule noise;
	struct loader *loader;
	int64_t batches;             /* of an epoch */
	struct sd_progress at;
	bool ended;                  /* nothing is left to train */
	struct tfevents board;       /* .fp NULL: none */
	struct tensor **pending;     /* errors of batches that are not yet read */
	struct sd_pending {
		int n, prior;
		float *weight;       /* [n] */
	} *pending_of;
	size_t npending, cap, cap_of;
	double since;                /* when the rate's count began */
	int64_t images;              /* since then */
};

/* Makes optimiser and loader; what is trained is already set up in p and lora. resume: takes all
 * from that checkpoint; NULL: begins. With set.go_on a run that is at its end already is left so.
 * 0, or -1 with a message. */
int sd_train_open(struct sd_train *, const char *resume);
void sd_train_close(struct sd_train *);
/* Trains to the end, writing records to standard output and checkpoints to the run's folder. A
 * signal (base/sig.h) saves and ends the program. 0, or -1 with a message. */
int sd_train(struct sd_train *);
/* The checkpoint that --resume-from-checkpoint means: "latest" in the run's folder (NULL, no
 * message: it has none), or a path, or a name in that folder; NULL with a message: it is not there.
 * Caller frees. */
char *sd_train_find(const char *run, const char *which, bool *none);

/* ---- between the files of the trainer -------------------------------------------------------- */

/* Writes checkpoint-STEP, and its record. */
void sd_train_save(struct sd_train *);
int sd_train_load(struct sd_train *, const char *dir);
/* Does the run's folder hold the model of a run of set.steps or more? 1, and t->at is where it
 * ended; 0; or -1 with a message. */
int sd_train_ended(struct sd_train *);
/* The final model into the run's folder. */
int sd_train_finish(struct sd_train *);
int sd_train_single(struct sd_train *);
/* Pictures and the loss on held-out images. 1: a signal asks to stop. */
int sd_train_judge(struct sd_train *);
/* Reads the losses that are still on the device; their mean, and part[0], part[1]: of own and of
 * class images (each divided by the batches). */
double sd_train_losses(struct sd_train *, double part[2]);
/* Stops here if a signal asked for it. */
void sd_train_heed(struct sd_train *);

#endif
