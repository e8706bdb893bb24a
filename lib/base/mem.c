#include "base/mem.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *
xmalloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		die("out of memory (%zu bytes)", n);
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		die("out of memory (%zu x %zu bytes)", n, size);
	return p;
}

void *
xrealloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (!p)
		die("out of memory (%zu bytes)", n);
	return p;
}

char *
xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *
xstrndup(const char *s, size_t n)
{
	char *p = xmalloc(n + 1);

	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

void *
xgrow(void *p, size_t *cap, size_t want, size_t size)
{
	size_t n = *cap ? *cap : 8, bytes;

	if (want <= *cap)
		return p;
	while (n < want)
		if (!mul_size(n, 2, &n))
			die("out of memory (%zu elements)", want);
	if (!mul_size(n, size, &bytes))
		die("out of memory (%zu elements)", want);
	*cap = n;
	return xrealloc(p, bytes);
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	int n;
	char *p;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		die("vsnprintf:");
	p = xmalloc((size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

bool
mul_size(size_t a, size_t b, size_t *out)
{
	if (b && a > SIZE_MAX / b)
		return false;
	*out = a * b;
	return true;
}

bool
add_size(size_t a, size_t b, size_t *out)
{
	if (a > SIZE_MAX - b)
		return false;
	*out = a + b;
	return true;
}

void
sb_put(struct sb *sb, const void *p, size_t n)
{
	size_t want;

	if (!add_size(sb->len, n, &want) || !add_size(want, 1, &want))
		die("out of memory (string of %zu bytes)", sb->len);
	sb->s = xgrow(sb->s, &sb->cap, want, 1);
	if (n)
		memcpy(sb->s + sb->len, p, n);
	sb->len += n;
	sb->s[sb->len] = '\0';
}

void
sb_putc(struct sb *sb, char c)
{
	sb_put(sb, &c, 1);
}

void
sb_puts(struct sb *sb, const char *s)
{
	sb_put(sb, s, strlen(s));
}

void
sb_printf(struct sb *sb, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		die("vsnprintf:");
	sb->s = xgrow(sb->s, &sb->cap, sb->len + (size_t)n + 1, 1);
	va_start(ap, fmt);
	vsnprintf(sb->s + sb->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	sb->len += (size_t)n;
}

void
sb_clear(struct sb *sb)
{
	sb->len = 0;
	if (sb->s)
		sb->s[0] = '\0';
}

void
sb_release(struct sb *sb)
{
	free(sb->s);
	*sb = (struct sb){ 0 };
}

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	_Alignas(16) char data[];
};

enum { ARENA_BLOCK = 16384 };

void *
arena_alloc(struct arena *a, size_t n)
{
	struct arena_block *b = a->head;
	size_t need;
	void *p;

	if (!add_size(n, 15, &need))
		die("out of memory (%zu bytes)", n);
	need &= ~(size_t)15;
	if (!b || need > b->size - b->used) {
		size_t size = need > ARENA_BLOCK ? need : ARENA_BLOCK, total;

		if (!add_size(size, sizeof(*b), &total))
			die("out of memory (%zu bytes)", n);
		b = xmalloc(total);
		b->next = a->head;
		b->used = 0;
		b->size = size;
		a->head = b;
	}
	p = b->data + b->used;
	b->used += need;
	return p;
}

char *
arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

void
arena_clear(struct arena *a)
{
	struct arena_block *b = a->head;

	if (!b)
		return;
	while (b->next) {
		struct arena_block *next = b->next;

		b->next = next->next;
		free(next);
	}
	b->used = 0;
}

void
arena_release(struct arena *a)
{
	arena_clear(a);
	free(a->head);
	a->head = NULL;
}
