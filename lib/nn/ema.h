/*
 * Running means of nets' values (exponential moving averages), in slabs of their own.
 *
 *	struct ema e;
 *	ema_init(&e, (struct params *[]){ &net }, 1, false);
 *	... optim_step(&o, lr); ema_update(&e, ema_decay(0.9999, ++update));
 *	ema_swap(&e);                the net has the means: evaluate it, save it
 *	ema_swap(&e);                and its own values again
 */
#ifndef NN_EMA_H
#define NN_EMA_H

#include "nn/params.h"

struct ema {
	struct params **params;
	int nparams;
	struct gbuf **mean;  /* of each slab of each params in turn; NULL: left out */
	int nmean;
	bool buffers;        /* running statistics are copied at each update */
};

/* Starts as a copy of the values, which must be F32; the params are borrowed. */
void ema_init(struct ema *, struct params *const *ps, int n, bool buffers);
void ema_release(struct ema *);
/* mean += (1 - decay) (value - mean) */
void ema_update(struct ema *, double decay);
/* The means become the values and the values the means. */
void ema_swap(struct ema *);
/* Again a copy of the values (those may have been loaded). */
void ema_restart(struct ema *);
/* The decay of the nth update, counted from 1: min(asked, (1 + s) / (10 + s)) with
 * s = nth - 1, and 0 at the first. As diffusers' EMAModel without warmup. */
double ema_decay(double asked, int64_t nth);

#endif
