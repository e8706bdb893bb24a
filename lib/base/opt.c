#include "base/opt.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONG_BASE = 256, LONG_HELP = 100000, LONG_VERSION };

/* rows whose option was given */
static const struct opt **said;
static size_t nsaid, capsaid;

void
usage_error(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", prog_name());
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see %s --help\n", prog_name());
	exit(EXIT_FATAL);
}

int
parse_int(const char *s, int64_t min, int64_t max, int64_t *out)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(s, &end, 10);
	if (end == s || *end || *s == ' ')
		return err("'%s' is not a whole number", s);
	if (errno || v < min || v > max)
		return err("'%s' is not in %" PRId64 " to %" PRId64, s, min, max);
	*out = v;
	return 0;
}

int
parse_float(const char *s, double min, double max, double *out)
{
	char *end;
	double v;

	errno = 0;
	v = strtod(s, &end);
	if (end == s || *end || *s == ' ' || !isfinite(v))
		return err("'%s' is not a number", s);
	if (v < min || v > max)
		return err("'%s' is not in %g to %g", s, min, max);
	*out = v;
	return 0;
}

static int
parse_size(const char *s, int64_t min, int64_t max, int64_t *out)
{
	static const char units[] = "KMGT";
	char *end;
	double v = strtod(s, &end);
	const char *u = *end ? strchr(units, *end >= 'a' ? *end - 32 : *end) : NULL;

	if (end == s || *s == ' ' || !isfinite(v) || (*end && (!u || end[1])))
		return err("'%s' is not a size (a number, then K, M, G or T)", s);
	for (; u && u >= units; u--)
		v *= 1024;
	if (v < (double)min || v > (double)max || v > 9e18)
		return err("'%s' is not in %" PRId64 " to %" PRId64 " bytes", s, min, max);
	*out = (int64_t)v;
	return 0;
}

static int
parse_choice(const char *s, const char *choices, int *out)
{
	size_t len = strlen(s);
	const char *p = choices;

	for (int i = 0;; i++) {
		size_t n = strcspn(p, "|");

		if (n == len && strncmp(p, s, n) == 0) {
			*out = i;
			return 0;
		}
		if (!p[n])
			return err("'%s' is not one of %s", s, choices);
		p += n + 1;
	}
}

static int
parse_shard(const char *s, struct shard *out)
{
	int used = 0;
	long long i, n;

	if (sscanf(s, "%lld/%lld%n", &i, &n, &used) != 2 || s[used] || i < 1 || n < 1 || i > n)
		return err("'%s' is not a shard: want i/n with 1 <= i <= n", s);
	*out = (struct shard){ i, n };
	return 0;
}

static int
set(const struct opt *o, const char *arg, bool negated)
{
	bool limits = o->min != 0 || o->max != 0;
	double lo = limits ? o->min : -9e15, hi = limits ? o->max : 9e15;
	bool text = o->type == OPT_STR || o->type == OPT_LIST;

	/* "$DIR" of a variable that is not set */
	if (text && !*arg && !(o->arg && strcmp(o->arg, "TEXT") == 0))
		return err("its argument is empty");
	switch (o->type) {
	case OPT_FLAG:
		*(bool *)o->dst = !negated;
		return 0;
	case OPT_INT:
		return parse_int(arg, (int64_t)lo, (int64_t)hi, o->dst);
	case OPT_SIZE:
		return parse_size(arg, limits ? (int64_t)lo : 0, (int64_t)(limits ? hi : 8e18),
		    o->dst);
	case OPT_U64: {
		char *end;

		errno = 0;
		*(uint64_t *)o->dst = strtoull(arg, &end, 0);
		if (end == arg || *end || errno || *arg == '-' || *arg == ' ')
			return err("'%s' is not a number from 0 to 2^64-1", arg);
		return 0;
	}
	case OPT_FLOAT:
		return parse_float(arg, limits ? lo : -HUGE_VAL, limits ? hi : HUGE_VAL, o->dst);
	case OPT_STR:
		*(const char **)o->dst = arg;
		return 0;
	case OPT_CHOICE:
		return parse_choice(arg, o->arg, o->dst);
	case OPT_SHARD:
		return parse_shard(arg, o->dst);
	case OPT_LIST: {
		struct opt_list *l = o->dst;

		l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
		l->v[l->n++] = arg;
		return 0;
	}
	case OPT_REFUSED:
		return err("%s", o->arg);
	case OPT_TITLE:
	case OPT_END:
		break;
	}
	return err("option of no type");
}

static const struct opt *
row_said(const void *dst)
{
	for (size_t i = 0; i < nsaid; i++)
		if (said[i]->dst == dst)
			return said[i];
	return NULL;
}

bool
opt_said(const void *dst)
{
	return row_said(dst) != NULL;
}

void
opt_wants(const void *dst, bool there, const char *what)
{
	const struct opt *o = there ? NULL : row_said(dst);

	if (o)
		usage_error("--%s goes with %s", o->name, what);
}

int
opt_set(const struct opt *o, const char *arg)
{
	return set(o, arg, false);
}

/* An option with its help. */
static void
explain(const struct opt *o)
{
	char left[128] = "";
	size_t n = 0;

	n += (size_t)snprintf(left + n, sizeof(left) - n, "  ");
	if (o->letter)
		n += (size_t)snprintf(left + n, sizeof(left) - n, "-%c%s", o->letter,
		    o->name ? ", " : "");
	else
		n += (size_t)snprintf(left + n, sizeof(left) - n, "    ");
	if (o->name)
		n += (size_t)snprintf(left + n, sizeof(left) - n, "--%s", o->name);
	if (o->arg)
		snprintf(left + n, sizeof(left) - n, " %s", o->arg);
	if (strlen(left) > 30)
		printf("%s\n%32s%s\n", left, "", o->help);
	else
		printf("%-31s %s\n", left, o->help);
}

