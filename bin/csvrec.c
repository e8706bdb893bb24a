/* csvrec: CSV to records, records to CSV, and the join of a CSV to records. */
#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "data/columns.h"
#include "data/csv.h"
#include "data/rec.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum unmatched { UNMATCHED_KEEP, UNMATCHED_DROP, UNMATCHED_BAD };

static struct opts {
	bool to_csv, numbers, skip_empty, no_header;
	const char *fields, *text, *delimiter, *source;
	const char *join, *with, *range;
	int unmatched;
} o;
static struct rec_opts ro;

static const struct opt table[] = {
	{ 0, "to-csv", OPT_FLAG, &o.to_csv, NULL, "records to CSV (else CSV to records)", 0, 0 },
	{ 0, "no-header", OPT_FLAG, &o.no_header, NULL, "no row of names comes first", 0, 0 },
	{ 'f', "fields", OPT_STR, &o.fields, "A,B,...", "these columns, in this order", 0, 0 },
	{ 't', "delimiter", OPT_STR, &o.delimiter, "CHAR", "what stands between cells, or 'tab'", 0,
	    0 },
	{ 'n', "numbers", OPT_FLAG, &o.numbers, NULL,
	    "cells that are numbers become numbers", 0, 0 },
	{ 0, "text", OPT_STR, &o.text, "A,B,...", "columns that stay text under --numbers", 0, 0 },
	{ 'e', "skip-empty", OPT_FLAG, &o.skip_empty, NULL, "an empty cell makes no field", 0, 0 },
	{ 0, "source", OPT_STR, &o.source, "FIELD[=X%Y]",
	    "add the file's name, or what % stands for", 0, 0 },
	{ 0, "join", OPT_STR, &o.join, "KEY[=COLUMN]",
	    "add a CSV's columns to the records with its key", 0, 0 },
	{ 0, "with", OPT_STR, &o.with, "CSV", "the file to join", 0, 0 },
	{ 0, "range", OPT_STR, &o.range, "FIELD=A,B",
	    "join rows whose columns A and B enclose FIELD", 0, 0 },
	{ 0, "unmatched", OPT_CHOICE, &o.unmatched, "keep|drop|bad",
	    "records that no row matches", 0, 0 },
	REC_OPTIONS_JOBS(ro),
	REC_OPTIONS_COMMON(ro),
	{ 0 },
};

static struct columns_opts co; /* of --fields, --text, --numbers, --no-header */
static char delim = ',';

/* The names of a list "a,b,c" that an option gives. */
static struct names
names_of(const char *list, const char *option)
{
	struct names l = { 0 };

	if (list && names_split(&l, list))
		usage_error("%s: %s", option, errmsg());
	return l;
}

/* ---- CSV to records -------------------------------------------------------------------------- */

struct to_records {
	const char *path;
	struct columns c;
	struct rec_out out;
	struct sb line;
	struct sb source;   /* --source's field and value, as JSON */
	uint64_t count;
	int code;
};

static void
flush_out(void *out)
{
	rec_out_flush(out);
}

/* What --source says of a file name: its last component, or the part of it that % stands for. */
static void
set_source(struct to_records *t)
{
	const char *eq = strchr(o.source, '='), *percent = eq ? strchr(eq, '%') : NULL;
	const char *base = path_base(t->path);
	size_t n = strlen(base), before = 0, after = 0;

	if (percent) {
		before = (size_t)(percent - eq) - 1;
		after = strlen(percent + 1);
		if (n < before + after || strncmp(base, eq + 1, before) != 0 ||
		    strcmp(base + n - after, percent + 1) != 0)
			die("%s: the name does not match %s", t->path, eq + 1);
	}
	sb_clear(&t->source);
	json_put_str(&t->source, o.source, eq ? (size_t)(eq - o.source) : strlen(o.source));
	sb_putc(&t->source, ':');
	json_put_str(&t->source, base + before, n - before - after);
}

/* A row that makes no record; -1 under --strict. */
static int
bad_row(uint64_t row, const char *why, void *ctx)
{
	struct to_records *t = ctx;
	struct rec r = { .input = t->path, .lineno = row + 1 };
	char *copy;

	if (!t->c.known && !o.no_header)
		die("%s:%" PRIu64 ": %s", t->path, row + 1, why);
	if (!shard_has(&ro.shard, t->count++))
		return 0;
	copy = xstrdup(why);
	rec_bad(&ro, &r, &t->out, copy);
	rec_release(&r);
	free(copy);
	t->code = ro.strict ? EXIT_FATAL : EXIT_RECORDS;
	return ro.strict ? -1 : 0;
}

