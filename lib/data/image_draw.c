/* Filled shapes on 8-bit images. */
#include "data/image.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

/* Pixels x0 to x1 of row y, both included, as far as they lie in the image. */
static void
span(struct image *im, int64_t x0, int64_t x1, int64_t y, const uint8_t *colour)
{
	uint8_t *p;

	if (y < 0 || y >= im->h)
		return;
	if (x0 < 0)
		x0 = 0;
	if (x1 >= im->w)
		x1 = im->w - 1;
	p = (uint8_t *)im->data + ((size_t)y * (size_t)im->w + (size_t)x0) * (size_t)im->c;
	for (int64_t x = x0; x <= x1; x++, p += im->c)
		memcpy(p, colour, (size_t)im->c);
}

void
image_rectangle(struct image *im, int x0, int y0, int x1, int y1, const uint8_t *colour)
{
	if (im->bits != 8)
		die("shapes are drawn on images of 8 bits");
	for (int64_t y = y0; y <= y1; y++)
		span(im, x0, x1, y, colour);
}

/* How far the point (x, y) is from the ellipse x^2/a^2 + y^2/b^2 = 1, times a^2 b^2. */
static int64_t
deviation(int64_t x, int64_t y, int64_t a, int64_t b)
{
	return llabs(a * a * y * y + b * b * x * x - a * a * b * b);
}

/*
 * Bresenham's walk along a quarter, in half pixels from the centre: pixel centres have the parity
 * of a and b. It starts at the side (a, 0 or 1) and ends at the top (0 or 1, b); of the three next
 * points (up, up and in, in) it takes the nearest to the curve. The first point of a row is its
 * outermost.
 */
void
image_ellipse(struct image *im, int x0, int y0, int x1, int y1, const uint8_t *colour)
{
	int64_t a = (int64_t)x1 - x0, b = (int64_t)y1 - y0, x = a, y = b % 2, row = -1;

	if (im->bits != 8)
		die("shapes are drawn on images of 8 bits");
	if (a < 0 || b < 0 || (a == 0 && b == 0))
		return;
	if (a > IMAGE_MAX_SHAPE || b > IMAGE_MAX_SHAPE)
		die("an ellipse of %lld x %lld is too large", (long long)a, (long long)b);
	while (y <= b) {
		int64_t nx = x, ny = y + 2, best = deviation(nx, ny, a, b);

		if (y != row) {
			span(im, x0 + (a - x) / 2, x0 + (a + x) / 2, y0 + (b - y) / 2, colour);
			span(im, x0 + (a - x) / 2, x0 + (a + x) / 2, y0 + (b + y) / 2, colour);
			row = y;
		}
		if (x == a % 2 && y == b)
			break;
		if (x > 1 && deviation(x - 2, y + 2, a, b) < best) {
			nx = x - 2;
			best = deviation(nx, ny, a, b);
		}
		if (x > 1 && deviation(x - 2, y, a, b) < best) {
			nx = x - 2;
			ny = y;
		}
		x = nx;
		y = ny;
	}
}
