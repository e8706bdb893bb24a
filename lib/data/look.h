/*
 * What a picture of tissue looks like in nine numbers, by which empty, blurred and stained-over
 * patches are told: the outlier rules of MEP (Latent diffusion models with image-derived
 * annotations, 2024). The numbers are those of Pillow and OpenCV.
 */
#ifndef DATA_LOOK_H
#define DATA_LOOK_H

#include "data/image.h"

struct look {
	double mean_v, median_v, std_v; /* value of HSV, 0..255; deviations of the population */
	double mean_s, median_s, std_s; /* saturation */
	double std_h;                   /* hue */
	double var_l;                   /* variance of the Laplacian of the luma */
	int n_contour;               /* borders, outer and of holes, of what is brighter than 150 */
};

/* 8-bit gray or RGB. */
void look_of(struct look *, const struct image *);

/* Hue, saturation, value of an RGB pixel as PIL.Image.convert("HSV") makes them. */
void pixel_hsv(const uint8_t rgb[3], uint8_t hsv[3]);
/* Borders of the 8-connected regions of nonzero pixels: one for each region, and one for each hole
 * in it (a 4-connected region of zeros that does not reach the edge). As many as Suzuki and Abe's
 * border following finds (Topological structural analysis of digitized binary images, 1985). bin
 * [h][w]. */
int count_contours(const uint8_t *bin, int w, int h);

#endif
