/*
 * Progress on stderr: only when it is a terminal, after one second, at most six times a second,
 * with rate and time left.
 */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what; /* "images" */
	uint64_t total;   /* 0: not known */
	double start, shown;
	bool on, drawn;
};

double now_s(void); /* monotonic seconds */
void progress_start(struct progress *, const char *what, uint64_t total, bool quiet);
void progress_at(struct progress *, uint64_t done);
void progress_end(struct progress *); /* clears the line */

#endif
