/*
 * Learning-rate schedules, by diffusers' names and formulas, and two of PyTorch's.
 *
 *	struct schedule s;
 *	if (schedule_init(&s, "cosine", 500, 10000)) die("%s", errmsg());
 *	... optim_step(&o, lr * schedule_factor(&s, step));        step: 0 for the first
 */
#ifndef NN_SCHEDULE_H
#define NN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

enum schedule_kind {
	SCHEDULE_CONSTANT,             /* 1 */
	SCHEDULE_CONSTANT_WITH_WARMUP, /* step / warmup, then 1 */
	SCHEDULE_LINEAR,               /* warm up, then down to 0 at total */
	SCHEDULE_COSINE,               /* warm up, then (1 + cos(2 pi cycles t)) / 2, cycles 1/2 */
	SCHEDULE_COSINE_WITH_RESTARTS, /* warm up, (1 + cos(pi (cycles t mod 1))) / 2, cycles 1 */
	SCHEDULE_POLYNOMIAL,           /* warm up, then from 1 to end by (1 - t)^power */
	SCHEDULE_STEP                  /* gamma^floor(step / every) */
};

struct schedule {
	enum schedule_kind kind;
	int64_t warmup, total, every; /* steps */
	double cycles, power, gamma;
	double end;                   /* last factor: diffusers' lr_end / lr, 1e-7 / lr */
};

/* Defaults of the schedule called name; -1 with a message. Fields may be changed then. */
int schedule_init(struct schedule *, const char *name, int64_t warmup, int64_t total);
/* What the learning rate is multiplied by in the step-th step, counted from 0. */
double schedule_factor(const struct schedule *, int64_t step);

/* Lowers the rate when a value has stopped to get better (torch's ReduceLROnPlateau, threshold
 * relative). */
struct plateau {
	bool higher_is_better;
	double by, threshold;    /* 0.1, 1e-4 */
	int64_t patience;        /* evaluations without gain that are borne: 10 */
	double factor, best;     /* what the rate is multiplied by now; the best value */
	int64_t bad, seen;
};
void plateau_init(struct plateau *, bool higher_is_better);
double plateau_update(struct plateau *, double value); /* returns factor */

#endif
