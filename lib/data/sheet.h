/*
 * A contact sheet: rows of pictures (image, truth, prediction), the columns under their captions, a
 * caption under each row, as one picture.
 *
 *	struct sheet s;
 *	sheet_init(&s, 3, 128, (const char *const[]){ "image", "truth", "prediction" });
 *	sheet_add(&s, (const struct image *const[]){ &im, &truth, &pred }, id);
 *	if (sheet_write(&s, "sheet.png", 1, NULL)) return -1;
 *	sheet_release(&s);
 *
 * Memory: cell * cell * 3 bytes for each picture added, until the sheet is released.
 */
#ifndef DATA_SHEET_H
#define DATA_SHEET_H

#include "base/mem.h"
#include "data/image.h"

struct sheet {
	int columns, cell; /* cell: pixels of a picture's longer side */
	size_t rows, cap;
	struct image *pic; /* [rows][columns], fitted into the cell */
	char **caption;    /* [rows] or NULL each */
	char **head;       /* [columns] */
};

enum { SHEET_MAX_COLUMNS = 16 };

/* head: [columns] captions above the columns, or NULL for none. */
void sheet_init(struct sheet *, int columns, int cell, const char *const *head);
/* One row; pictures (8 or 16 bits, gray or RGB) are scaled to the cell and copied, a NULL one
 * leaves a gap. caption, or NULL for none, stands under the row; what does not fit is cut. */
void sheet_add(struct sheet *, const struct image *const *pic, const char *caption);
/* Lays the sheet out, `across` rows beside each other where across > 1, and writes it by its
 * extension. text as for image_write. 0, or -1 with a message; an empty sheet is an error. */
int sheet_write(const struct sheet *, const char *path, int across, const char *const *text);
void sheet_release(struct sheet *);

/* A mask to look at: class numbers (8-bit gray) in colours that differ, 0 black. With binary set
 * any nonzero number is white. dst is RGB. */
void sheet_mask(struct image *dst, const struct image *labels, bool binary);
/* ASCII text in a 5x7 font, 6 pixels a letter, onto an RGB image; cut at the image's edge. */
void sheet_text(struct image *, int x, int y, const char *text, const uint8_t rgb[3]);

#endif
