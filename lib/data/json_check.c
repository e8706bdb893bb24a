#include "data/json_check.h"

#include "base/err.h"
#include "base/mem.h"
#include "data/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_DEPTH = 64,
	FEW_KEYS = 16, /* objects of at most so many are searched for duplicates, others sorted */
	ON_STACK = 128
};

struct key {
	uint64_t hash;
	const char *s; /* after the opening quote */
};

struct scan {
	const char *text, *p, *end;
	int depth;
	int count; /* values, keys among them, as jsmn counts its tokens */
	struct key *key;
	size_t nkey, capkey;
	struct key first[ON_STACK]; /* key points here until it is full */
};

static int
wrong(const struct scan *s, const char *at, const char *why)
{
	return err("byte %zu: %s", (size_t)(at - s->text) + 1, why);
}

static void
blanks(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

/* The ranges are those of table 3-7 of Unicode. */
size_t
utf8_length(const char *text, const char *end)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t left = (size_t)(end - text);
	unsigned lo = 0x80, hi = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		lo = 0xa0; /* else overlong */
	else if (p[0] == 0xed)
		hi = 0x9f; /* else a surrogate */
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f; /* else above U+10FFFF */
	if (left < n || p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return n;
}

bool
utf8_valid(const char *s, size_t len)
{
	const char *end = s + len;

	while (s < end) {
		size_t n = utf8_length(s, end);

		if (!n)
			return false;
		s += n;
	}
	return true;
}

/* Four hex digits; -1 if they are none. */
static int
hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int c = p[i];

		if (c >= '0' && c <= '9')
			v = v * 16 + c - '0';
		else if (c >= 'a' && c <= 'f')
			v = v * 16 + c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			v = v * 16 + c - 'A' + 10;
		else
			return -1;
	}
	return v;
}

