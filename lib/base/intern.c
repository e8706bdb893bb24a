#include "base/intern.h"

#include "base/err.h"
#include "base/opt.h"
#include "base/rng.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
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

int
intern_list(struct intern *in, const char *list, int64_t most)
{
	int64_t n;

	if (!parse_int(list, 1, most, &n)) {
		for (int64_t k = 0; k < n; k++) {
			char name[24];

			snprintf(name, sizeof(name), "%" PRId64, k);
			intern_add(in, name);
		}
		return 0;
	}
	if (!strchr(list, ','))
		return err("%s: neither a number nor names", list);
	for (const char *s = list;; s++) {
		size_t len = strcspn(s, ",");
		char *name = xstrndup(s, len);
		bool fresh = intern_find(in, name) < 0;

		intern_add(in, name);
		free(name);
		if (!len || !fresh)
			return err("%s: %.*s is %s", list, (int)len, s, len ? "there twice"
			    : "an empty name");
		if ((int64_t)in->n > most)
			return err("%s: more than %" PRId64 " names", list, most);
		s += len;
		if (!*s)
			return 0;
	}
}

void
intern_release(struct intern *t)
{
	free(t->name);
	free(t->slot);
	arena_release(&t->mem);
	*t = (struct intern){ 0 };
}
