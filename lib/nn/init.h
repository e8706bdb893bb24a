/*
 * First values of parameters, as PyTorch's initialisers draw them (the distributions, not its
 * numbers): each is a function of the seed and the parameter's name, whatever else the net holds.
 */
#ifndef NN_INIT_H
#define NN_INIT_H

#include "nn/params.h"

enum init {
	INIT_CONSTANT,           /* gain */
	INIT_NORMAL,             /* N(0, gain^2) */
	INIT_UNIFORM,            /* U(-gain, gain) */
	INIT_TORCH,            /* U(-1/sqrt(fan_in), ..): nn.Conv2d's and nn.Linear's own default */
	INIT_KAIMING_NORMAL_OUT, /* N(0, 2/fan_out): torchvision's ResNet */
	INIT_KAIMING_UNIFORM_IN, /* U(+-sqrt(6/fan_in)): smp's decoders */
	INIT_XAVIER_UNIFORM      /* U(+-sqrt(6/(fan_in+fan_out))): smp's heads */
};

/* fan_in is dim[1] x kernel area, fan_out dim[0] x kernel area. gain is read by the first three
 * only. */
void init_param(struct param *, enum init, double gain, uint64_t seed);
/* Only the values, [p->n] in the file's layout: p may be of an outline. */
void init_values(const struct param *, enum init, double gain, uint64_t seed, float *out);
/* A bias beside its weight, as nn.Conv2d and nn.Linear draw it: U(+-1/sqrt(fan_in of weight)). */
void init_bias_torch(struct param *bias, const struct param *weight, uint64_t seed);

#endif
