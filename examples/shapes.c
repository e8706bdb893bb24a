/*
 * What shape and colour is on pictures, by rules about their pixels: a filter of records from C.
 *
 *	shapes [--sheet FILE.png] [--columns N] [FILE ...]
 *
 * Reads records with file_name and adds pred_label ("red rectangle"), pred_shape, pred_colour,
 * pred_background and fit, so that score(1) tells how often they are what label says. What is no
 * shape, or of no colour, is called "none".
 */
#include "base/err.h"
#include "data/rec.h"
#include "data/shape.h"
#include "data/sheet.h"

#include <stdlib.h>
#include <string.h>

enum { CELL = 64, ACROSS = 3 };

static struct {
	const char *sheet;
	int64_t columns;
} o = { .columns = 4 };
static struct rec_opts ro;

static const struct opt table[] = {
	{ 0, "sheet", OPT_STR, &o.sheet, "FILE",
	    "a picture of them all, a row for each text", 0, 0 },
	{ 0, "columns", OPT_INT, &o.columns, "N",
	    "pictures in a row, at most (4)", 1, SHEET_MAX_COLUMNS },
	REC_OPTIONS_COMMON(ro),
	{ 0 },
};

static struct sheet sheet;
static struct {
	struct image pic[SHEET_MAX_COLUMNS];
	int n;
	char *text;
} row;

static void
end_row(void)
{
	const struct image *pic[SHEET_MAX_COLUMNS] = { NULL };

	if (!row.n)
		return;
	for (int i = 0; i < row.n; i++)
		pic[i] = &row.pic[i];
	sheet_add(&sheet, pic, row.text);
	for (int i = 0; i < row.n; i++)
		image_release(&row.pic[i]);
	free(row.text);
	row.n = 0;
}

/* Pictures of one text stand side by side. */
static void
add_to_sheet(const struct rec *r, const struct image *im)
{
	const char *text = rec_str(r, "text");

	text = text ? text : "";
	if (row.n && (row.n == o.columns || strcmp(row.text, text) != 0))
		end_row();
	if (!row.n)
		row.text = xstrdup(text);
	image_copy(&row.pic[row.n++], im);
}

static int
one(struct rec *r, struct rec_out *out, void *ctx)
{
	const char *file = rec_path(r, "file_name"), *kind, *colour;
	struct image im = { 0 };
	struct shape s;
	char *label;

	(void)ctx;
	if (!file || image_read(&im, file, 3, 8))
		return -1;
	shape_see(&s, &im);
	if (o.sheet)
		add_to_sheet(r, &im);
	image_release(&im);
	kind = shape_kind_name(s.kind);
	colour = shape_colour_name(s.colour);
	label = kind && colour ? xasprintf("%s %s", colour, kind) : xstrdup("none");
	rec_set_str(r, "pred_label", label);
	rec_set_str(r, "pred_shape", kind ? kind : "none");
	rec_set_str(r, "pred_colour", colour ? colour : "none");
	rec_set_str(r, "pred_background", shape_ground_name(s.ground));
	rec_set_num(r, "fit", s.fit);
	rec_emit(out, r);
	free(label);
	return 0;
}

int
main(int argc, char **argv)
{
	int at, r;

	ro = (struct rec_opts)REC_OPTS;
	ro.what = "images";
	at = opt_parse(argc, argv, table, "[options] [FILE ...]", "Names the shape on each image.");
	if (o.sheet)
		sheet_init(&sheet, (int)o.columns, CELL, NULL);
	r = rec_filter(&ro, (const char *const *)argv + at, (size_t)(argc - at), one, NULL);
	end_row();
	if (sheet.rows && sheet_write(&sheet, o.sheet, ACROSS, NULL))
		die("%s", errmsg());
	sheet_release(&sheet);
	return r;
}
