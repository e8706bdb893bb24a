#include "data/template.h"

#include "base/err.h"
#include "base/words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum change { AS_IS, LOWER, CAPITAL, WORDS };

struct template_part {
	char *text;         /* literal, or the field's name */
	bool field;
	enum change change;
};

/* NSW's descriptions of images, its prompts and the prompt of its prior; MEP's prompts. */
static const char *const presets[][2] = {
	{ "nsw", "a microscopic image of a human embryo at phase {phase}" },
	{ "nsw-planes",
	    "a microscopic image of a human embryo at phase {phase} recorded at focal plane "
	    "{focal_plane}" },
	{ "nsw-gray", "a grayscale microscopic image of human embryo at phase {phase}" },
	{ "nsw-class", "a grayscale microscopic image of a human embryo" },
	{ "mep-histo", "Histology image of [LABEL] tissue, morphology type [MEP-CLUSTER-INDEX]" },
	{ "mep-cxr", "Chest X-Ray image with morphology type [MEP-CLUSTER-INDEX]" },
	{ "mep-baseline", "Histology image of [LABEL] tissue" },
};

const char *
template_preset(const char *name)
{
	for (size_t i = 0; i < sizeof(presets) / sizeof(*presets); i++)
		if (strcmp(name, presets[i][0]) == 0)
			return presets[i][1];
	return NULL;
}

static void
add(struct template *t, const char *s, size_t n, bool field, enum change change)
{
	t->part = xgrow(t->part, &t->cap, t->n + 1, sizeof(*t->part));
	t->part[t->n++] = (struct template_part){ xstrndup(s, n), field, change };
}

/* What stands between braces. */
static int
add_field(struct template *t, const char *s, size_t n)
{
	static const char *const word[] = { "", ":lower", ":capital", ":words" };
	const char *colon = memchr(s, ':', n);
	size_t name = colon ? (size_t)(colon - s) : n;

	if (!name)
		return err("template: a field without a name");
	for (int c = 0; c < 4; c++)
		if (strlen(word[c]) == n - name && strncmp(word[c], s + name, n - name) == 0) {
			add(t, s, name, true, (enum change)c);
			return 0;
		}
	return err("template: %.*s: want :lower, :capital or :words", (int)n, s);
}

int
template_parse(struct template *t, const char *text)
{
	static const struct { const char *word, *field; enum change change; } named[] = {
		{ "[LABEL]", "label", LOWER }, { "[MEP-CLUSTER-INDEX]", "cluster", WORDS },
	};
	const char *s = text;

	*t = (struct template){ .text = xstrdup(text) };
	while (*s) {
		size_t n = strcspn(s, "{}["), k;
		const char *end;

		if (n) {
			add(t, s, n, false, AS_IS);
			s += n;
			continue;
		}
		if (*s == '[') {
			for (k = 0; k < 2 && strncmp(s, named[k].word, strlen(named[k].word)) != 0;
			     k++)
				;
			if (k < 2)
				add(t, named[k].field, strlen(named[k].field), true,
				    named[k].change);
			else
				add(t, s, 1, false, AS_IS);
			s += k < 2 ? strlen(named[k].word) : 1;
			continue;
		}
		if (s[0] == s[1]) {
			add(t, s, 1, false, AS_IS);
			s += 2;
			continue;
		}
		end = *s == '{' ? strchr(s, '}') : NULL;
		if (!end)
			return err("template: '%s': a brace without its other", text);
		if (add_field(t, s + 1, (size_t)(end - s - 1)))
			return -1;
		s = end + 1;
	}
	return t->n ? 0 : err("template: an empty one");
}

void
template_release(struct template *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->part[i].text);
	free(t->part);
	free(t->text);
	*t = (struct template){ 0 };
}

static int
put_field(const struct template_part *p, const char *value, struct sb *sb)
{
	size_t from = sb->len;
	int64_t n;

	if (p->change == WORDS) {
		if (parse_int(value, 0, INT64_C(1) << 53, &n))
			return err("%s: %s: %s", p->text, value, errmsg());
		number_words(sb, (uint64_t)n);
		return 0;
	}
	sb_puts(sb, value);
	for (size_t i = from; i < sb->len; i++)
		if (p->change == LOWER || (p->change == CAPITAL && i > from))
			sb->s[i] = (char)tolower((unsigned char)sb->s[i]);
		else if (p->change == CAPITAL)
			sb->s[i] = (char)toupper((unsigned char)sb->s[i]);
	return 0;
}

int
template_fill(const struct template *t, const struct rec *r, struct sb *sb)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct template_part *p = &t->part[i];
		const char *value;

		if (!p->field) {
			sb_puts(sb, p->text);
			continue;
		}
		value = rec_text(r, p->text);
		if (!value)
			return err("no %s, which the prompt names", p->text);
		if (put_field(p, value, sb))
			return -1;
	}
	return 0;
}
