#include "data/json.h"

#include "base/err.h"
#include "base/file.h"
#include "data/json_check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSMN_STATIC
#define JSMN_PARENT_LINKS /* without them jsmn is quadratic in the siblings of an array */
#include <jsmn.h>

int
json_validate(const char *text, size_t len)
{
	int count;

	return json_check(text, len, &count);
}

/* ---- values ---------------------------------------------------------------------------------- */

int
json_parse(struct json *j, const char *text, size_t len)
{
	jsmn_parser parser;
	jsmntok_t *tok;
	int n;

	*j = (struct json){ .text = text };
	if (json_check(text, len, &n))
		return -1;
	tok = xcalloc((size_t)n, sizeof(*tok));
	jsmn_init(&parser);
	if (jsmn_parse(&parser, text, len, tok, (unsigned)n) != n) {
		free(tok);
		return err("byte 1: not understood");
	}
	j->v = xcalloc((size_t)n, sizeof(*j->v));
	j->n = n;
	for (int i = n - 1; i >= 0; i--) {
		const jsmntok_t *t = &tok[i];
		struct json_val *v = &j->v[i];
		char c = text[t->start];

		v->start = (size_t)t->start;
		v->end = (size_t)t->end;
		v->next = i + 1;
		if (t->type == JSMN_STRING) {
			v->type = JSON_STRING;
		} else if (t->type == JSMN_PRIMITIVE) {
			v->type = c == 'n' ? JSON_NULL :
			    c == 't' || c == 'f' ? JSON_BOOL : JSON_NUMBER;
		} else {
			v->type = t->type == JSMN_OBJECT ? JSON_OBJECT : JSON_ARRAY;
			v->size = t->size;
			for (int k = t->size * (v->type == JSON_OBJECT ? 2 : 1); k > 0; k--)
				v->next = j->v[v->next].next;
		}
	}
	free(tok);
	return 0;
}

void
json_release(struct json *j)
{
	free(j->v);
	*j = (struct json){ 0 };
}

int
json_get(const struct json *j, int obj, const char *key)
{
	int v;

	if (obj < 0 || obj >= j->n || j->v[obj].type != JSON_OBJECT)
		return -1;
	v = obj + 1;
	for (int i = 0; i < j->v[obj].size; i++) {
		struct json_cursor c = { .p = j->text + j->v[v].start,
			.end = j->text + j->v[v].end };
		const char *k = key;
		int b;

		while ((b = json_cursor_next(&c)) >= 0 && b && b == (unsigned char)*k)
			k++;
		if (b < 0 && !*k)
			return v + 1;
		v = j->v[v + 1].next;
	}
	return -1;
}

int
json_at(const struct json *j, int arr, int i)
{
	int v = arr + 1;

	if (arr < 0 || arr >= j->n || j->v[arr].type != JSON_ARRAY || i < 0 || i >= j->v[arr].size)
		return -1;
	while (i-- > 0)
		v = j->v[v].next;
	return v;
}

static bool
is(const struct json *j, int v, enum json_type type)
{
	return v >= 0 && v < j->n && j->v[v].type == type;
}

int
json_num(const struct json *j, int v, double *out)
{
	char buf[64], *copy = buf;
	size_t n;

	if (!is(j, v, JSON_NUMBER))
		return err("not a number");
	n = j->v[v].end - j->v[v].start;
	if (n >= sizeof(buf))
		copy = xmalloc(n + 1);
	memcpy(copy, j->text + j->v[v].start, n);
	copy[n] = '\0';
	*out = strtod(copy, NULL);
	if (copy != buf)
		free(copy);
	return 0;
}

int
json_int(const struct json *j, int v, int64_t *out)
{
	const double limit = 9007199254740992.0; /* 2^53 */
	double x;

	if (json_num(j, v, &x))
		return -1;
	if (x != floor(x) || x < -limit || x > limit)
		return err("not a whole number within 2^53");
	*out = (int64_t)x;
	return 0;
}

int
json_bool(const struct json *j, int v, bool *out)
{
	if (!is(j, v, JSON_BOOL))
		return err("not true or false");
	*out = j->text[j->v[v].start] == 't';
	return 0;
}

/* A member that is there and not null; -1 otherwise. */
static int
member(const struct json *j, int obj, const char *key)
{
	int v = json_get(j, obj, key);

	return v >= 0 && j->v[v].type == JSON_NULL ? -1 : v;
}

int
json_member_int(const struct json *j, int obj, const char *key, int min, int max, int *out)
{
	int v = member(j, obj, key);
	int64_t n;

	if (v < 0)
		return 0;
	if (json_int(j, v, &n) || n < min || n > max)
		return err("%s: want a whole number from %d to %d", key, min, max);
	*out = (int)n;
	return 0;
}

