#include "base/words.h"

static void
below_hundred(struct sb *sb, unsigned n)
{
	static const char *const small[] = { "zero", "one", "two", "three", "four", "five", "six",
	    "seven",
		"eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen",
		"sixteen", "seventeen", "eighteen", "nineteen" };
	static const char *const tens[] =
	    { "twenty", "thirty", "forty", "fifty", "sixty", "seventy",
		"eighty", "ninety" };

	if (n < 20) {
		sb_puts(sb, small[n]);
		return;
	}
	sb_puts(sb, tens[n / 10 - 2]);
	if (n % 10)
		sb_printf(sb, "-%s", small[n % 10]);
}

static void
below_thousand(struct sb *sb, unsigned n)
{
	if (n >= 100) {
		below_hundred(sb, n / 100);
		sb_puts(sb, " hundred");
		if (n % 100)
			sb_puts(sb, " and ");
	}
	if (n % 100 || n < 100)
		below_hundred(sb, n % 100);
}

void
number_words(struct sb *sb, uint64_t n)
{
	static const struct { uint64_t size; const char *name; } groups[] = {
		{ 1000000000000000, "quadrillion" }, { 1000000000000, "trillion" },
		    { 1000000000, "billion" },
		{ 1000000, "million" }, { 1000, "thousand" },
	};
	bool any = false;

	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		if (n < groups[i].size)
			continue;
		sb_puts(sb, any ? ", " : "");
		below_thousand(sb, (unsigned)(n / groups[i].size));
		sb_printf(sb, " %s", groups[i].name);
		n %= groups[i].size;
		any = true;
	}
	if (any && n)
		sb_puts(sb, n < 100 ? " and " : ", ");
	if (n || !any)
		below_thousand(sb, (unsigned)n);
}
