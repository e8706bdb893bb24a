/* Classes and their colours. */
#include "data/mask.h"

#include "base/err.h"
#include "base/file.h"
#include "base/opt.h"
#include "data/csv.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CLASSES = 255, COLUMNS = 4 };

void
class_dict_add(struct class_dict *d, const char *name, int r, int g, int b)
{
	size_t cap = d->cap;

	d->name = xgrow(d->name, &d->cap, d->n + 1, sizeof(*d->name));
	d->rgb = xgrow(d->rgb, &cap, d->n + 1, sizeof(*d->rgb));
	d->name[d->n] = xstrdup(name);
	d->rgb[d->n][0] = (uint8_t)r;
	d->rgb[d->n][1] = (uint8_t)g;
	d->rgb[d->n++][2] = (uint8_t)b;
}

void
class_dict_release(struct class_dict *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->name[i]);
	free(d->name);
	free(d->rgb);
	*d = (struct class_dict){ 0 };
}

int
class_dict_find(const struct class_dict *d, const char *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->name[i], name) == 0)
			return (int)i;
	return -1;
}

static int
find_colour(const struct class_dict *d, const uint8_t *rgb)
{
	for (size_t i = 0; i < d->n; i++)
		if (memcmp(d->rgb[i], rgb, 3) == 0)
			return (int)i;
	return -1;
}

/* Where name, r, g and b stand in the header. */
static int
find_columns(char **cell, size_t n, size_t col[COLUMNS])
{
	static const char *const want[COLUMNS] = { "name", "r", "g", "b" };

	for (int k = 0; k < COLUMNS; k++) {
		for (col[k] = 0; col[k] < n && strcmp(cell[col[k]], want[k]) != 0; col[k]++)
			;
		if (col[k] == n)
			return err("has no column %s", want[k]);
	}
	return 0;
}

static int
add_row(struct class_dict *d, char **cell, size_t n, const size_t col[COLUMNS])
{
	int64_t v[3];
	uint8_t rgb[3];

	for (int k = 0; k < COLUMNS; k++)
		if (col[k] >= n)
			return err("too few cells");
	for (int k = 0; k < 3; k++) {
		if (parse_int(cell[col[k + 1]], 0, 255, &v[k]))
			return -1;
		rgb[k] = (uint8_t)v[k];
	}
	if (!*cell[col[0]])
		return err("a class without a name");
	if (class_dict_find(d, cell[col[0]]) >= 0)
		return err("class %s is there twice", cell[col[0]]);
	if (find_colour(d, rgb) >= 0)
		return err("%s and %s have one colour", d->name[find_colour(d, rgb)], cell[col[0]]);
	if (d->n == MAX_CLASSES)
		return err("more than %d classes", MAX_CLASSES);
	class_dict_add(d, cell[col[0]], rgb[0], rgb[1], rgb[2]);
	return 0;
}

int
class_dict_load(struct class_dict *d, const char *path)
{
	struct csv_table t;
	size_t col[COLUMNS];
	int r;

	*d = (struct class_dict){ 0 };
	if (csv_load(&t, path))
		return -1;
	r = t.nrow < 2 ? err("holds no classes") : find_columns(t.cell[0], t.ncol[0], col);
	for (size_t i = 1; i < t.nrow && !r; i++)
		if ((r = add_row(d, t.cell[i], t.ncol[i], col)))
			err_prefix("row %zu", i + 1);
	csv_release(&t);
	if (r) {
		class_dict_release(d);
		return err_prefix("%s", path);
	}
	return 0;
}

int
class_dict_write(const struct class_dict *d, const char *path)
{
	struct sb sb = { 0 };
	int r;

	sb_puts(&sb, "\"name\",\"r\",\"g\",\"b\"\n");
	for (size_t i = 0; i < d->n; i++) {
		sb_putc(&sb, '"');
		for (const char *s = d->name[i]; *s; s++) {
			if (*s == '"')
				sb_putc(&sb, '"');
			sb_putc(&sb, *s);
		}
		sb_printf(&sb, "\",%d,%d,%d\n", d->rgb[i][0], d->rgb[i][1], d->rgb[i][2]);
	}
	r = file_write(path, sb.s, sb.len);
	sb_release(&sb);
	return r;
}

size_t
mask_from_colours(const struct image *im, const struct class_dict *d, int16_t *labels)
{
	size_t n = (size_t)im->w * (size_t)im->h, unknown = 0;
	struct image rgb;
	const uint8_t *p;

	image_copy(&rgb, im);
	image_convert(&rgb, 3, 8);
	p = rgb.data;
	for (size_t i = 0; i < n; i++, p += 3) {
		/* neighbours are mostly equal */
		if (i && memcmp(p, p - 3, 3) == 0)
			labels[i] = labels[i - 1];
		else
			labels[i] = (int16_t)find_colour(d, p);
		unknown += labels[i] < 0;
	}
	image_release(&rgb);
	return unknown;
}

void
mask_to_colours(struct image *dst, const int16_t *labels, int w, int h,
    const struct class_dict *d)
{
	uint8_t *p;

	image_alloc(dst, w, h, 3, 8);
	p = dst->data;
	for (size_t i = 0; i < (size_t)w * (size_t)h; i++, p += 3)
		if (labels[i] >= 0 && (size_t)labels[i] < d->n)
			memcpy(p, d->rgb[labels[i]], 3);
}
