#include "data/pack_name.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum pack_kind
pack_ending(const char *name, const char **filter)
{
	static const struct {
		const char *ext;
		enum pack_kind kind;
		const char *filter;
	} endings[] = {
		{ ".tar", PACK_TAR, NULL },
		{ ".tar.gz", PACK_TAR, "gzip" },
		{ ".tgz", PACK_TAR, "gzip" },
		{ ".tar.xz", PACK_TAR, "xz" },
		{ ".txz", PACK_TAR, "xz" },
		{ ".tar.zst", PACK_TAR, "zstd" },
		{ ".zip", PACK_ZIP, NULL },
	};
	size_t n = strlen(name);

	*filter = NULL;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t m = strlen(endings[i].ext);

		if (n < m || strcmp(name + n - m, endings[i].ext) != 0)
			continue;
		*filter = endings[i].filter;
		return endings[i].kind;
	}
	return PACK_FOLDER;
}

bool
pack_is_pattern(const char *name)
{
	return strchr(path_base(name), '%') != NULL;
}

char *
pack_pattern_name(const char *pattern, uint64_t k)
{
	struct sb sb = { 0 };
	const char *p = path_base(pattern);
	int numbers = 0;

	sb_put(&sb, pattern, (size_t)(p - pattern));
	for (; *p; p++) {
		bool zeros;
		int width = 0;

		if (*p != '%') {
			sb_putc(&sb, *p);
			continue;
		}
		if (*++p == '%') {
			sb_putc(&sb, '%');
			continue;
		}
		zeros = *p == '0';
		while (isdigit((unsigned char)*p) && width < 10)
			width = 10 * width + (*p++ - '0');
		if (*p != 'd' || width > 20) {
			sb_release(&sb);
			err("%s: only %%d, perhaps with a width as in %%06d, can stand for "
			    "the number", pattern);
			return NULL;
		}
		sb_printf(&sb, zeros ? "%0*" PRIu64 : "%*" PRIu64, width, k);
		numbers++;
	}
	if (numbers == 1)
		return sb.s;
	sb_release(&sb);
	err("%s: wants one %%d for the number", pattern);
	return NULL;
}

char *
pack_name_take(struct pack_names *t, const char *prefix, const char *stem, const char *ext)
{
	char *name = xasprintf("%s%s%s", prefix, stem, ext);
	size_t before = t->seen.n, first;

	first = (size_t)intern_add(&t->seen, name);
	for (;;) {
		if (t->seen.n > before) {
			/* this one was free */
			size_t cap = t->cap;

			t->next = xgrow(t->next, &t->cap, t->seen.n, sizeof(*t->next));
			memset(t->next + cap, 0, (t->cap - cap) * sizeof(*t->next));
			return name;
		}
		if (!t->next[first])
			t->next[first] = 2;
		free(name);
		name = xasprintf("%s%s-%" PRIu32 "%s", prefix, stem, t->next[first]++, ext);
		intern_add(&t->seen, name);
	}
}

void
pack_names_release(struct pack_names *t)
{
	intern_release(&t->seen);
	free(t->next);
	*t = (struct pack_names){ 0 };
}
