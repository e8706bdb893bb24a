/*
 * Outlines of what a picture shows: Otsu's threshold (A threshold selection method from gray-level
 * histograms, 1979) and Canny's edges (A computational approach to edge detection, 1986), with the
 * numbers that OpenCV gives.
 */
#ifndef DATA_EDGES_H
#define DATA_EDGES_H

#include "data/image.h"

/* 8-bit gray or RGB -> 8-bit gray, 255 where there is an edge. aperture 3 or 7: of the Sobel
 * operator (7: divided by 16, as the thresholds are then). Gradients by their L2 norm; of the
 * channels the one where it is largest. */
void image_canny(struct image *dst, const struct image *src, double low, double high, int aperture);
/* 8-bit gray or RGB -> 8-bit gray, 255 above Otsu's threshold of the luma. */
void image_otsu(struct image *dst, const struct image *src);
/* The three as colours, as MEP's edge-based features take them: Otsu, Canny 100/200 of aperture 3,
 * and of aperture 7. */
void image_edges(struct image *dst, const struct image *src);

#endif
