#include "metric/parallel.h"

#include "base/threads.h"

#include <unistd.h>

struct work {
	int64_t n;
	void (*fn)(void *, int64_t, int64_t, int);
	void *ctx;
};

static void
one_part(void *vw, size_t i)
{
	const struct work *w = vw;
	int part = (int)i;

	w->fn(w->ctx, w->n * part / PARALLEL_PARTS, w->n * (part + 1) / PARALLEL_PARTS, part);
}

void
parallel(int64_t n, void (*fn)(void *ctx, int64_t from, int64_t to, int part), void *ctx)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	threads_each(PARALLEL_PARTS, cores < 1 ? 1 : (size_t)cores, NULL, one_part,
	    &(struct work){ n, fn, ctx });
}
