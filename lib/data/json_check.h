/* The validator behind json_parse(), for lib/data/json.c and its like. */
#ifndef DATA_JSON_CHECK_H
#define DATA_JSON_CHECK_H

#include <stddef.h>

/* Checks all of text; *count: its values, keys among them. 0, or -1 with "byte N: why". */
int json_check(const char *text, size_t len, int *count);

/* Length of the UTF-8 sequence at p (p < end), 0 if it is none. */
size_t utf8_length(const char *p, const char *end);

/* Reads a string that was checked, byte by byte, escapes resolved. Start it with p and end. */
struct json_cursor {
	const char *p, *end;
	char out[4];
	size_t n, at;
};
int json_cursor_next(struct json_cursor *); /* -1 at the closing quote or end */

#endif
