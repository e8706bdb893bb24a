#include "data/rec.h"

#include "base/err.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A getter takes a record that it does not change, yet strings it decodes go to its arena. */
static struct arena *
arena_of(const struct rec *r)
{
	return (struct arena *)&r->mem;
}

/* The next free field, cleared. */
static struct rec_field *
add_field(struct rec *r)
{
	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 16;
		struct rec_field *f = arena_alloc(&r->mem, cap * sizeof(*f));

		if (r->n)
			memcpy(f, r->f, r->n * sizeof(*f));
		r->f = f;
		r->cap = cap;
	}
	r->f[r->n] = (struct rec_field){ 0 };
	return &r->f[r->n++];
}

int
rec_parse(struct rec *r, const char *line, size_t len)
{
	struct json j;
	int v;

	if (len > REC_LINE_MAX)
		return err("line of more than %d MiB", REC_LINE_MAX >> 20);
	if (json_parse(&j, line, len))
		return -1;
	if (j.v[0].type != JSON_OBJECT) {
		err("byte %zu: not a JSON object", j.v[0].start + 1);
		json_release(&j);
		return -1;
	}
	r->line = arena_strndup(&r->mem, line, len);
	r->len = len;
	v = 1;
	for (int i = 0; i < j.v[0].size; i++) {
		struct rec_field *f = add_field(r);
		const struct json_val *k = &j.v[v], *x = &j.v[v + 1];
		bool quoted = x->type == JSON_STRING;

		f->rawkey = r->line + k->start - 1;
		f->rawkeylen = k->end - k->start + 2;
		f->raw = r->line + x->start - quoted;
		f->rawlen = x->end - x->start + 2 * (size_t)quoted;
		f->type = x->type;
		f->key = json_str(&j, v, &r->mem);
		if (!f->key) /* it holds \u0000: no program asks for such a field */
			f->key = arena_strndup(&r->mem, f->rawkey, f->rawkeylen);
		if (!i)
			r->spaced = f->raw > f->rawkey + f->rawkeylen + 1;
		v = x->next;
	}
	json_release(&j);
	return 0;
}

void
rec_clear(struct rec *r)
{
	struct arena mem = r->mem;

	if (r->aside_free)
		r->aside_free(r->aside);
	arena_clear(&mem);
	*r = (struct rec){ .mem = mem };
}

void
rec_release(struct rec *r)
{
	if (r->aside_free)
		r->aside_free(r->aside);
	arena_release(&r->mem);
	*r = (struct rec){ 0 };
}

struct rec_field *
rec_get(const struct rec *r, const char *key)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->f[i].key, key) == 0)
			return &r->f[i];
	return NULL;
}

/* A field's value as a JSON tree of its own; valid, since it was parsed before or set by us. */
static void
parse_field(struct json *j, const struct rec_field *f)
{
	if (json_parse(j, f->raw, f->rawlen))
		die("field %s was set to what is no JSON: %s", f->key, errmsg());
}

static const char *
decoded(const struct rec *r, const struct rec_field *f)
{
	const char *s;
	struct json j;

	if (f->type != JSON_STRING)
		return NULL;
	if (!memchr(f->raw, '\\', f->rawlen))
		return arena_strndup(arena_of(r), f->raw + 1, f->rawlen - 2);
	parse_field(&j, f);
	s = json_str(&j, 0, arena_of(r));
	json_release(&j);
	return s;
}

const char *
rec_str(const struct rec *r, const char *key)
{
	const struct rec_field *f = rec_get(r, key);

	return f ? decoded(r, f) : NULL;
}

int
rec_num(const struct rec *r, const char *key, double *out)
{
	const struct rec_field *f = rec_get(r, key);
	struct json j;
	int ret;

	if (!f || f->type == JSON_NULL)
		return 0;
	parse_field(&j, f);
	ret = json_num(&j, 0, out);
	json_release(&j);
	return ret ? err_prefix("%s", key) : 1;
}

int
rec_int(const struct rec *r, const char *key, int64_t *out)
{
	const struct rec_field *f = rec_get(r, key);
	struct json j;
	int ret;

	if (!f || f->type == JSON_NULL)
		return 0;
	parse_field(&j, f);
	ret = json_int(&j, 0, out);
	json_release(&j);
	return ret ? err_prefix("%s", key) : 1;
}

