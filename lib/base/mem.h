/*
 * Memory that cannot fail (out of memory ends the program), sizes that cannot overflow, a growing
 * byte string, and an arena whose pieces go all at once.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
/* Grows array p of elements of `size` bytes to hold at least `want`; *cap is in elements. */
void *xgrow(void *p, size_t *cap, size_t want, size_t size);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Product and sum of sizes that may come from a file: false on overflow, *out untouched then. */
bool mul_size(size_t a, size_t b, size_t *out);
bool add_size(size_t a, size_t b, size_t *out);

/* A byte string that grows. Zero-initialised is empty; s is NUL-terminated once anything was
 * put. */
struct sb {
	char *s;
	size_t len, cap;
};
void sb_put(struct sb *, const void *p, size_t n);
void sb_putc(struct sb *, char c);
void sb_puts(struct sb *, const char *s);
void sb_printf(struct sb *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sb_clear(struct sb *);   /* empty, memory kept */
void sb_release(struct sb *); /* memory freed, empty again */

/* Pieces are freed together. Zero-initialised is empty. Pieces are aligned to 16 bytes. */
struct arena {
	struct arena_block *head;
};
void *arena_alloc(struct arena *, size_t n);
char *arena_strndup(struct arena *, const char *s, size_t n); /* NUL-terminated */
void arena_clear(struct arena *);                             /* keeps one block for reuse */
void arena_release(struct arena *);

#endif