static int
row_to_record(char **cell, const size_t *len, size_t n, uint64_t row, void *ctx)
{
	struct to_records *t = ctx;
	const struct columns *c = &t->c;
	struct sb *sb = &t->line;

	if (!c->known) {
		if (columns_learn(&t->c, &co, cell, len, n))
			die("%s:%" PRIu64 ": %s", t->path, row + 1, errmsg());
		if (!o.no_header)
			return 0;
	}
	if (columns_check(c, cell, len, n))
		return bad_row(row, errmsg(), t);
	if (!shard_has(&ro.shard, t->count++))
		return 0;
	sb_clear(sb);
	for (size_t i = 0; i < c->npick; i++) {
		size_t k = c->pick[i];

		if (o.skip_empty && !len[k])
			continue;
		sb_putc(sb, sb->len ? ',' : '{');
		sb_puts(sb, c->key.s[k]);
		columns_put(sb, c, &co, k, cell[k], len[k]);
	}
	if (t->source.len) {
		sb_putc(sb, sb->len ? ',' : '{');
		sb_put(sb, t->source.s, t->source.len);
	}
	sb_puts(sb, sb->len ? "}\n" : "{}\n");
	rec_out_put(&t->out, sb->s, sb->len);
	return 0;
}

static int
csv_to_records(const char *const *files, size_t n)
{
	struct to_records t = { .code = EXIT_OK };
	struct csv_opts cso = { .delim = delim, .strict = true, .before_block = flush_out,
		.before_block_ctx = &t.out, .bad_row = bad_row };

	rec_out_open(&t.out, 1, "standard output");
	for (size_t i = 0; i < n && t.code != EXIT_FATAL; i++) {
		t.path = files[i];
		if (o.source)
			set_source(&t);
		if (csv_read_opts(t.path, &cso, row_to_record, &t) && t.code != EXIT_FATAL) {
			rec_out_flush(&t.out);
			die("%s", errmsg());
		}
		columns_release(&t.c);
	}
	rec_out_close(&t.out);
	sb_release(&t.line);
	sb_release(&t.source);
	return t.code;
}

/* ---- records to CSV -------------------------------------------------------------------------- */

struct to_csv {
	struct sb row;
	struct names left_out; /* fields that are no columns, each told once */
};

/* A field's value as a cell: strings as they read, null empty, the rest as its JSON text. */
static int
put_field(struct sb *sb, const struct rec *r, const struct rec_field *f)
{
	const char *s = f->raw;
	size_t len = f->rawlen;

	if (f->type == JSON_NULL)
		return 0;
	if (f->type == JSON_STRING) {
		s = rec_str(r, f->key);
		if (!s)
			return err("%s holds \\u0000", f->key);
		len = strlen(s);
	}
	csv_put(sb, s, len, delim);
	return 0;
}

static void
put_header(struct rec_out *out)
{
	struct sb sb = { 0 };

	for (size_t i = 0; i < co.fields.n; i++) {
		if (i)
			sb_putc(&sb, delim);
		csv_put(&sb, co.fields.s[i], strlen(co.fields.s[i]), delim);
	}
	sb_putc(&sb, '\n');
	rec_out_put(out, sb.s, sb.len);
	sb_release(&sb);
}

static int
record_to_row(struct rec *r, struct rec_out *out, void *ctx)
{
	struct to_csv *t = ctx;
	struct sb *sb = &t->row;

	if (!co.fields.n) {
		if (!r->n)
			return err("the first record has no fields to make columns of");
		for (size_t i = 0; i < r->n; i++)
			names_add(&co.fields, r->f[i].key, strlen(r->f[i].key));
		if (!o.no_header)
			put_header(out);
	}
	sb_clear(sb);
	for (size_t i = 0; i < co.fields.n; i++) {
		const struct rec_field *f = rec_get(r, co.fields.s[i]);

		if (i)
			sb_putc(sb, delim);
		if (f && put_field(sb, r, f))
			return -1;
	}
	/* an empty line would be no row at all */
	sb_puts(sb, sb->len ? "\n" : "\"\"\n");
	rec_out_put(out, sb->s, sb->len);
	for (size_t i = 0; i < r->n && !o.fields; i++) {
		const char *key = r->f[i].key;

		if (names_find(&co.fields, key) < co.fields.n ||
		    names_find(&t->left_out, key) < t->left_out.n)
			continue;
		warn("%s:%" PRIu64 ": field %s has no column: left out, here and below", r->input,
		    r->lineno, key);
		names_add(&t->left_out, key, strlen(key));
	}
	return 0;
}

static int
records_to_csv(const char *const *files, size_t n)
{
	struct to_csv t = { 0 };
	struct rec_out out;
	int code;

	ro.ends = true;
	if (!o.no_header && o.fields) {
		/* even a file without rows has its columns */
		rec_out_open(&out, 1, "standard output");
		put_header(&out);
		rec_out_flush(&out);
		sb_release(&out.sb);
	}
	code = rec_filter(&ro, files, n, record_to_row, &t);
	if (t.left_out.n && code == EXIT_OK)
		code = EXIT_RECORDS;
	sb_release(&t.row);
	names_release(&t.left_out);
	return code;
}

