#include "data/result.h"

#include "base/err.h"
#include "data/json.h"

#include <math.h>
#include <string.h>

void
result_begin(struct sb *sb, const char *metric)
{
	sb_puts(sb, "{\"kind\": \"result\"");
	result_str(sb, "tool", prog_name());
	result_str(sb, "metric", metric);
}

void
result_str(struct sb *sb, const char *key, const char *value)
{
	if (!value)
		return;
	sb_printf(sb, ", \"%s\": ", key);
	json_put_str(sb, value, strlen(value));
}

void
result_num(struct sb *sb, const char *key, double x)
{
	if (isnan(x))
		return;
	sb_printf(sb, ", \"%s\": ", key);
	json_put_num(sb, x);
}

void
result_put(struct sb *sb, const char *metric, const char *average, const char *label, double value,
    size_t n)
{
	result_begin(sb, metric);
	result_str(sb, "average", average);
	result_str(sb, "label", label);
	sb_puts(sb, ", \"value\": ");
	json_put_num(sb, value);
	sb_printf(sb, ", \"n\": %zu}\n", n);
}
