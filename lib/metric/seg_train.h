/*
 * The training of a segmentation model: steps, validation, early stopping, checkpoints, records.
 *
 * What a run has done so far is small (struct seg_progress) and stands, with weights and optimiser,
 * in every checkpoint; every random number is a function of the seed and of where the run is. So a
 * run that is stopped and resumed goes on bit for bit as it would have, on the same device.
 */
#ifndef METRIC_SEG_TRAIN_H
#define METRIC_SEG_TRAIN_H

#include "metric/seg_eval.h"
#include "nn/optim.h"
#include "nn/schedule.h"

struct seg_settings {
	const char *run;           /* folder */
	uint64_t seed;
	struct optim_conf optim;
	double lr;
	const char *schedule;      /* name of schedule_init */
	int64_t warmup;            /* steps */
	double clip;               /* 0: no clipping */
	int64_t epochs, max_steps; /* max_steps 0: by epochs */
	int64_t batch, accumulate;
	int64_t eval_every;        /* epochs */
	const char *monitor;       /* a field of eval records, or "valid_loss" */
	double min_delta;
	int64_t patience;          /* 0: never stops early */
	int64_t save_every;        /* steps; 0: after epochs only */
	int64_t keep, log_every;
	bool train_metrics, quiet;
	const char *provenance;    /* members for config.json */
};

struct seg_progress {
	int64_t epoch;      /* under way, from 0 */
	int64_t position;   /* batches of it that are done */
	int64_t step;       /* optimiser steps done */
	double loss_sum;    /* over the images of this epoch */
	int64_t loss_n;
	double best;        /* monitored value; NaN: none yet */
	int64_t best_step, best_epoch;
	int64_t waited;     /* validations without gain */
	bool stopped;       /* early */
};

struct seg_trainer {
	struct seg_model *model;
	struct seg_data *data;
	struct seg_loss loss;
	struct tensor *weight;   /* class weights or NULL; held */
	const struct augment *augment;
	int jobs;
	struct seg_settings set;
	/* of seg_train_open */
	struct seg_view view[SETS];
	struct loader *loader[SETS];
	struct optim optim;
	struct schedule schedule;
	int64_t steps;           /* of the whole run */
	struct seg_progress at;
	struct seg_stats train_stats;
	struct tensor **pending; /* losses of batches not yet read */
	int64_t *pending_n;      /* their images */
	size_t npending, cap, cap_n;
	double since;            /* when the rate's count began, now_s() */
	int64_t images;          /* since then */
};

/* Makes views, loaders and optimiser. resume: takes weights, optimiser and progress from run/last
 * where it exists, which is an error otherwise. 0, or -1 with a message. */
int seg_train_open(struct seg_trainer *, bool resume);
void seg_train_close(struct seg_trainer *);
/* Trains to the end, writing records to standard output and checkpoints to the run's folder. A
 * signal (base/sig.h) saves and ends the program. 0, or -1 with a message. */
int seg_train(struct seg_trainer *);

#endif
