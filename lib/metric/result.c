#include "metric/result.h"

#include "base/err.h"
#include "base/file.h"
#include "data/csv.h"
#include "data/json.h"
#include "metric/confusion.h"

#include <string.h>

static void
put_name(struct sb *sb, const char *key, const char *value)
{
	if (!value)
		return;
	sb_printf(sb, ", \"%s\": ", key);
	json_put_str(sb, value, strlen(value));
}

void
result_put(struct sb *sb, const char *metric, const char *average, const char *label, double value,
    size_t n)
{
	sb_puts(sb, "{\"kind\": \"result\"");
	put_name(sb, "tool", prog_name());
	put_name(sb, "metric", metric);
	put_name(sb, "average", average);
	put_name(sb, "label", label);
	sb_puts(sb, ", \"value\": ");
	json_put_num(sb, value);
	sb_printf(sb, ", \"n\": %zu}\n", n);
}

int
result_matrix(const char *path, const char *const *name, int n, const int64_t *m, bool shares)
{
	struct confusion c = { n, (int64_t *)m };
	struct sb sb = { 0 };
	int rc;

	for (int k = 0; k < n; k++) {
		sb_puts(&sb, k ? "," : "");
		csv_put(&sb, name[k], strlen(name[k]), ',');
	}
	sb_putc(&sb, '\n');
	for (int i = 0; i < n * n; i++) {
		if (shares)
			json_put_num(&sb, confusion_share(&c, i / n, i % n));
		else
			json_put_int(&sb, m[i]);
		sb_putc(&sb, i % n == n - 1 ? '\n' : ',');
	}
	rc = file_write(path, sb.s, sb.len);
	sb_release(&sb);
	return rc;
}
