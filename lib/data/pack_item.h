/* One record's image and masks, read, checked and made what the options ask for. */
#ifndef DATA_PACK_ITEM_H
#define DATA_PACK_ITEM_H

#include "base/mem.h"
#include "data/pack.h"

#include <stdbool.h>
#include <stddef.h>

/* An encoded image. */
struct pack_file {
	char *p; /* owned */
	size_t n;
	bool jpeg;
	int w, h, c, bits;
	char *stem, *ext; /* base name, and ".png" or what else tells the format; owned */
};

struct pack_item {
	struct pack_file image;
	struct pack_file *mask; /* owned */
	size_t nmasks, cap;
	bool single;   /* mask[0] is that of mask_file_name; the others are of mask_file_names */
	struct sb rle; /* mask_rle, resized, as JSON; empty: it stays */
	bool resized;
};

/* What a layout wants. */
struct pack_wish {
	bool jpeg;      /* JPEG, always encoded anew */
	bool gan;       /* PNG of 8 bits, gray or RGB, square, a power of two a side */
	bool masks;
	bool png_masks; /* not as they are, if they are JPEG */
};

/* 0, or -1 with a message; *it is to be released in both cases. Runs on several threads at once. */
int pack_item_make(struct pack_item *it, const struct pack_opts *, const struct pack_wish *,
    struct rec *);
void pack_item_release(struct pack_item *);

/* Sets a record's file_name to dir/file, its masks' names to dir/masks[i], and what resizing
 * changed. masks may be NULL: the fields with masks go. */
void pack_item_tell(const struct pack_item *, struct rec *, const char *dir, const char *file,
    char *const *masks);

#endif
