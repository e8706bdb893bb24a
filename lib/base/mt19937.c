#include "base/mt19937.h"

enum { N = 624, M = 397 };

void
mt_seed(struct mt19937 *m, uint32_t seed)
{
	m->s[0] = seed;
	for (uint32_t i = 1; i < N; i++)
		m->s[i] = 1812433253u * (m->s[i - 1] ^ m->s[i - 1] >> 30) + i;
	m->at = N;
}

void
mt_seed_array(struct mt19937 *m, const uint32_t *key, size_t len)
{
	uint32_t *s = m->s;
	uint32_t i = 1;
	size_t j = 0;

	mt_seed(m, 19650218u);
	for (size_t k = len > N ? len : N; k; k--) {
		s[i] = (s[i] ^ (s[i - 1] ^ s[i - 1] >> 30) * 1664525u) + key[j] + (uint32_t)j;
		if (++i == N) {
			s[0] = s[N - 1];
			i = 1;
		}
		if (++j == len)
			j = 0;
	}
	for (int k = N - 1; k; k--) {
		s[i] = (s[i] ^ (s[i - 1] ^ s[i - 1] >> 30) * 1566083941u) - i;
		if (++i == N) {
			s[0] = s[N - 1];
			i = 1;
		}
	}
	s[0] = 0x80000000u; /* not all zero */
}

static void
refill(struct mt19937 *m)
{
	uint32_t *s = m->s;

	for (int k = 0; k < N; k++) {
		uint32_t y = (s[k] & 0x80000000u) | (s[(k + 1) % N] & 0x7fffffffu);

		s[k] = s[(k + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
	}
	m->at = 0;
}

uint32_t
mt_u32(struct mt19937 *m)
{
	uint32_t y;

	if (m->at >= N)
		refill(m);
	y = m->s[m->at++];
	y ^= y >> 11;
	y ^= y << 7 & 0x9d2c5680u;
	y ^= y << 15 & 0xefc60000u;
	return y ^ y >> 18;
}

void
mt_python_seed(struct mt19937 *m, uint64_t seed)
{
	uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };

	mt_seed_array(m, key, key[1] ? 2 : 1);
}

double
mt_random(struct mt19937 *m)
{
	uint32_t a = mt_u32(m) >> 5, b = mt_u32(m) >> 6;

	return (a * 67108864.0 + b) / 9007199254740992.0;
}

uint64_t
mt_getrandbits(struct mt19937 *m, int k)
{
	uint64_t low;

	if (k <= 32)
		return mt_u32(m) >> (32 - k);
	low = mt_u32(m);
	return low | (uint64_t)(mt_u32(m) >> (64 - k)) << 32;
}

uint64_t
mt_below(struct mt19937 *m, uint64_t n)
{
	int bits = 0;
	uint64_t r;

	for (uint64_t x = n; x; x >>= 1)
		bits++;
	do
		r = mt_getrandbits(m, bits);
	while (r >= n);
	return r;
}

void
mt_shuffle(struct mt19937 *m, size_t *v, size_t n)
{
	for (size_t i = n; i-- > 1;) {
		size_t j = (size_t)mt_below(m, i + 1), t = v[i];

		v[i] = v[j];
		v[j] = t;
	}
}

size_t
mt_choice(struct mt19937 *m, size_t n)
{
	return (size_t)(mt_random(m) * (double)n);
}