static size_t
utf8_put(char out[4], uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

int
json_cursor_next(struct json_cursor *c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	uint32_t u;

	if (c->at < c->n)
		return (unsigned char)c->out[c->at++];
	if (c->p == c->end || *c->p == '"')
		return -1;
	if (*c->p != '\\')
		return (unsigned char)*c->p++;
	if (c->p[1] != 'u') {
		c->p += 2;
		return to[strchr(from, c->p[-1]) - from];
	}
	u = (uint32_t)hex4(c->p + 2, c->end);
	c->p += 6;
	if (u >= 0xd800 && u < 0xdc00) {
		u = 0x10000 + ((u - 0xd800) << 10) + ((uint32_t)hex4(c->p + 2, c->end) - 0xdc00);
		c->p += 6;
	}
	c->n = utf8_put(c->out, u);
	c->at = 1;
	return (unsigned char)c->out[0];
}

/* The escape at s->p, which is a backslash. */
static int
escape(struct scan *s)
{
	const char *at = s->p;
	int c;

	if (s->end - at < 2)
		return wrong(s, at, "string without end");
	if (at[1] != 'u') {
		if (!at[1] || !strchr("\"\\/bfnrt", at[1]))
			return wrong(s, at, "unknown escape in a string");
		s->p += 2;
		return 0;
	}
	c = hex4(at + 2, s->end);
	if (c < 0)
		return wrong(s, at, "\\u wants four hex digits");
	s->p += 6;
	if (c < 0xd800 || c > 0xdfff)
		return 0;
	if (c < 0xdc00 && s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u') {
		c = hex4(s->p + 2, s->end);
		if (c >= 0xdc00 && c <= 0xdfff) {
			s->p += 6;
			return 0;
		}
	}
	return wrong(s, at, "lone surrogate");
}

/* The string whose opening quote is at s->p. */
static int
string(struct scan *s)
{
	const char *open = s->p++;

	s->count++;
	while (s->p < s->end) {
		unsigned char c = (unsigned char)*s->p;

		if (c == '"') {
			s->p++;
			return 0;
		}
		if (c == '\\') {
			if (escape(s))
				return -1;
		} else if (c < 0x20) {
			return wrong(s, s->p, "control character in a string");
		} else if (c < 0x80) {
			s->p++;
		} else {
			size_t n = utf8_length(s->p, s->end);

			if (!n)
				return wrong(s, s->p, "invalid UTF-8");
			s->p += n;
		}
	}
	return wrong(s, open, "string without end");
}

/* Does the number p..end, well formed and with its leading digit's decimal exponent above 300,
 * overflow a double? The limit has 309 digits, so 800 decide. */
static bool
overflows(const char *p, const char *end, int64_t exponent)
{
	char buf[840];
	size_t n = 0;

	if (exponent > 308)
		return true;
	for (; p < end && *p != 'e' && *p != 'E' && n < 800; p++) {
		if (*p == '-' || *p == '.' || (!n && *p == '0'))
			continue;
		buf[n++] = *p;
		if (n == 1)
			buf[n++] = '.';
	}
	snprintf(buf + n, sizeof(buf) - n, "e%d", (int)exponent);
	return isinf(strtod(buf, NULL));
}

static const char *
digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static int
number(struct scan *s)
{
	const char *start = s->p, *p = start, *whole, *lead = NULL, *point = NULL;
	int64_t e = 0;
	bool minus = false;

	s->count++;
	if (*p == '-')
		p++;
	whole = p;
	p = digits(p, s->end);
	if (p == whole)
		return wrong(s, start, "not a value");
	if (*whole == '0' && p - whole > 1)
		return wrong(s, start, "number with a leading zero");
	point = p;
	if (p < s->end && *p == '.') {
		const char *q = digits(p + 1, s->end);

		if (q == p + 1)
			return wrong(s, start, "number without digits after its point");
		p = q;
	}
	for (const char *q = whole; q < p && !lead; q++)
		if (*q >= '1' && *q <= '9')
			lead = q;
	if (p < s->end && (*p == 'e' || *p == 'E')) {
		const char *q;

		p++;
		if (p < s->end && (*p == '+' || *p == '-'))
			minus = *p++ == '-';
		q = digits(p, s->end);
		if (q == p)
			return wrong(s, start, "number without digits in its exponent");
		for (; p < q; p++)
			if (e < INT64_C(1000000000000000))
				e = e * 10 + (*p - '0');
	}
	s->p = p;
	e = (minus ? -e : e) + (lead ? (lead < point ? point - lead - 1 : point - lead) : 0);
	if (lead && e > 300 && overflows(start, p, e))
		return wrong(s, start, "number too large");
	return 0;
}

static int
word(struct scan *s, const char *w)
{
	size_t n = strlen(w);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, w, n) != 0)
		return wrong(s, s->p, "not a value");
	s->p += n;
	s->count++;
	return 0;
}

/* FNV-1a of what a key's characters mean; s is just after its opening quote. */
static uint64_t
key_hash(const char *s, const char *end)
{
	struct json_cursor c = { .p = s, .end = end };
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	int b;

	while ((b = json_cursor_next(&c)) >= 0)
		h = (h ^ (uint64_t)b) * UINT64_C(0x100000001b3);
	return h;
}

/* Some order of keys in which only equal ones are equal; within those, that of the text. */
static int
key_order(const void *va, const void *vb)
{
	const struct key *a = va, *b = vb;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return (a->s > b->s) - (a->s < b->s);
}

static bool
key_same(const struct key *a, const struct key *b, const char *end)
{
	struct json_cursor ca = { .p = a->s, .end = end }, cb = { .p = b->s, .end = end };
	int x, y;

	if (a->hash != b->hash)
		return false;
	do {
		x = json_cursor_next(&ca);
		y = json_cursor_next(&cb);
	} while (x == y && x >= 0);
	return x == y;
}

