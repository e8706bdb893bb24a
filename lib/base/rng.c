#include "base/rng.h"

#include <math.h>
#include <string.h>

void
philox4x32(uint32_t out[4], const uint32_t ctr[4], const uint32_t key[2])
{
	uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3], k0 = key[0], k1 = key[1];

	for (int round = 0; round < 10; round++) {
		uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
		uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;

		c1 = (uint32_t)p1;
		c3 = (uint32_t)p0;
		c0 = n0;
		c2 = n2;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	out[0] = c0;
	out[1] = c1;
	out[2] = c2;
	out[3] = c3;
}

static uint64_t
fnv1a_more(uint64_t h, const void *p, size_t n)
{
	const unsigned char *s = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ s[i]) * 1099511628211u;
	return h;
}

uint64_t
fnv1a(const void *p, size_t n)
{
	return fnv1a_more(14695981039346656037u, p, n);
}

uint64_t
rng_stream(const char *purpose, const char *id)
{
	uint64_t h = fnv1a(purpose, strlen(purpose) + 1); /* the NUL separates */

	return id ? fnv1a_more(h, id, strlen(id)) : h;
}

void
rng_init(struct rng *r, uint64_t seed, uint64_t stream)
{
	*r = (struct rng){ .seed = seed, .stream = stream };
}

uint32_t
rng_u32(struct rng *r)
{
	if (!r->have) {
		uint32_t ctr[4] = { (uint32_t)r->index, (uint32_t)(r->index >> 32),
			(uint32_t)r->stream, (uint32_t)(r->stream >> 32) };
		uint32_t key[2] = { (uint32_t)r->seed, (uint32_t)(r->seed >> 32) };

		philox4x32(r->block, ctr, key);
		r->index++;
		r->have = 4;
	}
	return r->block[4 - r->have--];
}

uint64_t
rng_u64(struct rng *r)
{
	uint64_t lo = rng_u32(r);

	return lo | (uint64_t)rng_u32(r) << 32;
}

uint64_t
rng_below(struct rng *r, uint64_t n)
{
	uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;

	do
		x = rng_u64(r);
	while (x >= limit);
	return x % n;
}

float
rng_float(struct rng *r)
{
	return (float)(rng_u32(r) >> 8) * 0x1p-24f;
}

double
rng_double(struct rng *r)
{
	return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

double
rng_normal(struct rng *r)
{
	double u = 1.0 - rng_double(r), v = rng_double(r);

	return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}
