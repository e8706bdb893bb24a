#include "data/look.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Levels above this count as bright. */
enum { BRIGHT = 150 };

void
pixel_hsv(const uint8_t rgb[3], uint8_t hsv[3])
{
	int r = rgb[0], g = rgb[1], b = rgb[2];
	int max = r > g ? r > b ? r : b : g > b ? g : b, min = r < g ? r < b ? r : b
	    : g < b ? g : b;
	float span = (float)(max - min), rc, gc, bc, h;

	hsv[0] = hsv[1] = 0;
	hsv[2] = (uint8_t)max;
	if (max == min)
		return;
	rc = (float)(max - r) / span;
	gc = (float)(max - g) / span;
	bc = (float)(max - b) / span;
	if (r == max)
		h = bc - gc;
	else if (g == max)
		h = (float)(2.0 + rc - bc);
	else
		h = (float)(4.0 + gc - rc);
	/* fractions of the circle, in single precision where Pillow has it so */
	h = (float)fmod(h / 6.0 + 1.0, 1.0);
	hsv[0] = (uint8_t)(int)(h * 255.0);
	hsv[1] = (uint8_t)(int)(span / (float)max * 255.0);
}

/* ---- levels ------------------------------------------------------------------------------- */

/* A histogram's mean, median and deviation. */
static void
describe(const size_t hist[256], size_t n, double *mean, double *median, double *std)
{
	double sum = 0, square = 0;
	size_t seen = 0;
	int low = -1, high = -1;

	for (int i = 0; i < 256; i++) {
		sum += (double)i * (double)hist[i];
		seen += hist[i];
		if (low < 0 && seen > (n - 1) / 2)
			low = i;
		if (high < 0 && seen > n / 2)
			high = i;
	}
	sum /= (double)n;
	for (int i = 0; i < 256; i++)
		square += (i - sum) * (i - sum) * (double)hist[i];
	if (mean) {
		*mean = sum;
		*median = (low + high) / 2.0;
	}
	*std = sqrt(square / (double)n);
}

/* The edge's neighbour is the pixel inside of it. */
static int
reflect(int x, int n)
{
	if (n == 1)
		return 0;
	return x < 0 ? -x : x < n ? x : 2 * n - 2 - x;
}

static double
laplacian_variance(const uint8_t *g, int w, int h)
{
	double n = (double)w * h;
	int64_t sum = 0, square = 0;

	for (int y = 0; y < h; y++) {
		const uint8_t *up = g + (size_t)reflect(y - 1, h) * (size_t)w;
		const uint8_t *row = g + (size_t)y * (size_t)w,
		              *down = g + (size_t)reflect(y + 1, h) * (size_t)w;

		for (int x = 0; x < w; x++) {
			int v = up[x] + down[x] + row[reflect(x - 1, w)] + row[reflect(x + 1, w)] -
			    4 * row[x];

			sum += v;
			square += v * v;
		}
	}
	return (double)square / n - (double)sum / n * ((double)sum / n);
}

/* ---- contours ----------------------------------------------------------------------------- */

static void
fill(uint8_t *p, size_t stride, size_t at, uint8_t from, uint8_t to, int neighbours, size_t *stack)
{
	const ptrdiff_t s = (ptrdiff_t)stride, near[8] =
	    { -1, 1, -s, s, -s - 1, -s + 1, s - 1, s + 1 };
	size_t n = 0;

	p[at] = to;
	stack[n++] = at;
	while (n) {
		at = stack[--n];
		for (int i = 0; i < neighbours; i++) {
			size_t next = (size_t)((ptrdiff_t)at + near[i]);

			if (p[next] == from) {
				p[next] = to;
				stack[n++] = next;
			}
		}
	}
}

int
count_contours(const uint8_t *bin, int w, int h)
{
	enum { OUT = 2, ZERO = 0, ONE = 1, SEEN = 3 };
	/* a frame of zeros, and one beyond it that stops */
	size_t stride = (size_t)w + 4, size = stride * ((size_t)h + 4),
	       *stack = xmalloc(size * sizeof(*stack));
	uint8_t *p = xmalloc(size);
	int count = 0;

	memset(p, OUT, size);
	for (int y = 0; y < h + 2; y++)
		for (int x = 0; x < w + 2; x++) {
			bool in = x > 0 && x <= w && y > 0 && y <= h;

			p[((size_t)y + 1) * stride + (size_t)x + 1] =
			    in && bin[(size_t)(y - 1) * (size_t)w + (size_t)(x - 1)] ? ONE : ZERO;
		}
	fill(p, stride, stride + 1, ZERO, OUT, 4, stack);
	for (size_t i = 0; i < size; i++) {
		if (p[i] != ZERO && p[i] != ONE)
			continue;
		fill(p, stride, i, p[i], SEEN, p[i] == ONE ? 8 : 4, stack);
		count++;
	}
	free(p);
	free(stack);
	return count;
}

/* ---- all ---------------------------------------------------------------------------------- */

void
look_of(struct look *l, const struct image *im)
{
	size_t n = (size_t)im->w * (size_t)im->h, hist[3][256] = { { 0 } };
	struct image gray = { 0 };
	const uint8_t *p = im->data;
	uint8_t *g;

	for (size_t i = 0; i < n; i++) {
		uint8_t rgb[3], hsv[3];

		for (size_t c = 0; c < 3; c++)
			rgb[c] = p[im->c == 3 ? i * 3 + c : i];
		pixel_hsv(rgb, hsv);
		for (int c = 0; c < 3; c++)
			hist[c][hsv[c]]++;
	}
	describe(hist[0], n, NULL, NULL, &l->std_h);
	describe(hist[1], n, &l->mean_s, &l->median_s, &l->std_s);
	describe(hist[2], n, &l->mean_v, &l->median_v, &l->std_v);
	image_copy(&gray, im);
	image_convert(&gray, 1, 8);
	g = gray.data;
	l->var_l = laplacian_variance(g, im->w, im->h);
	for (size_t i = 0; i < n; i++)
		g[i] = g[i] > BRIGHT;
	l->n_contour = count_contours(g, im->w, im->h);
	image_release(&gray);
}