/* Notes a key of the object whose keys begin at s->key[first]; refuses a second one of its name. */
static int
key_add(struct scan *s, size_t first, const char *text)
{
	struct key k = { key_hash(text, s->end), text };

	if (s->nkey - first < FEW_KEYS)
		for (size_t i = first; i < s->nkey; i++)
			if (key_same(&s->key[i], &k, s->end))
				return wrong(s, text - 1, "duplicate key");
	if (s->nkey == s->capkey) {
		if (s->key == s->first) {
			s->key = xmalloc(2 * sizeof(s->first));
			memcpy(s->key, s->first, sizeof(s->first));
			s->capkey = 2 * ON_STACK;
		} else {
			s->key = xgrow(s->key, &s->capkey, s->nkey + 1, sizeof(*s->key));
		}
	}
	s->key[s->nkey++] = k;
	return 0;
}

/* At the end of an object: looks for equal keys if there are too many for key_add to have done
 * so. */
static int
keys_done(struct scan *s, size_t first)
{
	struct key *k = s->key + first;
	size_t n = s->nkey - first;

	s->nkey = first;
	if (n <= FEW_KEYS)
		return 0;
	qsort(k, n, sizeof(*k), key_order);
	for (size_t i = 1; i < n; i++)
		for (size_t j = i; j > 0 && k[j - 1].hash == k[i].hash; j--)
			if (key_same(&k[j - 1], &k[i], s->end))
				return wrong(s, k[i].s - 1, "duplicate key");
	return 0;
}

static int value(struct scan *s);

static int
object(struct scan *s)
{
	size_t first = s->nkey;

	s->p++;
	s->count++;
	blanks(s);
	if (s->p < s->end && *s->p == '}') {
		s->p++;
		return 0;
	}
	for (;;) {
		const char *k;

		blanks(s);
		if (s->p == s->end || *s->p != '"')
			return wrong(s, s->p, "want a key in quotes");
		k = s->p + 1;
		if (string(s) || key_add(s, first, k))
			return -1;
		blanks(s);
		if (s->p == s->end || *s->p != ':')
			return wrong(s, s->p, "want ':' after a key");
		s->p++;
		if (value(s))
			return -1;
		blanks(s);
		if (s->p < s->end && *s->p == ',') {
			s->p++;
			continue;
		}
		if (s->p == s->end || *s->p != '}')
			return wrong(s, s->p, "want ',' or '}'");
		s->p++;
		return keys_done(s, first);
	}
}

static int
array(struct scan *s)
{
	s->p++;
	s->count++;
	blanks(s);
	if (s->p < s->end && *s->p == ']') {
		s->p++;
		return 0;
	}
	for (;;) {
		if (value(s))
			return -1;
		blanks(s);
		if (s->p < s->end && *s->p == ',') {
			s->p++;
			continue;
		}
		if (s->p == s->end || *s->p != ']')
			return wrong(s, s->p, "want ',' or ']'");
		s->p++;
		return 0;
	}
}

/* One value, blanks before it. */
static int
value(struct scan *s)
{
	int ret;

	blanks(s);
	if (s->p == s->end)
		return wrong(s, s->p, "ends too early");
	switch (*s->p) {
	case '{':
	case '[':
		if (s->depth == MAX_DEPTH)
			return wrong(s, s->p, "nested too deeply");
		s->depth++;
		ret = *s->p == '{' ? object(s) : array(s);
		s->depth--;
		return ret;
	case '"':
		return string(s);
	case 't':
		return word(s, "true");
	case 'f':
		return word(s, "false");
	case 'n':
		return word(s, "null");
	default:
		return number(s);
	}
}

int
json_check(const char *text, size_t len, int *count)
{
	struct scan s = { .text = text, .p = text, .end = text + len, .capkey = ON_STACK };
	int ret;

	/* jsmn counts bytes in an int */
	if (len > INT32_MAX)
		return err("JSON of more than 2 GiB");
	s.key = s.first;
	ret = value(&s);
	if (!ret) {
		blanks(&s);
		if (s.p != s.end)
			ret = wrong(&s, s.p, "something after the end of the value");
	}
	if (s.key != s.first)
		free(s.key);
	*count = s.count;
	return ret;
}
