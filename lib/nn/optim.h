/*
 * Optimisers, over the slabs of one or several nets' parameters: few dispatches a step.
 *
 *	struct optim o;
 *	optim_init(&o, &(struct optim_conf){ .kind = OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.999,
 *	    .eps = 1e-8, .weight_decay = 1e-2 }, (struct params *[]){ &net }, 1);
 *	for (...) {
 *		params_zero_grad(&net);
 *		backward(loss);
 *		norm = optim_clip(&o, 1.0, 1.0);         a scalar on the device: nothing waits
 *		optim_step(&o, lr);
 *	}
 *	optim_release(&o);
 *
 * Parameters that got no gradient since params_zero_grad, and frozen ones, are left alone as
 * PyTorch leaves those whose grad is None: no decay, no moments. Formulas are torch.optim's.
 */
#ifndef NN_OPTIM_H
#define NN_OPTIM_H

#include "nn/params.h"

enum optim_kind {
	OPTIM_SGD,   /* momentum, nesterov; weight decay is added to the gradient */
	OPTIM_ADAM,  /* weight decay is added to the gradient */
	OPTIM_ADAMW, /* weight decay shrinks the parameters first, biases and scales too */
	/* AdamW with moments in 8 bits by blocks of 256; those of tensors of fewer than 4096
	 * elements stay floats. A second moment that is not 0 is not rounded to 0 (as bitsandbytes
	 * does), where the next step could be m / eps */
	OPTIM_ADAMW8
};

struct optim_conf {
	enum optim_kind kind;
	double beta1, beta2, eps; /* Adam's; eps is added to sqrt(v) after bias correction */
	double weight_decay;
	double momentum;          /* SGD's */
	bool nesterov;
};

struct optim_slab {
	struct params *params;
	int slab;
	struct gbuf *m, *v;     /* moments in the values' layout; ADAMW8: m holds both */
	size_t bytes;           /* of each */
	/* ADAMW8: blocks (first quad of the slab, values, first word of m, whether 8-bit) here and
	 * on the device, and the first block of each of params->p, with the end */
	uint32_t (*table)[4], *block;
	struct gbuf *table_there;
};

struct optim {
	struct optim_conf conf;
	struct params **params;
	int nparams;
	struct optim_slab *slab;
	int nslab;
	int64_t step;           /* steps done: t of the bias corrections */
	struct gbuf *factor;    /* what gradients are multiplied by in the next step: one float */
	bool clipped;           /* it is not 1 */
};

/* Every params must be ready, with gradients; they are borrowed. State starts at zero. */
void optim_init(struct optim *, const struct optim_conf *, struct params *const *ps, int n);
void optim_release(struct optim *);

/*
 * The norm of all gradients of the coming step divided by `scale` (the loss scale they were made
 * with), a scalar of the innermost scope; makes the next optim_step use them divided by scale and
 * multiplied by min(1, max_norm / (norm + 1e-6)). max_norm 0: no clipping. An infinity or a NaN in
 * a gradient gives a norm that is not finite.
 */
struct tensor *optim_clip(struct optim *, double max_norm, double scale);
/* One step with the gradients there are. */
void optim_step(struct optim *, double lr);

/* All state and the step count, to a safetensors file and back, bit for bit. Loading wants the same
 * conf.kind and parameters: -1 with a message otherwise, nothing changed. */
int optim_save(const struct optim *, const char *path);
int optim_load(struct optim *, const char *path);
/* "sgd", "adam", "adamw", "adamw8bit"; -1 with a message. */
int optim_kind_from(const char *name, enum optim_kind *);

#endif