int
json_member_num(const struct json *j, int obj, const char *key, double *out)
{
	int v = member(j, obj, key);

	return v >= 0 && json_num(j, v, out) ? err_prefix("%s", key) : 0;
}

int
json_member_bool(const struct json *j, int obj, const char *key, bool *out)
{
	int v = member(j, obj, key);

	return v >= 0 && json_bool(j, v, out) ? err_prefix("%s", key) : 0;
}

char *
json_str(const struct json *j, int v, struct arena *a)
{
	struct json_cursor c;
	char *s, *p;
	int b;

	if (!is(j, v, JSON_STRING))
		return NULL;
	c = (struct json_cursor){ .p = j->text + j->v[v].start, .end = j->text + j->v[v].end };
	/* escapes only shrink */
	p = s = arena_alloc(a, j->v[v].end - j->v[v].start + 1);
	while ((b = json_cursor_next(&c)) > 0)
		*p++ = (char)b;
	*p = '\0';
	return b ? s : NULL;
}

int
json_read_file(struct json *j, char **text, const char *path)
{
	size_t len;

	*j = (struct json){ 0 };
	*text = NULL;
	if (file_read(path, INT32_MAX, text, &len))
		return -1;
	if (json_parse(j, *text, len)) {
		free(*text);
		*text = NULL;
		return err_prefix("%s", path);
	}
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

void
json_put_str(struct sb *sb, const char *s, size_t len)
{
	const char *end = s + len, *plain = s;

	sb_putc(sb, '"');
	while (s < end) {
		unsigned char c = (unsigned char)*s;
		size_t n = utf8_length(s, end);

		if (n && c >= 0x20 && c != '"' && c != '\\') {
			s += n;
			continue;
		}
		sb_put(sb, plain, (size_t)(s - plain));
		plain = ++s;
		switch (c) {
		case '"':
			sb_puts(sb, "\\\"");
			break;
		case '\\':
			sb_puts(sb, "\\\\");
			break;
		case '\n':
			sb_puts(sb, "\\n");
			break;
		case '\r':
			sb_puts(sb, "\\r");
			break;
		case '\t':
			sb_puts(sb, "\\t");
			break;
		default:
			if (n)
				sb_printf(sb, "\\u%04x", c);
			else
				/* U+FFFD for a byte that is no UTF-8 */
				sb_puts(sb, "\xef\xbf\xbd");
		}
	}
	sb_put(sb, plain, (size_t)(s - plain));
	sb_putc(sb, '"');
}

/* A power of two has twice as much room above it as below, so its shortest decimal may be the one
 * above the nearest of 16 digits. */
static bool
above_power_of_two(char *buf, size_t size, double x)
{
	char *last;
	int e;

	if (fabs(frexp(x, &e)) != 0.5)
		return false;
	snprintf(buf, size, "%.15e", x);
	last = strchr(buf, 'e') - 1;
	if (*last == '9')
		return false;
	++*last;
	return strtod(buf, NULL) == x;
}

void
json_put_num(struct sb *sb, double x)
{
	char buf[40], *e;
	/* Any decimal of 15 digits survives a normal double, so %.15g, which drops zeros at the
	 * end, is the shortest if it survives; subnormals hold fewer digits. */
	int digits = fabs(x) < 1e-307 ? 1 : 15;

	if (!isfinite(x)) {
		sb_puts(sb, "null");
		return;
	}
	do
		snprintf(buf, sizeof(buf), "%.*g", digits++, x);
	while (digits <= 17 && strtod(buf, NULL) != x &&
	    (digits < 17 || !above_power_of_two(buf, sizeof(buf), x)));
	/* 1e+06 and 1e-05 are JSON, but 1e6 and 1e-5 are shorter */
	e = strchr(buf, 'e');
	if (e) {
		char *from = e + 1, *to = e + 1;

		if (*from == '-')
			to++;
		from++;
		while (*from == '0')
			from++;
		memmove(to, from, strlen(from) + 1);
	}
	sb_puts(sb, buf);
}

void
json_put_int(struct sb *sb, int64_t x)
{
	sb_printf(sb, "%" PRId64, x);
}

void
json_add_str(struct sb *sb, const char *key, const char *s)
{
	sb_printf(sb, ",\"%s\":", key);
	json_put_str(sb, s, strlen(s));
}

void
json_add_num(struct sb *sb, const char *key, double x)
{
	sb_printf(sb, ",\"%s\":", key);
	json_put_num(sb, x);
}

void
json_say(struct sb *sb)
{
	sb_puts(sb, "}\n");
	fwrite(sb->s, 1, sb->len, stdout);
	if (fflush(stdout))
		die("standard output:");
	sb_release(sb);
}
