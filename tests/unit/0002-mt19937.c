/* MT19937 against its authors' first outputs, and against numbers that CPython 3.11 printed. */
#include "base/mt19937.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* mt19937ar.out begins with these after init_by_array({0x123, 0x234, 0x345, 0x456}). */
static void
known_answers(void **state)
{
	static const uint32_t key[] = { 0x123, 0x234, 0x345, 0x456 };
	static const uint32_t want[] = { 1067595299, 955945823, 477289528, 4107218783, 4228976476 };
	struct mt19937 m;

	(void)state;
	mt_seed_array(&m, key, 4);
	for (int i = 0; i < 5; i++)
		assert_int_equal(mt_u32(&m), want[i]);
	mt_seed(&m, 5489); /* the default seed: the 10000th number is in the C++ standard */
	for (int i = 0; i < 9999; i++)
		mt_u32(&m);
	assert_int_equal(mt_u32(&m), 4123659995u);
}

static void
cpython(void **state)
{
	static const double want[] = { 0.8444218515250481, 0.7579544029403025, 0.420571580830845,
		0.25891675029296335, 0.5112747213686085 };
	static const size_t shuffled[] = { 3, 6, 0, 5, 8, 4, 1, 7, 2, 9 };
	static const size_t folder[] = { 3, 8, 9, 6, 5, 0, 7, 10, 11, 1, 2, 4 };
	size_t v[12];
	struct mt19937 m;

	(void)state;
	mt_python_seed(&m, 0);
	for (int i = 0; i < 5; i++)
		assert_true(mt_random(&m) == want[i]);

	for (size_t i = 0; i < 10; i++)
		v[i] = i;
	mt_python_seed(&m, 1234567890);
	mt_shuffle(&m, v, 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(v[i], shuffled[i]);

	/* choices() from one plane draws all the same */
	for (size_t i = 0; i < 12; i++)
		v[i] = i;
	mt_python_seed(&m, 0);
	for (int i = 0; i < 12; i++)
		assert_int_equal(mt_choice(&m, 1), 0);
	mt_shuffle(&m, v, 12);
	for (int i = 0; i < 12; i++)
		assert_int_equal(v[i], folder[i]);
}

/* r = random.Random(2**40 + 7): r.getrandbits(40), r.randrange(10**12), r.getrandbits(64),
 * r.random() */
static void
wide_seeds_and_draws(void **state)
{
	struct mt19937 m;

	(void)state;
	mt_python_seed(&m, ((uint64_t)1 << 40) + 7);
	assert_true(mt_getrandbits(&m, 40) == 822974591194u);
	assert_true(mt_below(&m, 1000000000000) == 704138462757u);
	assert_true(mt_getrandbits(&m, 64) == 13015927955237707764u);
	assert_true(mt_random(&m) == 0.47592409887048936);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(cpython),
		cmocka_unit_test(wide_seeds_and_draws),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
