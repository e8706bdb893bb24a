#include "gpu/ceiling.h"

#include "base/order.h"
#include "base/progress.h"
#include "gpu/gpu.h"

#include <stdlib.h>

enum { RUNS = 9 };

/* Median seconds of one of `calls` equal calls recorded together. */
static double
median(const struct gpu_call *c, int calls)
{
	double t[RUNS];

	for (int r = -1; r < RUNS; r++) {
		double start;

		gpu_wait();
		start = now_s();
		for (int i = 0; i < calls; i++)
			gpu_run(c);
		gpu_wait();
		if (r >= 0) /* the first compiles the kernel */
			t[r] = (now_s() - start) / calls;
	}
	qsort(t, RUNS, sizeof(*t), order_doubles);
	return t[RUNS / 2];
}

static double
copy_rate(uint64_t bytes)
{
	struct gbuf *x = gbuf_new(bytes, MEM_WORK), *y = gbuf_new(bytes, MEM_WORK);
	uint32_t quads = (uint32_t)(bytes / 16), local = 256;
	struct gpu_call c = { .kernel = gpu_info()->texel ? K_COPY_TEXEL : K_COPY_SSBO,
		.arg = { { x, 0, 0 }, { y, 0, 0 } }, .nargs = 2, .spec = { local }, .nspec = 1,
		.push = &quads, .npush = 4, .groups = { gpu_groups(quads / 4, local) } };
	double s;

	gpu_fill(x, 0, bytes, 0x3f800000);
	s = median(&c, bytes < 1 << 24 ? 16 : 2);
	gbuf_unref(x);
	gbuf_unref(y);
	return 2 * (double)bytes / s;
}

static double
fma_rate(void)
{
	struct { uint32_t rounds; float a, b; } push = { 4096, 0.999f, 0.001f };
	uint32_t local = gpu_info()->cpu ? gpu_info()->subgroup : 256;
	uint64_t n = gpu_info()->cpu ? 64u * local : (uint64_t)1 << 20;
	struct gbuf *y = gbuf_new(n * 16, MEM_WORK);
	struct gpu_call c = { .kernel = K_FMA_RATE, .arg = { { y, 0, 0 } }, .nargs = 1,
		.spec = { local }, .nspec = 1, .push = &push, .npush = sizeof(push),
		.groups = { gpu_groups(n, local) } };
	double s = median(&c, 2);

	gbuf_unref(y);
	return 2.0 * 16 * push.rounds * (double)n / s;
}

void
ceiling_measure(struct ceiling *c)
{
	c->flops = fma_rate();
	c->bytes = copy_rate((uint64_t)128 << 20);
	c->cached = copy_rate((uint64_t)4 << 20);
}
