/* The orientation that a camera noted in a JPEG's EXIF data. */
#ifndef DATA_IMAGE_EXIF_H
#define DATA_IMAGE_EXIF_H

#include "data/image.h"

/* 1 to 8 as EXIF numbers them; 1 (as stored) where there is none, or no JPEG. */
int image_orientation(const char *path);
int image_orientation_of(const void *p, size_t n);
/* Turns and mirrors pixels that were stored so into the way they are to be seen. */
void image_upright(struct image *, int orientation);

#endif
