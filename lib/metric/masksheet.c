#include "metric/masksheet.h"

#include "base/err.h"
#include "base/file.h"
#include "data/sheet.h"

#include <stdlib.h>
#include <string.h>

enum { CELL = 128, ACROSS = 2 };

void
masksheet_init(struct masksheet *m, size_t rows, bool binary)
{
	*m = (struct masksheet){ .rows = rows, .binary = binary };
	m->row = xcalloc(rows + 1, sizeof(*m->row));
}

static void
row_release(struct masksheet_row *r)
{
	for (int i = 0; i < 3; i++)
		image_release(&r->pic[i]);
	free(r->caption);
	*r = (struct masksheet_row){ 0 };
}

static void
draw_mask(struct image *dst, const int32_t *label, const struct mask_pair *p, bool binary)
{
	struct image labels = { 0 };
	uint8_t *v;

	image_alloc(&labels, p->w, p->h, 1, 8);
	v = labels.data;
	for (size_t i = 0; i < p->n; i++)
		v[i] = label[i] > 0 ? (uint8_t)label[i] : 0;
	sheet_mask(dst, &labels, binary);
	image_release(&labels);
}

void
masksheet_add(struct masksheet *m, struct rec *r, const struct mask_pair *p, size_t file,
    double score)
{
	size_t at = m->n;
	const char *path;
	struct masksheet_row *row;

	while (at > 0 && (m->row[at - 1].file > file ||
	    (m->row[at - 1].file == file && m->row[at - 1].line > r->lineno)))
		at--;
	if (at >= m->rows)
		return;
	memmove(m->row + at + 1, m->row + at, (m->n - at) * sizeof(*m->row));
	row = &m->row[at];
	*row = (struct masksheet_row){ .file = file, .line = r->lineno };
	path = rec_path(r, "file_name");
	if (path && image_read(&row->pic[0], path, 0, 8))
		row->pic[0] = (struct image){ 0 };
	draw_mask(&row->pic[1], p->truth, p, m->binary);
	draw_mask(&row->pic[2], p->pred, p, m->binary);
	row->caption = xasprintf("%.40s: IoU %.3f", path_base(rec_id(r)), score);
	if (++m->n > m->rows)
		row_release(&m->row[--m->n]);
}

int
masksheet_write(const struct masksheet *m, const char *path)
{
	struct sheet s;
	int ret;

	sheet_init(&s, 3, CELL, (const char *const[]){ "image", "truth", "prediction" });
	for (size_t i = 0; i < m->n; i++) {
		const struct image *pic[3];

		for (int k = 0; k < 3; k++)
			pic[k] = m->row[i].pic[k].data ? &m->row[i].pic[k] : NULL;
		sheet_add(&s, pic, m->row[i].caption);
	}
	ret = sheet_write(&s, path, ACROSS, NULL);
	sheet_release(&s);
	return ret;
}

void
masksheet_release(struct masksheet *m)
{
	for (size_t i = 0; i < m->n; i++)
		row_release(&m->row[i]);
	free(m->row);
	*m = (struct masksheet){ 0 };
}
