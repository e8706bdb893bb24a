/*
 * Strict JSON (RFC 8259, UTF-8): a validator before jsmn, which alone accepts much that is not
 * JSON. Refused besides syntax errors: invalid UTF-8, duplicate keys in an object, lone surrogates,
 * control characters in strings, a second root, nesting deeper than 64, numbers that overflow a
 * double.
 *
 *	struct json j;
 *	if (json_parse(&j, text, len)) return -1;
 *	int v = json_get(&j, 0, "loss");            index of a value, -1 if absent
 *	double x; if (v >= 0 && json_num(&j, v, &x)) ...
 *	json_release(&j);
 */
#ifndef DATA_JSON_H
#define DATA_JSON_H

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_val {
	enum json_type type;
	size_t start, end; /* bytes in text; strings without their quotes */
	int size;          /* elements of an array, pairs of an object */
	int next;          /* index just after this value and all inside it */
};

/* Values in document order: an object is followed by key, value, key, value...; value 0 is the
 * root. */
struct json {
	const char *text; /* borrowed */
	struct json_val *v;
	int n;
};

/* 0, or -1 with "byte N: why", N from 1. The text must outlive the json. */
int json_parse(struct json *, const char *text, size_t len);
/* Only checks; allocates nothing for objects of up to 128 keys. */
int json_validate(const char *text, size_t len);
void json_release(struct json *);

/* Member of an object; -1 if it has none (or obj is no object). */
int json_get(const struct json *, int obj, const char *key);
/* Element i of an array; walks, so loop with v[x].next instead where it matters. -1 if absent. */
int json_at(const struct json *, int arr, int i);
/* Values as C: 0, or -1 with a message when the type differs. */
int json_num(const struct json *, int v, double *out);
int json_int(const struct json *, int v, int64_t *out); /* whole and within +-2^53 */
int json_bool(const struct json *, int v, bool *out);
/* Decoded (escapes resolved), NUL-terminated, in the arena; NULL if not a string. Strings that hold
 * \u0000 are refused: NULL. */
char *json_str(const struct json *, int v, struct arena *);
/* Members of a configuration: one that is absent or null leaves *out as it is. 0, or -1 with "key:
 * why". */
int json_member_int(const struct json *, int obj, const char *key, int min, int max, int *out);
int json_member_num(const struct json *, int obj, const char *key, double *out);
int json_member_bool(const struct json *, int obj, const char *key, bool *out);
/* Reads a whole file and parses it; *text is to be freed after json_release. */
int json_read_file(struct json *, char **text, const char *path);

/* Are these bytes UTF-8? */
bool utf8_valid(const char *s, size_t len);

/* Writing: values are appended to an sb. Bytes that are no UTF-8 become U+FFFD. */
void json_put_str(struct sb *, const char *s, size_t len); /* with quotes and escapes */
/* Shortest decimal that reads back as the same double; "null" for NaN and infinities. */
void json_put_num(struct sb *, double x);
void json_put_int(struct sb *, int64_t x);
/* A member after others of an object: ,"key":value. */
void json_add_str(struct sb *, const char *key, const char *s);
void json_add_num(struct sb *, const char *key, double x);
/* Ends an object, writes it to standard output as a line, at once, and releases sb. Dies if it
 * cannot be written. */
void json_say(struct sb *);

#endif
