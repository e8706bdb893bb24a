/*
 * Masks: run-length codes, unions of instance masks, and label maps as colours.
 *
 * A mask is [h][w] uint8_t, rows from the top. Foreground is any value but 0 where masks are read,
 * and 255 where they are made.
 */
#ifndef DATA_MASK_H
#define DATA_MASK_H

#include "base/mem.h"
#include "data/image.h"
#include "data/rec.h"

#include <stdint.h>

/* Kaggle's run lengths, as in the Data Science Bowl 2018: "start length start length ...", pixels
 * counted from 1 down the columns from the left. Runs must be of at least one pixel, in rising
 * order, without overlap, and lie inside the image; numbers are separated by blanks. An empty
 * string is an empty mask. out: [h][w], 0 or 255; on -1 its content is undefined. */
int mask_rle_decode(const char *rle, int w, int h, uint8_t *out);
/* The same with the runs in out set to `value` and the rest left alone, in any order and allowed to
 * touch or overlap: for many instances in one label map. */
int mask_rle_paint(const char *rle, int w, int h, uint8_t *out, uint8_t value);
/* Appends the run lengths of a mask's foreground; the runs are as long as can be. */
void mask_rle_encode(const uint8_t *mask, int w, int h, struct sb *);

/* Union of n mask files of one size into an 8-bit gray image of 0 and 255. Foreground is what is
 * not
 * 0 in any channel; palettes count by their indices. -1 if a file cannot be read or has another
 * size, or n is 0. */
int mask_union(struct image *dst, const char *const *paths, size_t n);
/* The same over every .png, .jpg and .jpeg in a folder. */
int mask_union_dir(struct image *dst, const char *dir);
/* The mask that a record names, as an 8-bit gray image of 0 and 255: `mask_file_name` (an image, or
 * a folder of instance masks), else `mask_file_names` (an array of images), else `mask_rle` (a
 * string, or an array with one string an instance; size from `width` and `height`). Relative names
 * as in rec_path(). 1: read; 0: the record names no mask; -1 with a message. */
int mask_of_record(struct image *dst, struct rec *);

/* Classes and their colours, in a CSV with the columns name, r, g, b (in any order, others are
 * ignored). A class's label is its row from 0. */
struct class_dict {
	size_t n, cap;
	char **name;
	uint8_t (*rgb)[3];
};

/* Colours must differ, names too; at most 255 classes, so that labels fit a byte beside 255 for
 * "none". 0, or -1 with "path: ...". */
int class_dict_load(struct class_dict *, const char *path);
void class_dict_add(struct class_dict *, const char *name, int r, int g, int b);
/* Writes it as ISN's class_dict.csv: names quoted, a header. */
int class_dict_write(const struct class_dict *, const char *path);
void class_dict_release(struct class_dict *);
int class_dict_find(const struct class_dict *, const char *name); /* -1 if absent */

/* Labels from colours: labels[h][w], -1 for a colour of no class. Gray images count as RGB with
 * equal channels; 16-bit ones are rounded to 8. Returns the number of pixels of unknown colour. */
size_t mask_from_colours(const struct image *, const struct class_dict *, int16_t *labels);
/* Colours from labels, as an 8-bit RGB image; labels of no class are black. */
void mask_to_colours(struct image *dst, const int16_t *labels, int w, int h,
    const struct class_dict *);

#endif
