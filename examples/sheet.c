/*
 * A contact sheet of what records name: sheet [options] FIELD... <records. Each record is a row,
 * each field with a file name a column; a caption stands under the row.
 */
#include "base/err.h"
#include "base/file.h"
#include "base/opt.h"
#include "data/rec.h"
#include "data/sheet.h"

static struct {
	int64_t cell, across, rows;
	const char *out, *caption;
} o = { .cell = 64, .across = 1, .rows = 24, .caption = "text" };

static const struct opt table[] = {
	{ 'o', "output", OPT_STR, &o.out, "FILE", "the sheet, a PNG or JPEG", 0, 0 },
	{ 'c', "caption", OPT_STR, &o.caption, "FIELD", "what stands under a row (text)", 0, 0 },
	{ 0, "cell", OPT_INT, &o.cell, "PX", "longer side of a picture (64)", 8, 1024 },
	{ 0, "across", OPT_INT, &o.across, "N", "rows beside each other (1)", 1, 64 },
	{ 'n', "rows", OPT_INT, &o.rows, "N",
	    "of the first N records that are good (24)", 1, 10000 },
	{ 0 },
};

struct columns {
	struct sheet sheet;
	const char *const *field;
	int n;
};

/* A row of the sheet; a record without a field leaves a gap. */
static int
row(struct rec *r, void *ctx)
{
	struct columns *c = ctx;
	struct image im[SHEET_MAX_COLUMNS] = { 0 };
	const struct image *pic[SHEET_MAX_COLUMNS] = { 0 };
	int ret = 0;

	if (c->sheet.rows >= (size_t)o.rows)
		return 0;
	for (int i = 0; i < c->n && !ret; i++) {
		if (!rec_get(r, c->field[i]))
			continue;
		ret = rec_path(r, c->field[i]) ? image_read(&im[i], rec_path(r, c->field[i]), 0, 8)
		    : -1;
		pic[i] = &im[i];
	}
	if (!ret)
		sheet_add(&c->sheet, pic, rec_text(r, o.caption));
	for (int i = 0; i < c->n; i++)
		image_release(&im[i]);
	return ret;
}

int
main(int argc, char **argv)
{
	struct rec_opts ro = REC_OPTS;
	struct columns c = { 0 };
	int code;

	prog_init(argv[0]);
	argv += opt_parse(argc, argv, table, "-o FILE [options] FIELD ...",
	    "Puts the pictures that records on standard input name on a sheet.");
	for (c.field = (const char *const *)argv; c.field[c.n];)
		c.n++;
	if (!o.out || !c.n || c.n > SHEET_MAX_COLUMNS)
		usage_error("wants -o FILE, and 1 to %d fields", SHEET_MAX_COLUMNS);
	sheet_init(&c.sheet, c.n, (int)o.cell, c.field);
	code = rec_each(&ro, NULL, 0, NULL, row, &c);
	if (code != EXIT_FATAL && sheet_write(&c.sheet, o.out, (int)o.across, NULL))
		die("%s", errmsg());
	sheet_release(&c.sheet);
	return code;
}
