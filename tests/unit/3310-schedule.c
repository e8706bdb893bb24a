/* Learning-rate schedules at points whose values follow from diffusers' formulas. */
#include "base/err.h"
#include "nn/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
factors(void **state)
{
	static const struct {
		const char *name;
		int64_t warmup, total, step;
		double want;
	} t[] = {
		{ "constant", 10, 100, 0, 1 },
		{ "constant_with_warmup", 10, 100, 0, 0 },
		{ "constant_with_warmup", 10, 100, 3, 0.3 },
		{ "constant_with_warmup", 10, 100, 500, 1 },
		{ "linear", 10, 110, 5, 0.5 },
		{ "linear", 10, 110, 10, 1 },
		{ "linear", 10, 110, 60, 0.5 },
		{ "linear", 10, 110, 110, 0 },
		{ "linear", 10, 110, 111, 0 },
		{ "linear", 0, 100, 0, 1 },
		{ "cosine", 10, 110, 10, 1 },
		{ "cosine", 10, 110, 60, 0.5 },
		{ "cosine", 10, 110, 35, 0.85355339059327378 }, /* (1 + cos(pi/4)) / 2 */
		{ "cosine", 10, 110, 110, 0 },
		{ "cosine_with_restarts", 10, 110, 60, 0.5 },
		{ "cosine_with_restarts", 10, 110, 109, 0.00024671981713422026 },
		{ "cosine_with_restarts", 10, 110, 110, 0 },
		{ "polynomial", 10, 110, 60, 0.5 * (1 - 1e-7) + 1e-7 },
		{ "polynomial", 10, 110, 200, 1e-7 },
		{ "step", 0, 100, 3, 1e-3 },
	};
	struct schedule s;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		assert_int_equal(schedule_init(&s, t[i].name, t[i].warmup, t[i].total), 0);
		if (!(fabs(schedule_factor(&s, t[i].step) - t[i].want) < 1e-12))
			fail_msg("%s at %d: %.17g, want %.17g", t[i].name, (int)t[i].step,
			    schedule_factor(&s, t[i].step), t[i].want);
	}
	/* three cycles: the second begins at a third of the way */
	assert_int_equal(schedule_init(&s, "cosine_with_restarts", 0, 300), 0);
	s.cycles = 3;
	assert_true(schedule_factor(&s, 99) < 1e-3 && schedule_factor(&s, 100) > 0.999);
	assert_int_equal(schedule_init(&s, "sawtooth", 0, 300), -1);
}

static void
plateau(void **state)
{
	static const double loss[] = { 1, 0.9, 0.95, 0.9, 0.91, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8 };
	/* patience 2: the third bad one in a row lowers the rate */
	static const double want[] = { 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01 };
	struct plateau p;

	(void)state;
	plateau_init(&p, false);
	p.patience = 2;
	for (int i = 0; i < 11; i++)
		assert_true(fabs(plateau_update(&p, loss[i]) / want[i] - 1) < 1e-12);
	plateau_init(&p, true);
	p.patience = 0;
	assert_true(plateau_update(&p, 0.5) == 1 && plateau_update(&p, 0.6) == 1);
	assert_true(plateau_update(&p, 0.60001) == 0.1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(factors),
		cmocka_unit_test(plateau),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
