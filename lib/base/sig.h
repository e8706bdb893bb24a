/*
 * Stopping cleanly. A trainer calls stop_catch() first thing; from then on INT, TERM and USR1 only
 * set a flag that it looks at between pieces of work. It then saves and calls stop_exit().
 */
#ifndef BASE_SIG_H
#define BASE_SIG_H

#include <pthread.h>
#include <stddef.h>

void stop_catch(void);
int stop_wanted(void);           /* the signal that asked, or 0 */
_Noreturn void stop_exit(void);  /* exits 128+n */

/* Starts n threads that run fn(ctx), into t[0..n). Signals are left to those who start them. Dies
 * if one cannot be started. */
void threads_start(pthread_t *t, size_t n, void *(*fn)(void *), void *ctx);

#endif
