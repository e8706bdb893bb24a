/*
 * Standard normal noise for latents, the same on every device: by Philox, a function of (seed,
 * which draw it is), or as PyTorch's CPU generator makes it (mt19937), so that diffusers' own
 * images can be made again.
 */
#ifndef MODEL_NOISE_RNG_H
#define MODEL_NOISE_RNG_H

#include "base/mt19937.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum noise_kind { NOISE_PHILOX, NOISE_TORCH_CPU };
#define NOISE_KINDS "philox|torch-cpu"

struct noise_rng {
	enum noise_kind kind;
	uint64_t seed;
	int draws;           /* how many tensors were drawn */
	struct mt19937 mt;   /* torch.Generator("cpu").manual_seed(seed) */
	bool has_next;       /* torch's generator keeps the second of a pair, too */
	double next;
};

void noise_rng_init(struct noise_rng *, enum noise_kind, uint64_t seed);
/* The next tensor of n values: torch.randn of as many, in its order. torch's vectorised logarithm
 * and sines may differ from ours in the last bits. */
void noise_rng_normal(struct noise_rng *, float *out, size_t n);

#endif