/* Options that are only named, below their title; returns the row after them. */
static const struct opt *
name_only(const struct opt *o)
{
	int col = printf("  %s:", o->help);
	const char *mark = "";

	for (o++; o->type && o->type != OPT_TITLE; o++) {
		const char *arg = !o->arg ? "" : o->type == OPT_CHOICE ? "NAME" : o->arg;
		/* blank, --, comma */
		int len = (int)(strlen(o->name) + strlen(arg) + (*arg != 0)) + 4;

		if (!o->help)
			continue;
		col += printf("%s", mark);
		if (col + len > 80)
			col = printf("\n   ") - 1;
		col += printf(" --%s%s%s", o->name, *arg ? " " : "", arg);
		mark = ",";
	}
	printf("\n");
	return o;
}

static void
help(const struct opt *table, const char *synopsis, const char *summary)
{
	const struct opt *o = table;

	printf("usage: %s %s\n%s\n\n", prog_name(), synopsis, summary);
	for (; o->type && o->type != OPT_TITLE; o++)
		if (o->help)
			explain(o);
	printf("      --help                    print this and exit\n"
	       "      --version                 print the version and exit\n");
	if (o->type)
		printf("\nLess often wanted, explained in %s(1)\n", prog_name());
	while (o->type)
		o = name_only(o);
	if (fflush(stdout) || ferror(stdout))
		die("write error on standard output:");
	exit(EXIT_OK);
}

int
opt_parse(int argc, char **argv, const struct opt *table, const char *synopsis,
    const char *summary)
{
	size_t n = 0, nlong = 0, nshort = 0;
	struct option *longs;
	char *shorts;
	int c;

	prog_init(argv[0]);
	while (table[n].type)
		n++;
	longs = xcalloc(2 * n + 3, sizeof(*longs));
	shorts = xcalloc(2 * n + 2, 1);
	shorts[nshort++] = ':'; /* we word the messages ourselves */
	for (size_t i = 0; i < n; i++) {
		const struct opt *o = &table[i];
		bool flag = o->type == OPT_FLAG;

		if (o->letter) {
			shorts[nshort++] = (char)o->letter;
			if (!flag)
				shorts[nshort++] = ':';
		}
		if (!o->name)
			continue;
		longs[nlong++] = (struct option){ o->name,
			flag ? no_argument
			    : o->type == OPT_REFUSED ? optional_argument : required_argument,
			NULL, LONG_BASE + (int)(2 * i) };
		if (flag)
			longs[nlong++] = (struct option){ xasprintf("no-%s", o->name), no_argument,
				NULL, LONG_BASE + (int)(2 * i) + 1 };
	}
	longs[nlong++] = (struct option){ "help", no_argument, NULL, LONG_HELP };
	longs[nlong++] = (struct option){ "version", no_argument, NULL, LONG_VERSION };

	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct opt *o = NULL;
		bool negated = false;

		if (c == LONG_HELP)
			help(table, synopsis, summary);
		if (c == LONG_VERSION) {
			printf("%s (phantom) %s\n", prog_name(), PHANTOM_VERSION);
			exit(fflush(stdout) ? EXIT_FATAL : EXIT_OK);
		}
		if (c == ':')
			usage_error("option '%s' wants an argument", argv[optind - 1]);
		if (c == '?' && optopt && optopt < LONG_BASE)
			usage_error("unknown option '-%c'", optopt);
		if (c == '?' && optopt)
			usage_error("option '%s' takes no argument", argv[optind - 1]);
		if (c == '?')
			usage_error("unknown or ambiguous option '%s'", argv[optind - 1]);
		if (c >= LONG_BASE) {
			o = &table[(c - LONG_BASE) / 2];
			negated = (c - LONG_BASE) % 2;
		} else {
			for (o = table; o->letter != c; o++)
				;
		}
		if (set(o, optarg, negated)) {
			if (o->name)
				usage_error("--%s: %s", o->name, errmsg());
			usage_error("-%c: %s", o->letter, errmsg());
		}
		said = xgrow(said, &capsaid, nsaid + 1, sizeof(*said));
		said[nsaid++] = o;
	}
	for (size_t i = 0; i < nlong; i++)
		if (longs[i].val >= LONG_BASE && longs[i].val < LONG_HELP &&
		    (longs[i].val - LONG_BASE) % 2)
			free((char *)longs[i].name);
	free(longs);
	free(shorts);
	return optind;
}

struct shard
shard_default(void)
{
	const char *id = getenv("SLURM_ARRAY_TASK_ID"), *count = getenv("SLURM_ARRAY_TASK_COUNT");
	const char *first = getenv("SLURM_ARRAY_TASK_MIN");
	int64_t i, n, min = 0;

	if (!id || !count) {
		id = getenv("JOB_COMPLETION_INDEX");
		count = getenv("JOB_COMPLETION_COUNT");
		first = NULL;
	}
	if (!id || !count)
		return (struct shard){ 0 };
	if ((first && parse_int(first, 0, INT32_MAX, &min)) || parse_int(id, 0, INT32_MAX, &i) ||
	    parse_int(count, 1, INT32_MAX, &n) || i - min < 0 || i - min >= n)
		die("array job variables make no shard: task %s of %s", id, count);
	return (struct shard){ i - min + 1, n };
}

bool
shard_has(const struct shard *s, uint64_t record)
{
	return !s->n || record % (uint64_t)s->n == (uint64_t)(s->i - 1);
}
