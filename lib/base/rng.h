/*
 * Random numbers as a function of (seed, stream, index), so that a sharded or reordered run draws
 * the same ones: Philox 4x32-10 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011).
 *
 *	struct rng r;
 *	rng_init(&r, seed, rng_stream("flip", id));
 *	if (rng_float(&r) < 0.5f)
 *		...
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t seed, stream, index; /* index counts blocks of four words */
	uint32_t block[4];
	unsigned have; /* words of block not yet drawn */
};

/* Four random words from a 128-bit counter and a 64-bit key. */
void philox4x32(uint32_t out[4], const uint32_t ctr[4], const uint32_t key[2]);

/* A stream number from a purpose and an id: 64-bit FNV-1a of both, separated. id may be NULL. */
uint64_t rng_stream(const char *purpose, const char *id);
uint64_t fnv1a(const void *p, size_t n);

void rng_init(struct rng *, uint64_t seed, uint64_t stream);
uint32_t rng_u32(struct rng *);
uint64_t rng_u64(struct rng *);
/* Uniform in [0, n), without bias; n > 0. */
uint64_t rng_below(struct rng *, uint64_t n);
/* Uniform in [0, 1), 24 and 53 bits. */
float rng_float(struct rng *);
double rng_double(struct rng *);
/* Standard normal by Box-Muller in double precision on the CPU. */
double rng_normal(struct rng *);

#endif
