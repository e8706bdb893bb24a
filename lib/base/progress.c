#include "base/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void
progress_start(struct progress *p, const char *what, uint64_t total, bool quiet)
{
	*p = (struct progress){ .what = what, .total = total, .on = !quiet && isatty(2) };
	p->start = now_s();
}

void
progress_at(struct progress *p, uint64_t done)
{
	double t;

	if (!p->on)
		return;
	t = now_s();
	if (t - p->start < 1 || t - p->shown < 1.0 / 6)
		return;
	p->shown = t;
	p->drawn = true;
	if (p->total) {
		double rate = (double)done / (t - p->start);
		double left = rate > 0 ? (double)(p->total - done) / rate : 0;

		fprintf(stderr, "\r%" PRIu64 "/%" PRIu64 " %s, %.4g/s, %.0f s left\033[K", done,
		    p->total, p->what, rate, left);
	} else {
		fprintf(stderr, "\r%" PRIu64 " %s, %.4g/s\033[K", done, p->what,
		    (double)done / (t - p->start));
	}
	fflush(stderr);
}

void
progress_end(struct progress *p)
{
	if (p->drawn)
		fprintf(stderr, "\r\033[K");
	p->drawn = false;
}
