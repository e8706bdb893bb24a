/*
 * Pictures of one shape: a rectangle, an ellipse or a triangle, in one of six colours, on white,
 * gray or black. They are drawn, and what is drawn is seen again by rules about pixels, so that a
 * model that makes pictures of captions can be asked for what the caption says.
 *
 *	struct shape s = { SHAPE_TRIANGLE, 2, 0, { 10, 5, 40, 30 } };
 *	shape_draw(&im, &s);                       a blue triangle on white
 *	shape_see(&seen, &im);
 *	if (seen.kind == s.kind && seen.colour == s.colour) ...
 */
#ifndef DATA_SHAPE_H
#define DATA_SHAPE_H

#include "data/image.h"

enum shape_kind { SHAPE_RECTANGLE, SHAPE_ELLIPSE, SHAPE_TRIANGLE, SHAPE_KINDS };
enum { SHAPE_COLOURS = 6, SHAPE_GROUNDS = 3 };

/* Names of kinds, of colours (red, green, blue, yellow, cyan, magenta) and of backgrounds (white,
 * gray, black); NULL for a number that is none. */
const char *shape_kind_name(int kind);
const char *shape_colour_name(int colour);
const char *shape_ground_name(int ground);

struct shape {
	int kind, colour, ground; /* seen: -1 where it is none of these */
	int box[4];               /* x0, y0, x1, y1: corners, included */
	double fit;        /* seen: pixels of it and of the kind in its box, both by either; 0..1 */
};

/* Covers an 8-bit RGB image with the background and draws the shape; fit is not looked at. */
void shape_draw(struct image *, const struct shape *);
/* Draws it in 255 on an 8-bit gray image. */
void shape_mask(struct image *, const struct shape *);

/*
 * What is on an 8-bit RGB image. The background is that one which is nearest to most pixels of the
 * edge. Foreground is what is nearer to any of the six colours than to the background on the line
 * between them; its colour is that which is nearest to most of it, and to three fifths of it at
 * least. Its kind is that whose drawing, in the box of its largest connected part or one whose
 * sides differ from that by a pixel, meets it best: with an intersection over union of at least
 * SHAPE_FIT, for which foreground elsewhere counts, too. A foreground of less than a hundredth
 * of the image is no shape. Ellipse and rectangle in one box have 0.79 in common, triangle and
 * ellipse about 0.6, triangle and rectangle 0.5.
 */
#define SHAPE_FIT 0.8
void shape_see(struct shape *, const struct image *);

#endif