int
rec_bool(const struct rec *r, const char *key, bool *out)
{
	const struct rec_field *f = rec_get(r, key);

	if (!f || f->type == JSON_NULL)
		return 0;
	if (f->type != JSON_BOOL)
		return err("%s: not true or false", key);
	*out = f->raw[0] == 't';
	return 1;
}

const char *
rec_text(const struct rec *r, const char *key)
{
	const struct rec_field *f = rec_get(r, key);

	if (!f)
		return NULL;
	if (f->type == JSON_STRING)
		return decoded(r, f);
	if (f->type == JSON_NUMBER || f->type == JSON_BOOL)
		return arena_strndup(arena_of(r), f->raw, f->rawlen);
	return NULL;
}

const char *
rec_id(struct rec *r)
{
	const char *id = rec_text(r, "id");
	char buf[40];
	int n;

	if (!id)
		id = rec_text(r, "file_name");
	if (id)
		return id;
	n = snprintf(buf, sizeof(buf), "line %" PRIu64, r->lineno);
	return arena_strndup(&r->mem, buf, (size_t)n);
}

static enum json_type
type_of(char c)
{
	switch (c) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

void
rec_set_raw(struct rec *r, const char *key, const char *json, size_t len)
{
	struct rec_field *f = rec_get(r, key);

	if (!f) {
		f = add_field(r);
		f->key = arena_strndup(&r->mem, key, strlen(key));
	}
	f->raw = arena_strndup(&r->mem, json, len);
	f->rawlen = len;
	f->type = type_of(*f->raw);
	f->changed = true;
	r->changed = true;
}

static void
set_sb(struct rec *r, const char *key, struct sb *sb)
{
	rec_set_raw(r, key, sb->s, sb->len);
	sb_release(sb);
}

void
rec_set_str(struct rec *r, const char *key, const char *value)
{
	struct sb sb = { 0 };

	json_put_str(&sb, value, strlen(value));
	set_sb(r, key, &sb);
}

void
rec_set_int(struct rec *r, const char *key, int64_t value)
{
	struct sb sb = { 0 };

	json_put_int(&sb, value);
	set_sb(r, key, &sb);
}

void
rec_set_num(struct rec *r, const char *key, double value)
{
	struct sb sb = { 0 };

	json_put_num(&sb, value);
	set_sb(r, key, &sb);
}

void
rec_set_bool(struct rec *r, const char *key, bool value)
{
	rec_set_raw(r, key, value ? "true" : "false", value ? 4 : 5);
}

void
rec_del(struct rec *r, const char *key)
{
	struct rec_field *f = rec_get(r, key);

	if (!f)
		return;
	memmove(f, f + 1, (size_t)(r->f + r->n - (f + 1)) * sizeof(*f));
	r->n--;
	r->changed = true;
}

void
rec_write(const struct rec *r, struct sb *sb)
{
	if (r->line && !r->changed) {
		sb_put(sb, r->line, r->len);
		sb_putc(sb, '\n');
		return;
	}
	sb_putc(sb, '{');
	for (size_t i = 0; i < r->n; i++) {
		const struct rec_field *f = &r->f[i];

		if (i)
			sb_put(sb, ", ", r->spaced ? 2 : 1);
		if (f->rawkey && !f->changed) {
			sb_put(sb, f->rawkey, (size_t)(f->raw + f->rawlen - f->rawkey));
			continue;
		}
		if (f->rawkey)
			sb_put(sb, f->rawkey, f->rawkeylen);
		else
			json_put_str(sb, f->key, strlen(f->key));
		sb_put(sb, ": ", r->spaced ? 2 : 1);
		sb_put(sb, f->raw, f->rawlen);
	}
	sb_puts(sb, "}\n");
}

const char *
rec_path(struct rec *r, const char *key)
{
	const char *name = rec_str(r, key);

	if (!name) {
		err(rec_get(r, key) ? "%s: not a string" : "no field %s", key);
		return NULL;
	}
	return rec_path_of(r, name);
}

const char *
rec_path_of(struct rec *r, const char *name)
{
	char *dir, *path;
	struct stat st;

	/* what came through a pipe came from no folder */
	if (*name == '/' || !r->input || strcmp(r->input, "-") == 0 ||
	    (stat(r->input, &st) == 0 && !S_ISREG(st.st_mode)))
		return name;
	dir = path_dir(r->input);
	path = path_join(dir, name);
	name = arena_strndup(&r->mem, path, strlen(path));
	free(dir);
	free(path);
	return name;
}
