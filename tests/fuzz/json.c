/* JSON: what is accepted makes a tree that holds together, and its values can be written again. */
#include "data/json.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(x) ((x) ? (void)0 : abort())

/* A string's value written and read is the same. */
static void
string_again(const char *s)
{
	struct arena a = { 0 };
	struct sb sb = { 0 };
	struct json j;
	const char *again;

	json_put_str(&sb, s, strlen(s));
	CHECK(json_parse(&j, sb.s, sb.len) == 0);
	again = json_str(&j, 0, &a);
	CHECK(again && strcmp(again, s) == 0);
	json_release(&j);
	sb_release(&sb);
	arena_release(&a);
}

static void
number_again(double x)
{
	struct sb sb = { 0 };
	struct json j;
	double y;

	CHECK(isfinite(x));
	json_put_num(&sb, x);
	CHECK(json_parse(&j, sb.s, sb.len) == 0 && json_num(&j, 0, &y) == 0);
	CHECK(memcmp(&x, &y, sizeof(x)) == 0);
	json_release(&j);
	sb_release(&sb);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct arena a = { 0 };
	struct json j;

	CHECK((json_validate(text, size) == 0) == (json_parse(&j, text, size) == 0));
	for (int v = 0; v < j.n; v++) {
		const struct json_val *x = &j.v[v];
		int next = v + 1, step = x->type == JSON_OBJECT ? 2 : 1;

		CHECK(x->start <= x->end && x->end <= size && x->next > v && x->next <= j.n);
		if (x->type == JSON_ARRAY || x->type == JSON_OBJECT) {
			for (int i = 0; i < x->size * step; i++) {
				CHECK(next < x->next && j.v[next].start >= x->start &&
				    j.v[next].end <= x->end);
				next = j.v[next].next;
			}
		}
		CHECK(next == x->next);
		if (x->type == JSON_OBJECT) {
			next = v + 1;
			for (int i = 0; i < x->size; i++) {
				char *key = json_str(&j, next, &a);

				CHECK(j.v[next].type == JSON_STRING);
				/* the first key of its name: names are unique */
				CHECK(!key || json_get(&j, v, key) == next + 1);
				next = j.v[next + 1].next;
			}
		}
		if (x->type == JSON_STRING) {
			char *s = json_str(&j, v, &a);

			if (s)
				string_again(s);
		}
		if (x->type == JSON_NUMBER) {
			double num;

			CHECK(json_num(&j, v, &num) == 0);
			number_again(num);
		}
	}
	json_release(&j);
	arena_release(&a);
	return 0;
}
