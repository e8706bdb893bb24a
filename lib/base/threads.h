/*
 * Work on several threads. They are started with all signals blocked, so that signals reach those
 * who asked for the work. Dies if a thread cannot be started.
 */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Starts n threads that run fn(ctx), into t[0..n); the caller joins them. */
void threads_start(pthread_t *t, size_t n, void *(*fn)(void *), void *ctx);

/* Calls one(ctx, i) for each i below n, on `threads` threads that take the next one in turn, until
 * stop is not 0. Without a stop (NULL) the caller's thread is one of them; with one it only waits,
 * as a signal would cut its work short. Returns when all are done. */
void threads_each(size_t n, size_t threads, int (*stop)(void), void (*one)(void *ctx, size_t i),
    void *ctx);

/* Takes n of what several threads share, if that much is left. */
bool threads_take(atomic_size_t *left, size_t n);

#endif
