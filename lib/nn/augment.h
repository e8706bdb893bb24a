/*
 * Random changes to an image and what goes with it (a mask): crops, mirrors, quarter turns,
 * rotation, scale, and colour. Every number is drawn from (seed, id, epoch), so neither order nor
 * threads matter.
 *
 *	struct augment_draw d;
 *	augment_draw(&d, &a, seed, id, epoch);
 *	augment_warp(out, im, c, h, w, &d, oh, ow);              the image, bilinear
 *	augment_warp_labels(lab, labels, h, w, &d, oh, ow);      its mask, nearest
 *	augment_colour(out, c, oh, ow, &d);
 *
 * Images are planar float [c][h][w] in 0..1; labels uint8_t [h][w].
 */
#ifndef NN_AUGMENT_H
#define NN_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

struct augment {
	bool flip_h, flip_v;       /* mirror left-right, top-bottom, each with probability 1/2 */
	bool rotate90;             /* 0 to 3 quarter turns */
	double rotate;             /* degrees either way */
	double scale;              /* zoom by a factor between 1/(1+s) and 1+s */
	double brightness, contrast, saturation; /* factors in [1-x, 1+x] */
	double hue;                /* shift of up to x turns of the colour circle, 0..0.5 */
};

/* One image's numbers. */
struct augment_draw {
	bool flip_h, flip_v;
	int turns;
	double angle, zoom;        /* radians; factor */
	double at_x, at_y;         /* of a crop: 0..1 of the room there is; 0.5 is the centre */
	double brightness, contrast, saturation, hue;
};

/* epoch: any number that changes with it. */
void augment_draw(struct augment_draw *, const struct augment *, uint64_t seed, const char *id,
    uint64_t epoch);
/* The draw that changes nothing and crops at the centre. */
struct augment_draw augment_none(void);

/* dst [c][oh][ow] from src [c][h][w]: a window of oh x ow (turned, mirrored and zoomed about its
 * centre) placed by the draw; outside of the image it is mirrored at the edges. Without rotation or
 * zoom pixels are copied exactly. */
void augment_warp(float *dst, const float *src, int c, int h, int w, const struct augment_draw *,
    int oh, int ow);
void augment_warp_labels(uint8_t *dst, const uint8_t *src, int h, int w,
    const struct augment_draw *, int oh, int ow);
/* i mirrored into 0..n-1 at the edges, which are repeated: -1 is 0, n is n-1. */
int augment_mirror(int i, int n);
/* Brightness, contrast (about the mean gray), saturation, hue, in this order, as torchvision's
 * ColorJitter blends them, clipped to 0..1. Saturation and hue are for three channels only. */
void augment_colour(float *im, int c, int h, int w, const struct augment_draw *);

#endif