/* ---- join ------------------------------------------------------------------------------------ */

struct row {
	const char *key;
	double first, last;     /* of --range */
	struct { const char *json; size_t len; } *value; /* [npick]; json NULL: no field */
	struct row *next;       /* of the same hash */
};

struct join {
	const char *field, *column;              /* of --join */
	const char *range, *first, *last;        /* of --range: field, columns; NULL: none */
	size_t key_col, first_col, last_col;
	struct columns c;
	struct row *rows;
	size_t nrows, cap;
	struct row **bucket;
	size_t nbuckets;
	struct arena mem;
};

/* Splits "a=b" into a and b; b is a if there is no '='. */
static void
split_pair(struct join *j, const char *s, const char **a, const char **b)
{
	const char *eq = strchr(s, '=');

	*a = arena_strndup(&j->mem, s, eq ? (size_t)(eq - s) : strlen(s));
	*b = eq ? eq + 1 : *a;
	if (!**a || !**b)
		usage_error("--join: an empty name in '%s'", s);
}

static size_t
column(const struct columns *c, const char *name)
{
	size_t k = names_find(&c->all, name);

	if (k == c->all.n)
		die("%s: no column %s", o.with, name);
	return k;
}

/* Which columns the join needs, and which it adds: all others, or those of --fields. */
static void
join_learn(struct join *j)
{
	struct columns *c = &j->c;
	size_t n = 0;

	j->key_col = column(c, j->column);
	j->first_col = j->last_col = c->all.n;
	if (j->range) {
		j->first_col = column(c, j->first);
		j->last_col = column(c, j->last);
	}
	for (size_t i = 0; i < c->npick; i++) {
		size_t k = c->pick[i];
		bool used = k == j->key_col || k == j->first_col || k == j->last_col;

		if (!used || (!o.no_header && co.fields.n))
			c->pick[n++] = k;
	}
	c->npick = n;
}

static int
join_row(char **cell, const size_t *len, size_t n, uint64_t number, void *ctx)
{
	struct join *j = ctx;
	struct columns *c = &j->c;
	struct sb sb = { 0 };
	struct row *r;

	(void)number;
	if (!c->known) {
		if (columns_learn(c, &co, cell, len, n))
			return -1;
		join_learn(j);
		if (!o.no_header)
			return 0;
	}
	if (columns_check(c, cell, len, n))
		return -1;
	j->rows = xgrow(j->rows, &j->cap, j->nrows + 1, sizeof(*j->rows));
	r = &j->rows[j->nrows++];
	*r = (struct row){ .key = arena_strndup(&j->mem, cell[j->key_col], len[j->key_col]) };
	if (j->range && (parse_float(cell[j->first_col], -HUGE_VAL, HUGE_VAL, &r->first) ||
	    parse_float(cell[j->last_col], -HUGE_VAL, HUGE_VAL, &r->last)))
		return -1;
	r->value = arena_alloc(&j->mem, c->npick * sizeof(*r->value));
	for (size_t i = 0; i < c->npick; i++) {
		size_t k = c->pick[i];

		r->value[i].json = NULL;
		if (o.skip_empty && !len[k])
			continue;
		sb_clear(&sb);
		columns_put(&sb, c, &co, k, cell[k], len[k]);
		r->value[i].json = arena_strndup(&j->mem, sb.s, sb.len);
		r->value[i].len = sb.len;
	}
	sb_release(&sb);
	return 0;
}

static struct row **
bucket(const struct join *j, const char *key)
{
	return &j->bucket[fnv1a(key, strlen(key)) % j->nbuckets];
}

/* Rows of one bucket stand in the file's order, so that of several ranges the first wins. */
static void
join_index(struct join *j)
{
	j->nbuckets = 2 * j->nrows + 1;
	j->bucket = xcalloc(j->nbuckets, sizeof(*j->bucket));
	for (size_t i = j->nrows; i-- > 0;) {
		struct row *r = &j->rows[i], **b = bucket(j, r->key);

		for (struct row *k = *b; k && !j->range; k = k->next)
			if (strcmp(k->key, r->key) == 0)
				die("%s: two rows with %s '%s'", o.with, j->column, r->key);
		r->next = *b;
		*b = r;
	}
}

/* The row that belongs to a record: 1, 0 if there is none, or -1 with a message. */
static int
join_find(const struct join *j, const struct rec *r, const struct row **found)
{
	const char *key = rec_text(r, j->field), *at = j->range ? rec_text(r, j->range) : NULL;
	double x = 0;

	if (!key || (j->range && !at))
		return 0;
	if (at && parse_float(at, -HUGE_VAL, HUGE_VAL, &x))
		return err_prefix("%s", j->range);
	for (const struct row *k = *bucket(j, key); k; k = k->next) {
		if (strcmp(k->key, key) == 0 && (!j->range || (k->first <= x && x <= k->last))) {
			*found = k;
			return 1;
		}
	}
	return 0;
}

