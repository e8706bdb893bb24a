/* Records: what nobody sets passes unchanged, what is set can be read again, bytes else the
 * same. */
#include "data/rec.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(x) ((x) ? (void)0 : abort())

static void
one_line(const char *line, size_t len)
{
	struct rec r = { 0 }, again = { 0 };
	struct sb sb = { 0 };

	if (rec_parse(&r, line, len) == 0) {
		bool had = rec_get(&r, "set me") != NULL;
		size_t n = r.n;

		rec_write(&r, &sb);
		CHECK(sb.len == len + 1 && memcmp(sb.s, line, len) == 0 && sb.s[len] == '\n');
		rec_id(&r);
		rec_set_str(&r, "set me", "x\"\n\xc3\xa9");
		sb_clear(&sb);
		rec_write(&r, &sb);
		CHECK(rec_parse(&again, sb.s, sb.len - 1) == 0);
		CHECK(again.n == n + !had && r.n == again.n);
		for (size_t i = 0; i < r.n; i++) {
			const struct rec_field *f = &r.f[i], *g = &again.f[i];

			CHECK(f->rawlen == g->rawlen && memcmp(f->raw, g->raw, f->rawlen) == 0);
			CHECK(strcmp(f->key, g->key) == 0 && f->type == g->type);
		}
		CHECK(strcmp(rec_str(&again, "set me"), "x\"\n\xc3\xa9") == 0);
		rec_del(&again, "set me");
		CHECK(!rec_get(&again, "set me"));
	}
	sb_release(&sb);
	rec_release(&r);
	rec_release(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *end = p + size;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = nl ? (size_t)(nl - p) : (size_t)(end - p);

		one_line(p, len);
		p += len + 1;
	}
	return 0;
}
