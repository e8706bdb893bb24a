/*
 * The Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), and what CPython's `random` makes
 * of it, so that choices made there can be made again here. New work draws from base/rng.h instead.
 */
#ifndef BASE_MT19937_H
#define BASE_MT19937_H

#include <stddef.h>
#include <stdint.h>

struct mt19937 {
	uint32_t s[624];
	int at;
};

void mt_seed(struct mt19937 *, uint32_t seed);                         /* init_genrand */
void mt_seed_array(struct mt19937 *, const uint32_t *key, size_t len); /* init_by_array; len >= 1 */
uint32_t mt_u32(struct mt19937 *);

/* random.Random(seed) for seed >= 0. */
void mt_python_seed(struct mt19937 *, uint64_t seed);
double mt_random(struct mt19937 *);                      /* [0, 1), 53 bits: random() */
uint64_t mt_getrandbits(struct mt19937 *, int k);        /* 1 <= k <= 64 */
uint64_t mt_below(struct mt19937 *, uint64_t n);         /* [0, n), n > 0: randrange(n) */
void mt_shuffle(struct mt19937 *, size_t *v, size_t n);  /* shuffle(v) */
size_t mt_choice(struct mt19937 *, size_t n);            /* one draw of choices(range(n)) */

#endif
