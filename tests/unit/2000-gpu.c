/* The device layer: buffers, ordering of calls, transfers, the pool, reflection, profile. */
#include "base/err.h"
#include "base/mem.h"
#include "gpu/gpu.h"
#include "gpu/internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int
open_device(void **state)
{
	(void)state;
	gpu_open(NULL);
	return 0;
}

static void
copy4(struct gbuf *y, struct gbuf *x, uint32_t quads)
{
	struct gpu_call c = { .kernel = gpu_info()->texel ? K_COPY_TEXEL : K_COPY_SSBO,
		.arg = { { x, 0, 0 }, { y, 0, 0 } }, .nargs = 2, .spec = { 64 }, .nspec = 1,
		.push = &quads, .npush = 4, .groups = { gpu_groups(quads / 4, 64) } };

	gpu_run(&c);
}

static void
a_copy_chain_is_ordered(void **state)
{
	enum { N = 4 * 4 * 64 * 5 };
	float *host = xmalloc(N * 4), *back = xmalloc(N * 4);
	struct gbuf *b[10];

	(void)state;
	for (int i = 0; i < N; i++)
		host[i] = (float)i * 0.5f;
	for (int i = 0; i < 10; i++)
		b[i] = gbuf_new(N * 4, MEM_WORK);
	gpu_write(b[0], 0, host, N * 4);
	/* each copy reads what the one before wrote; more calls than one command buffer takes */
	for (int round = 0; round < 40; round++)
		for (int i = 0; i < 10; i++)
			copy4(b[(i + 1) % 10], b[i], N / 4);
	/* the write must wait for the copies, the read for the write */
	for (int i = 0; i < N; i++)
		host[i] += 1;
	gpu_read(b[9], 0, back, N * 4);
	for (int i = 0; i < N; i++)
		assert_true(back[i] == host[i] - 1);
	copy4(b[1], b[0], N / 4);
	gpu_write(b[0], 0, host, N * 4);
	copy4(b[2], b[0], N / 4);
	gpu_read(b[1], 0, back, N * 4);
	for (int i = 0; i < N; i++)
		assert_true(back[i] == host[i] - 1);
	gpu_read(b[2], 4, back, 8);
	assert_true(back[0] == host[1] && back[1] == host[2]);
	for (int i = 0; i < 10; i++)
		gbuf_unref(b[i]);
	free(host);
	free(back);
}

/* Writes to a buffer that is in use go by way of host memory, more of them than may wait there at
 * once. */
static void
many_writes_to_a_busy_buffer(void **state)
{
	enum { STEP = 1 << 18, STEPS = 160 }; /* words; 160 MiB */
	struct gbuf *x = gbuf_new((size_t)STEP * STEPS * 4, MEM_WORK),
	            *y = gbuf_new(STEP * 4, MEM_WORK);
	uint32_t *host = xmalloc(STEP * 4);

	(void)state;
	gpu_fill(x, 0, (size_t)STEP * STEPS * 4, 7);
	for (uint32_t i = 0; i < STEPS; i++) {
		for (uint32_t k = 0; k < STEP; k++)
			host[k] = i * STEP + k;
		gpu_write(x, (size_t)i * STEP * 4, host, STEP * 4);
		gpu_copy(y, 0, x, (size_t)i * STEP * 4, STEP * 4); /* keeps x busy */
	}
	for (uint32_t i = 0; i < STEPS; i++) {
		gpu_read(x, (size_t)i * STEP * 4, host, STEP * 4);
		for (uint32_t k = 0; k < STEP; k++)
			assert_true(host[k] == i * STEP + k);
	}
	gbuf_unref(x);
	gbuf_unref(y);
	free(host);
}

static void
released_memory_is_used_again(void **state)
{
	struct gpu_mem_stat before, after;
	struct gbuf *b = gbuf_new(100000, MEM_ACT);

	(void)state;
	gbuf_unref(b);
	gpu_mem(&before);
	for (int i = 0; i < 1000; i++) {
		b = gbuf_new(99000 + (size_t)i, MEM_ACT);
		gpu_fill(b, 0, 1024, 0x3f800000);
		gbuf_unref(b);
	}
	gpu_mem(&after);
	assert_int_equal(before.pooled, after.pooled);
	assert_int_equal(before.live_all, after.live_all);
	gpu_trim();
	gpu_mem(&after);
	assert_int_equal(after.pooled, 0);
}

