#include "data/columns.h"

#include "base/err.h"
#include "data/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void
names_add(struct names *l, const char *s, size_t len)
{
	l->s = xgrow(l->s, &l->cap, l->n + 1, sizeof(*l->s));
	l->s[l->n++] = xstrndup(s, len);
}

size_t
names_find(const struct names *l, const char *s)
{
	size_t i = 0;

	while (i < l->n && strcmp(l->s[i], s) != 0)
		i++;
	return i;
}

void
names_release(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->s[i]);
	free(l->s);
	*l = (struct names){ 0 };
}

/* Two columns of one name would make a record with the same key twice. */
static int
names_unique(const struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (names_find(l, l->s[i]) < i)
			return err("two columns are called %s", l->s[i]);
	return 0;
}

int
names_split(struct names *l, const char *list)
{
	for (const char *p = list; p; p = *p ? p + 1 : NULL) {
		size_t len = strcspn(p, ",");

		if (!len)
			return err("an empty name in '%s'", list);
		names_add(l, p, len);
		p += len;
	}
	return names_unique(l);
}

/* ---------------------------------------------------------------------------------------------- */

static int
from_header(struct columns *c, char **cell, const size_t *len, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *name = len[i] ? xstrndup(cell[i], len[i]) : xasprintf("column_%zu", i + 1);

		names_add(&c->all, name, strlen(name));
		free(name);
		if (strlen(cell[i]) != len[i] || !utf8_valid(cell[i], len[i]))
			return err("the name of column %zu is not UTF-8 text", i + 1);
	}
	return names_unique(&c->all);
}

/* All of the list must be columns. */
static int
all_known(const struct columns *c, const struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (names_find(&c->all, l->s[i]) == c->all.n)
			return err("no column %s", l->s[i]);
	return 0;
}

int
columns_learn(struct columns *c, const struct columns_opts *o, char **cell, const size_t *len,
    size_t n)
{
	struct sb sb = { 0 };

	c->known = true;
	if (!o->no_header) {
		if (from_header(c, cell, len, n))
			return -1;
	} else {
		for (size_t i = 0; i < o->fields.n; i++)
			names_add(&c->all, o->fields.s[i], strlen(o->fields.s[i]));
	}
	if (all_known(c, &o->fields) || all_known(c, &o->text))
		return -1;
	c->text = xcalloc(c->all.n, sizeof(*c->text));
	c->pick = xcalloc(c->all.n, sizeof(*c->pick));
	c->npick = o->fields.n ? o->fields.n : c->all.n;
	for (size_t i = 0; i < c->npick; i++)
		c->pick[i] = o->fields.n ? names_find(&c->all, o->fields.s[i]) : i;
	for (size_t i = 0; i < c->all.n; i++) {
		sb_clear(&sb);
		json_put_str(&sb, c->all.s[i], strlen(c->all.s[i]));
		sb_putc(&sb, ':');
		names_add(&c->key, sb.s, sb.len);
		c->text[i] = names_find(&o->text, c->all.s[i]) < o->text.n;
	}
	sb_release(&sb);
	return 0;
}

int
columns_check(const struct columns *c, char **cell, const size_t *len, size_t n)
{
	if (n != c->all.n)
		return err("%zu cells for %zu columns", n, c->all.n);
	for (size_t i = 0; i < n; i++)
		if (!utf8_valid(cell[i], len[i]))
			return err("%s is not UTF-8", c->all.s[i]);
	return 0;
}

static bool
is_number(const char *s, size_t len)
{
	if (!len || (*s != '-' && (*s < '0' || *s > '9')) || json_validate(s, len))
		return false;
	/* JSON may have blanks behind it, a number not */
	if (s[len - 1] < '0' || s[len - 1] > '9')
		return false;
	return strpbrk(s, ".eE") || fabs(strtod(s, NULL)) < 9007199254740992.0;
}

void
columns_put(struct sb *sb, const struct columns *c, const struct columns_opts *o, size_t col,
    const char *cell, size_t len)
{
	if (o->numbers && !c->text[col] && is_number(cell, len))
		sb_put(sb, cell, len);
	else
		json_put_str(sb, cell, len);
}

void
columns_release(struct columns *c)
{
	names_release(&c->all);
	names_release(&c->key);
	free(c->text);
	free(c->pick);
	*c = (struct columns){ 0 };
}
