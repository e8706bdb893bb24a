#include "model/noise_rng.h"

#include "base/rng.h"

#include <math.h>
#include <stdio.h>

static const double tau = 6.283185307179586;

void
noise_rng_init(struct noise_rng *r, enum noise_kind kind, uint64_t seed)
{
	*r = (struct noise_rng){ .kind = kind, .seed = seed };
	if (kind == NOISE_TORCH_CPU)
		mt_seed(&r->mt, (uint32_t)seed); /* torch takes the low 32 bits, too */
}

static float
torch_uniform(struct mt19937 *mt)
{
	return (float)(mt_u32(mt) & 0xffffff) * 0x1p-24f;
}

/* Box-Muller on 16 uniform numbers: the first eight give radii, the last eight angles. */
static void
torch_normal_16(float *v)
{
	for (int i = 0; i < 8; i++) {
		float radius = sqrtf(-2 * logf(1 - v[i])), theta = (float)tau * v[i + 8];

		v[i] = radius * cosf(theta);
		v[i + 8] = radius * sinf(theta);
	}
}

/* In double precision, two of each pair of 53-bit numbers; the second waits for the next that are
 * few where this ends with the first. */
static void
torch_few(struct noise_rng *r, float *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double u[2], radius;

		if (r->has_next) {
			out[i] = (float)r->next;
			r->has_next = false;
			continue;
		}
		for (int k = 0; k < 2; k++) {
			uint64_t high = mt_u32(&r->mt), low = mt_u32(&r->mt);

			u[k] = (double)((high << 32 | low) & ((UINT64_C(1) << 53) - 1)) * 0x1p-53;
		}
		radius = sqrt(-2 * log1p(-u[1]));
		out[i] = (float)(radius * cos(tau * u[0]));
		r->next = radius * sin(tau * u[0]);
		r->has_next = true;
	}
}

static void
torch_normal(struct noise_rng *r, float *out, size_t n)
{
	struct mt19937 *mt = &r->mt;

	if (n < 16) {
		torch_few(r, out, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		out[i] = torch_uniform(mt);
	for (size_t i = 0; i + 16 <= n; i += 16)
		torch_normal_16(out + i);
	if (n % 16) {
		/* the last sixteen are drawn anew */
		for (size_t i = n - 16; i < n; i++)
			out[i] = torch_uniform(mt);
		torch_normal_16(out + n - 16);
	}
}

void
noise_rng_normal(struct noise_rng *r, float *out, size_t n)
{
	char number[16];
	struct rng g;

	if (r->kind == NOISE_TORCH_CPU) {
		torch_normal(r, out, n);
		r->draws++;
		return;
	}
	snprintf(number, sizeof(number), "%d", r->draws++);
	rng_init(&g, r->seed, rng_stream("latent noise", number));
	for (size_t i = 0; i < n; i++)
		out[i] = (float)rng_normal(&g);
}
