#include "data/split_keep.h"

#include "base/err.h"

static bool
in_part(const struct split_item *it, void *part)
{
	return it->part == *(const int *)part;
}

void
split_keep_part(struct split_set *s, int part)
{
	split_keep(s, in_part, &part);
}

static bool
has_part(const struct split_item *it, void *ctx)
{
	(void)ctx;
	return it->part >= 0 || it->generated;
}

void
split_keep_parts(struct split_set *s)
{
	split_keep(s, has_part, NULL);
}

int
split_want(struct split_wanted *w, const char *name, struct intern *t, int (*known)(const char *))
{
	if (w->n == SPLIT_WANTED)
		return err("more than %d names", w->n);
	if (intern_find(t, name) < 0 && known(name) < 0)
		return -1;
	w->v[w->n++] = intern_add(t, name);
	return 0;
}

static bool
is_wanted(const struct split_wanted *w, int number)
{
	for (int i = 0; i < w->n; i++)
		if (number == w->v[i])
			return true;
	return false;
}

static bool
phase_wanted(const struct split_item *it, void *w)
{
	return is_wanted(w, it->phase);
}

void
split_keep_phases(struct split_set *s, const struct split_wanted *w)
{
	split_keep(s, phase_wanted, (void *)w);
}

static bool
plane_wanted(const struct split_item *it, void *w)
{
	return is_wanted(w, it->plane);
}

void
split_keep_planes(struct split_set *s, const struct split_wanted *w)
{
	split_keep(s, plane_wanted, (void *)w);
}
