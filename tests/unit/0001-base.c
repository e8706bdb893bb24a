/* The ground floor: random numbers, checked arithmetic, strings, arenas, options, errors. */
#include "base/err.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/rng.h"
#include "base/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Known answers of the Random123 distribution (kat_vectors, philox4x32 10 rounds). */
static void
philox_known_answers(void **state)
{
	static const struct {
		uint32_t ctr[4], key[2], want[4];
	} kat[] = {
		{ { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
		{ { ~0u, ~0u, ~0u, ~0u }, { ~0u, ~0u },
		    { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
		{ { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 },
		    { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(kat) / sizeof(kat[0]); i++) {
		uint32_t out[4];

		philox4x32(out, kat[i].ctr, kat[i].key);
		assert_memory_equal(out, kat[i].want, sizeof(out));
	}
}

static void
rng_is_a_function_of_seed_and_stream(void **state)
{
	struct rng a, b, c;
	double sum = 0, sq = 0;

	(void)state;
	rng_init(&a, 7, rng_stream("flip", "x"));
	rng_init(&b, 7, rng_stream("flip", "x"));
	rng_init(&c, 7, rng_stream("flip", "y"));
	for (int i = 0; i < 100; i++)
		assert_int_equal(rng_u32(&a), rng_u32(&b));
	assert_int_not_equal(rng_u64(&a), rng_u64(&c));
	assert_int_not_equal(rng_stream("ab", "c"), rng_stream("a", "bc"));
	for (int i = 0; i < 20000; i++) {
		double x = rng_normal(&a);

		sum += x;
		sq += x * x;
		assert_true(rng_below(&b, 7) < 7);
		assert_true(rng_float(&c) < 1);
	}
	/* standard errors are 0.007 and 0.01 */
	assert_true(sum / 20000 < 0.03 && sum / 20000 > -0.03);
	assert_true(sq / 20000 < 1.04 && sq / 20000 > 0.96);
}

static void
sizes_do_not_wrap(void **state)
{
	size_t out = 5;

	(void)state;
	assert_false(mul_size(SIZE_MAX / 2, 3, &out));
	assert_false(add_size(SIZE_MAX, 1, &out));
	assert_int_equal(out, 5);
	assert_true(mul_size(6, 7, &out));
	assert_int_equal(out, 42);
}

static void
strings_and_arenas(void **state)
{
	struct sb sb = { 0 };
	struct arena a = { 0 };
	char *p;

	(void)state;
	for (int i = 0; i < 1000; i++)
		sb_printf(&sb, "%d,", i);
	assert_int_equal(sb.len, 10 * 2 + 90 * 3 + 900 * 4);
	assert_int_equal(strlen(sb.s), sb.len);
	p = arena_strndup(&a, sb.s, sb.len);
	for (int i = 0; i < 100; i++) {
		char *q = arena_alloc(&a, 1000);

		assert_int_equal((uintptr_t)q % 16, 0);
		memset(q, i, 1000);
	}
	assert_string_equal(p, sb.s);
	arena_release(&a);
	sb_release(&sb);
}

static void
numbers_are_whole_and_in_range(void **state)
{
	int64_t i;
	double x;

	(void)state;
	assert_int_equal(parse_int("12", 0, 20, &i), 0);
	assert_int_equal(i, 12);
	assert_int_equal(parse_int("12x", 0, 20, &i), -1);
	assert_int_equal(parse_int("", 0, 20, &i), -1);
	assert_int_equal(parse_int(" 1", 0, 20, &i), -1);
	assert_int_equal(parse_int("99999999999999999999", 0, INT64_MAX, &i), -1);
	assert_int_equal(parse_float("1e-3", 0, 1, &x), 0);
	assert_int_equal(parse_float("nan", 0, 1, &x), -1);
	assert_int_equal(parse_float("1e400", 0, 1, &x), -1);
}

static void
messages_can_hold_themselves(void **state)
{
	(void)state;
	assert_int_equal(err("a %d", 1), -1);
	err("b: %s", errmsg());
	assert_string_equal(errmsg(), "b: a 1");
	err_prefix("c");
	assert_string_equal(errmsg(), "c: b: a 1");
}

static int stopped;

static int
stop(void)
{
	return stopped;
}

/* Each item is written by one thread alone. */
static void
count(void *ctx, size_t i)
{
	((int *)ctx)[i]++;
}

static void
threads_do_each_item_once(void **state)
{
	enum { N = 1000 };

	(void)state;
	for (size_t threads = 1; threads <= 8; threads++) {
		int done[N] = { 0 };

		stopped = 0;
		threads_each(N, threads, NULL, count, done);
		threads_each(N, threads, stop, count, done);
		stopped = 1;
		threads_each(N, threads, stop, count, done);
		threads_each(0, threads, NULL, count, done);
		for (int i = 0; i < N; i++)
			assert_int_equal(done[i], 2);
	}
}

static void
take_three(void *left, size_t i)
{
	(void)i;
	threads_take(left, 3);
}

static void
threads_share_what_is_left(void **state)
{
	atomic_size_t left = 1000;

	(void)state;
	threads_each(1000, 8, NULL, take_three, &left);
	assert_int_equal(left, 1);
	assert_false(threads_take(&left, 2));
	assert_true(threads_take(&left, 1));
	assert_true(threads_take(&left, 0));
	assert_false(threads_take(&left, SIZE_MAX));
	assert_int_equal(left, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(philox_known_answers),
		cmocka_unit_test(rng_is_a_function_of_seed_and_stream),
		cmocka_unit_test(sizes_do_not_wrap),
		cmocka_unit_test(strings_and_arenas),
		cmocka_unit_test(numbers_are_whole_and_in_range),
		cmocka_unit_test(messages_can_hold_themselves),
		cmocka_unit_test(threads_do_each_item_once),
		cmocka_unit_test(threads_share_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
