#include "base/intern.h"

#include "base/err.h"
#include "base/rng.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The slot that holds name, or the free one where it belongs; slots is a power of two. */
static size_t
probe(const struct intern *t, const char *name)
{
	size_t i = (size_t)fnv1a(name, strlen(name)) & (t->slots - 1);

	while (t->slot[i] && strcmp(t->name[t->slot[i] - 1], name) != 0)
		i = (i + 1) & (t->slots - 1);
	return i;
}

int
intern_find(const struct intern *t, const char *name)
{
	return t->slots ? (int)t->slot[probe(t, name)] - 1 : -1;
}

static void
grow(struct intern *t)
{
	t->slots = t->slots ? 2 * t->slots : 64;
	free(t->slot);
	t->slot = xcalloc(t->slots, sizeof(*t->slot));
	for (size_t i = 0; i < t->n; i++)
		t->slot[probe(t, t->name[i])] = (uint32_t)i + 1;
}

int
intern_add(struct intern *t, const char *name)
{
	size_t i;

	if (2 * (t->n + 1) > t->slots)
		grow(t);
	i = probe(t, name);
	if (!t->slot[i]) {
		if (t->n == INT_MAX)
			die("more than %d different names", INT_MAX);
		t->name = xgrow(t->name, &t->cap, t->n + 1, sizeof(*t->name));
		t->name[t->n++] = arena_strndup(&t->mem, name, strlen(name));
		t->slot[i] = (uint32_t)t->n;
	}
	return (int)t->slot[i] - 1;
}

void
intern_release(struct intern *t)
{
	free(t->name);
	free(t->slot);
	arena_release(&t->mem);
	*t = (struct intern){ 0 };
}
