#include "model/sd_step.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void
sd_step_init(struct sd_step *s, const struct noise_schedule *schedule,
    const struct optim_conf *conf, struct params *const *trained, int n)
{
	s->schedule = schedule;
	s->trained = xcalloc((size_t)n, sizeof(struct params *));
	memcpy(s->trained, trained, (size_t)n * sizeof(*trained));
	s->ntrained = n;
	optim_init(&s->optim, conf, trained, n);
	if (s->ema_decay > 0)
		ema_init(&s->ema, trained, 1, false);
	gradscale_init(&s->scale);
	if (!s->scaled)
		s->scale.scale = 1;
	s->gathered = 0;
}

void
sd_step_release(struct sd_step *s)
{
	optim_release(&s->optim);
	if (s->ema_decay > 0)
		ema_release(&s->ema);
	free(s->trained);
	s->trained = NULL;
}

struct tensor *
sd_step_predict(const struct sd_step *s, const struct sd_batch *b, struct tensor **target)
{
	int64_t n = b->x->dim[0];
	double *t = xmalloc((size_t)n * sizeof(*t));
	struct tensor *x = sd_add_noise(s->schedule, b->x, b->shown ? b->shown : b->noise, b->t);

	for (int64_t i = 0; i < n; i++)
		t[i] = b->t[i];
	*target = sd_target(s->schedule, s->loss.prediction, b->x, b->noise, b->t);
	x = unet_forward(s->unet, op_cast(x, s->compute), t, op_cast(b->context, s->compute));
	free(t);
	return op_cast(x, F32);
}

struct tensor *
sd_step_batch(struct sd_step *s, const struct sd_batch *b)
{
	struct tensor *pred, *target, *errors, *loss;

	if (s->gathered == 0)
		for (int i = 0; i < s->ntrained; i++)
			params_zero_grad(s->trained[i]);
	scope_open();
	pred = sd_step_predict(s, b, &target);
	errors = sd_errors(pred, target);
	loss = sd_loss_sum(&s->loss, s->schedule, errors, b->t, b->prior);
	backward_scaled(loss, s->scale.scale / s->accumulate);
	s->gathered++;
	return scope_keep(tensor_detach(errors));
}

bool
sd_step_due(const struct sd_step *s)
{
	return s->gathered >= s->accumulate;
}

bool
sd_step_update(struct sd_step *s, double lr, struct tensor **norm)
{
	s->gathered = 0;
	*norm = optim_clip(&s->optim, s->clip, s->scale.scale);
	if (s->scaled && !gradscale_update(&s->scale, tensor_item(*norm)))
		return false;
	optim_step(&s->optim, lr);
	if (s->ema_decay > 0)
		ema_update(&s->ema, ema_decay(s->ema_decay, s->optim.step));
	return true;
}