static int
join_record(struct rec *r, struct rec_out *out, void *ctx)
{
	const struct join *j = ctx;
	const struct row *row = NULL;
	int found = join_find(j, r, &row);

	if (found < 0)
		return -1;
	if (!found && o.unmatched == UNMATCHED_BAD)
		return err("no row of %s matches its %s", o.with, j->field);
	if (!found && o.unmatched == UNMATCHED_DROP)
		return 0;
	for (size_t i = 0; found && i < j->c.npick; i++)
		if (row->value[i].json)
			rec_set_raw(r, j->c.all.s[j->c.pick[i]], row->value[i].json,
			    row->value[i].len);
	rec_emit(out, r);
	return 0;
}

static int
join_records(const char *const *files, size_t n)
{
	struct join j = { 0 };
	int code;

	split_pair(&j, o.join, &j.field, &j.column);
	if (o.range) {
		const char *ends;
		struct names l;

		split_pair(&j, o.range, &j.range, &ends);
		l = names_of(ends, "--range");
		if (l.n != 2 || ends == j.range)
			usage_error("--range: '%s' is not FIELD=FIRST,LAST", o.range);
		j.first = arena_strndup(&j.mem, l.s[0], strlen(l.s[0]));
		j.last = arena_strndup(&j.mem, l.s[1], strlen(l.s[1]));
		names_release(&l);
	}
	if (csv_read(o.with, delim, true, join_row, &j))
		die("%s", errmsg());
	if (!j.c.known && !o.no_header)
		die("%s: no header", o.with);
	join_index(&j);
	code = rec_filter(&ro, files, n, join_record, &j);
	columns_release(&j.c);
	free(j.rows);
	free(j.bucket);
	arena_release(&j.mem);
	return code;
}

/* ---------------------------------------------------------------------------------------------- */

static void
check_options(size_t nfiles)
{
	if (!o.join != !o.with)
		usage_error("--join and --with go together");
	if (o.join && o.to_csv)
		usage_error("--join and --to-csv exclude each other");
	if ((o.range || o.unmatched) && !o.join)
		usage_error("--range and --unmatched are for --join");
	if (ro.jobs > 1 && !o.join)
		usage_error("--jobs is for --join");
	if (o.source && (o.join || o.to_csv))
		usage_error("--source is for CSV to records");
	if (o.to_csv && (o.numbers || o.text || o.skip_empty || ro.keep_bad))
		usage_error("--numbers, --text, --skip-empty and --keep-bad are not for --to-csv");
	if (o.text && !o.numbers)
		usage_error("--text is for --numbers");
	if (!o.to_csv && o.no_header && !o.fields)
		usage_error("--no-header wants --fields");
	if (o.with && !nfiles && strcmp(o.with, "-") == 0)
		usage_error("records and --with cannot both come from standard input");
	if (!o.join && !o.to_csv && !nfiles && isatty(0))
		usage_error("no file, and standard input is a terminal");
	if (o.delimiter) {
		delim = strcmp(o.delimiter, "tab") == 0 ? '\t' : o.delimiter[0];
		if ((o.delimiter[0] && o.delimiter[1] && delim != '\t') || !delim || delim == '"' ||
		    delim == '\n' || delim == '\r' || (delim & 0x80))
			usage_error("--delimiter: '%s' is not one character that can divide cells",
			    o.delimiter);
	}
	co = (struct columns_opts){ names_of(o.fields, "--fields"), names_of(o.text, "--text"),
		o.numbers, o.no_header };
	if (o.source && strcspn(o.source, "=") == 0)
		usage_error("--source: no field in '%s'", o.source);
	if (o.source && strchr(o.source, '=') && !strchr(strchr(o.source, '='), '%'))
		usage_error("--source: no %% in the pattern of '%s'", o.source);
}

int
main(int argc, char **argv)
{
	static const char *const standard[] = { "-" };
	const char *const *files;
	size_t n = 0;
	int code;

	prog_init(argv[0]);
	ro = (struct rec_opts)REC_OPTS;
	argv += opt_parse(argc, argv, table, "[options] [FILE ...]",
	    "CSV to records, records to CSV (--to-csv), or records joined with a CSV (--join).");
	while (argv[n])
		n++;
	check_options(n);
	files = (const char *const *)argv;
	if (o.to_csv)
		code = records_to_csv(files, n);
	else if (o.join)
		code = join_records(files, n);
	else
		code = csv_to_records(n ? files : standard, n ? n : 1);
	names_release(&co.fields);
	names_release(&co.text);
	return code;
}