static void
fill_and_copy_parts(void **state)
{
	struct gbuf *a = gbuf_new(4096, MEM_WORK), *b = gbuf_new(4096, MEM_WORK);
	uint32_t back[1024];

	(void)state;
	gpu_fill(a, 0, 4096, 7);
	gpu_fill(a, 16, 8, 9);
	gpu_fill(b, 0, 4096, 1);
	gpu_copy(b, 8, a, 12, 16);
	gpu_read(b, 0, back, sizeof(back));
	assert_int_equal(back[1], 1);
	assert_int_equal(back[2], 7);
	assert_int_equal(back[3], 9);
	assert_int_equal(back[4], 9);
	assert_int_equal(back[5], 7);
	assert_int_equal(back[6], 1);
	gbuf_unref(a);
	gbuf_unref(b);
}

static void
large_counts_spread_over_two_dimensions(void **state)
{
	(void)state;
	assert_int_equal(gpu_groups_x(1000, 64), 16);
	assert_int_equal(gpu_groups_y(1000, 64), 1);
	for (uint64_t n = 65535u * 64u - 1; n < 65535u * 64u * 40u; n = n * 2 + 77) {
		uint64_t x = gpu_groups_x(n, 64), y = gpu_groups_y(n, 64);

		assert_true(x <= 65535 && y <= 65535);
		assert_true(x * y * 64 >= n);
		assert_true(x * (y - 1) * 64 < n);
	}
}

static void
reflection_sees_bindings(void **state)
{
	const struct reflection *r = kernel_reflection(K_COPY_TEXEL);

	(void)state;
	assert_int_equal(r->nbinding, 2);
	assert_int_equal(r->binding[0].type, BIND_TEXEL);
	assert_true(r->binding[0].reads && !r->binding[0].writes);
	assert_true(r->binding[1].writes && !r->binding[1].reads);
	assert_int_equal(r->push, 4);
	assert_int_equal(r->nspec, 1);
	r = kernel_reflection(K_FMA_RATE);
	assert_int_equal(r->push, 12);
	assert_true(r->binding[0].writes);
}

static void
damaged_spirv_is_refused(void **state)
{
	uint32_t junk[64] = { 0x07230203, 0x00010500, 0, 10, 0, (70u << 16) | 71 };
	struct reflection r;

	(void)state;
	assert_int_equal(reflect(junk, 64, &r), -1);
	assert_int_equal(reflect(junk, 3, &r), -1);
	junk[3] = 0xffffffff;
	assert_int_equal(reflect(junk, 64, &r), -1);
}

static void
profile_counts_calls(void **state)
{
	struct gbuf *a = gbuf_new(1 << 20, MEM_WORK), *b = gbuf_new(1 << 20, MEM_WORK);
	const struct gpu_prof *p;

	(void)state;
	gpu_fill(a, 0, 1 << 20, 0);
	gpu_profile(true);
	gpu_profile_reset();
	for (int i = 0; i < 300; i++)
		copy4(b, a, (1 << 20) / 16);
	p = gpu_profile_of(gpu_info()->texel ? K_COPY_TEXEL : K_COPY_SSBO);
	assert_int_equal(p->n, 300);
	assert_true(p->seconds > 0);
	gpu_profile(false);
	gbuf_unref(a);
	gbuf_unref(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_chain_is_ordered),
		cmocka_unit_test(many_writes_to_a_busy_buffer),
		cmocka_unit_test(released_memory_is_used_again),
		cmocka_unit_test(fill_and_copy_parts),
		cmocka_unit_test(large_counts_spread_over_two_dimensions),
		cmocka_unit_test(reflection_sees_bindings),
		cmocka_unit_test(damaged_spirv_is_refused),
		cmocka_unit_test(profile_counts_calls),
	};

	return cmocka_run_group_tests(tests, open_device, NULL);
}
