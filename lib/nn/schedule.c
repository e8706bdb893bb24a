#include "nn/schedule.h"

#include "base/err.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

static const char *const names[] = { "constant", "constant_with_warmup", "linear", "cosine",
	"cosine_with_restarts", "polynomial", "step" };

int
schedule_init(struct schedule *s, const char *name, int64_t warmup, int64_t total)
{
	*s = (struct schedule){ .warmup = warmup, .total = total, .every = 1, .cycles = 0.5,
		.power = 1, .gamma = 0.1, .end = 1e-7 };
	for (int i = 0; i < (int)(sizeof(names) / sizeof(*names)); i++)
		if (!strcmp(name, names[i])) {
			s->kind = (enum schedule_kind)i;
			if (s->kind == SCHEDULE_COSINE_WITH_RESTARTS)
				s->cycles = 1;
			return 0;
		}
	return err("%s: no such learning-rate schedule", name);
}

double
schedule_factor(const struct schedule *s, int64_t step)
{
	/* t: 0 at the end of the warm-up, 1 at `total` */
	double left = (double)(s->total - s->warmup > 1 ? s->total - s->warmup : 1);
	double t = (double)(step - s->warmup) / left;

	if (s->kind == SCHEDULE_CONSTANT)
		return 1;
	if (s->kind == SCHEDULE_STEP)
		return pow(s->gamma, (double)(step / (s->every > 0 ? s->every : 1)));
	if (step < s->warmup)
		return (double)step / (double)s->warmup;
	switch (s->kind) {
	case SCHEDULE_LINEAR:
		return t < 1 ? 1 - t : 0;
	case SCHEDULE_COSINE:
		return fmax(0, 0.5 * (1 + cos(pi * s->cycles * 2 * t)));
	case SCHEDULE_COSINE_WITH_RESTARTS:
		return t >= 1 ? 0 : fmax(0, 0.5 * (1 + cos(pi * fmod(s->cycles * t, 1))));
	case SCHEDULE_POLYNOMIAL:
		return step > s->total ? s->end : (1 - s->end) * pow(1 - t, s->power) + s->end;
	default:
		return 1;
	}
}

void
plateau_init(struct plateau *p, bool higher_is_better)
{
	*p = (struct plateau){ .higher_is_better = higher_is_better, .by = 0.1, .threshold = 1e-4,
		.patience = 10, .factor = 1 };
}

double
plateau_update(struct plateau *p, double value)
{
	double sign = p->higher_is_better ? 1 : -1;

	/* torch: value > best (1 + threshold), or value < best (1 - threshold) */
	if (!p->seen++ || sign * value > sign * p->best * (1 + sign * p->threshold)) {
		p->best = value;
		p->bad = 0;
	} else if (++p->bad > p->patience) {
		p->factor *= p->by;
		p->bad = 0;
	}
	return p->factor;
}
