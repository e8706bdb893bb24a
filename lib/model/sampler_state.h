/* What the files of the samplers share. */
#ifndef MODEL_SAMPLER_STATE_H
#define MODEL_SAMPLER_STATE_H

#include "model/noise.h"

enum { SAMPLER_HISTORY = 4 };

struct sampler_state {
	float *m[SAMPLER_HISTORY];   /* model outputs, the newest first; in the method's form */
	int have;            /* how many of them */
	float *kept;         /* PNDM, Heun: the sample to start again from; UniPC: the last one */
	float *slope;        /* Heun: the first slope */
	double dt;
	int order;           /* UniPC: of the step before */
};

/* alphas_cumprod at t; before the first step 1 or the first, as the model says. */
double sampler_alpha(const struct sampler *, double t);

#endif
