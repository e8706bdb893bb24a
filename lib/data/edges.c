#include "data/edges.h"

#include "base/mem.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct gradient {
	int dx, dy;
	int norm; /* dx^2 + dy^2 */
};

/* ---- Sobel -------------------------------------------------------------------------------- */

static int
clamp(int x, int n)
{
	return x < 0 ? 0 : x < n ? x : n - 1;
}

/* Both derivatives of channel c at (x, y); beyond the edge, the edge. */
static struct gradient
sobel(const struct image *im, int x, int y, int c, int aperture)
{
	static const int smooth3[] = { 1, 2, 1 }, diff3[] = { -1, 0, 1 };
	static const int smooth7[] = { 1, 6, 15, 20, 15, 6, 1 }, diff7[] =
	    { -1, -4, -5, 0, 5, 4, 1 };
	const int *smooth = aperture == 3 ? smooth3 : smooth7, *diff = aperture == 3 ? diff3
	    : diff7;
	const uint8_t *p = im->data;
	struct gradient g = { 0 };
	int r = aperture / 2;

	for (int j = 0; j < aperture; j++) {
		const uint8_t *row =
		    p + (size_t)clamp(y + j - r, im->h) * (size_t)im->w * (size_t)im->c;
		int dx = 0, sx = 0;

		for (int i = 0; i < aperture; i++) {
			int v = row[clamp(x + i - r, im->w) * im->c + c];

			dx += diff[i] * v;
			sx += smooth[i] * v;
		}
		g.dx += smooth[j] * dx;
		g.dy += diff[j] * sx;
	}
	if (aperture == 7) {
		g.dx = (int)nearbyint(g.dx / 16.0);
		g.dy = (int)nearbyint(g.dy / 16.0);
	}
	g.norm = g.dx * g.dx + g.dy * g.dy;
	return g;
}

/* The strongest channel's gradient of every pixel, with a frame of zeros: [h+2][w+2] */
static struct gradient *
gradients(const struct image *im, int aperture)
{
	size_t stride = (size_t)im->w + 2;
	struct gradient *g = xcalloc(stride * ((size_t)im->h + 2), sizeof(*g));

	for (int y = 0; y < im->h; y++)
		for (int x = 0; x < im->w; x++) {
			struct gradient *best = &g[((size_t)y + 1) * stride + (size_t)x + 1];

			*best = sobel(im, x, y, 0, aperture);
			for (int c = 1; c < im->c; c++) {
				struct gradient other = sobel(im, x, y, c, aperture);

				if (other.norm > best->norm)
					*best = other;
			}
		}
	return g;
}

/* ---- Canny -------------------------------------------------------------------------------- */

/* Is it a maximum across the edge? Directions are told apart at 22.5 and 67.5 degrees. */
static bool
is_ridge(const struct gradient *g, size_t stride)
{
	static const int64_t tan22 = 13573; /* tan(22.5 degrees) in 1/32768 */
	int64_t x = abs(g->dx), y = (int64_t)abs(g->dy) << 15, t22 = x * tan22,
	        t67 = t22 + (x << 16);
	const struct gradient *up = g - stride, *down = g + stride;
	int s = (g->dx ^ g->dy) < 0 ? -1 : 1;

	if (y < t22)
		return g->norm > g[-1].norm && g->norm >= g[1].norm;
	if (y > t67)
		return g->norm > up->norm && g->norm >= down->norm;
	return g->norm > up[-s].norm && g->norm > down[s].norm;
}

enum { NO_EDGE, MAYBE, EDGE };

/* Edges, and what of the possible ones hangs together with them. map [h+2][w+2], its frame
 * NO_EDGE. */
static void
follow(uint8_t *map, size_t stride, size_t *stack, size_t n)
{
	const ptrdiff_t s = (ptrdiff_t)stride, near[8] =
	    { -s - 1, -s, -s + 1, -1, 1, s - 1, s, s + 1 };

	while (n) {
		size_t at = stack[--n];

		for (int i = 0; i < 8; i++) {
			size_t to = (size_t)((ptrdiff_t)at + near[i]);

			if (map[to] == MAYBE) {
				map[to] = EDGE;
				stack[n++] = to;
			}
		}
	}
}

void
image_canny(struct image *dst, const struct image *src, double low, double high, int aperture)
{
	size_t stride = (size_t)src->w + 2, n = 0, *stack;
	struct gradient *g = gradients(src, aperture);
	double scale = aperture == 7 ? 1 / 16.0 : 1;
	int lo = (int)floor(low * scale * low * scale),
	    hi = (int)floor(high * scale * high * scale);
	uint8_t *map = xcalloc(stride * ((size_t)src->h + 2), 1), *out;

	stack = xmalloc(stride * ((size_t)src->h + 2) * sizeof(*stack));
	for (int y = 1; y <= src->h; y++)
		for (int x = 1; x <= src->w; x++) {
			size_t at = (size_t)y * stride + (size_t)x;

			if (g[at].norm <= lo || !is_ridge(&g[at], stride))
				continue;
			map[at] = g[at].norm > hi ? EDGE : MAYBE;
			if (map[at] == EDGE)
				stack[n++] = at;
		}
	follow(map, stride, stack, n);
	image_alloc(dst, src->w, src->h, 1, 8);
	out = dst->data;
	for (int y = 0; y < src->h; y++)
		for (int x = 0; x < src->w; x++)
			*out++ = map[((size_t)y + 1) * stride + (size_t)x + 1] == EDGE ? 255 : 0;
	free(stack);
	free(map);
	free(g);
}

/* ---- Otsu --------------------------------------------------------------------------------- */

/* The level that best parts the histogram in two. */
static int
otsu_level(const size_t hist[256], double n)
{
	double mean = 0, q1 = 0, mu1 = 0, best = 0;
	int level = 0;

	for (int i = 0; i < 256; i++)
		mean += i * ((double)hist[i] / n);
	for (int i = 0; i < 256; i++) {
		double p = (double)hist[i] / n, q2, mu2, between;

		mu1 *= q1;
		q1 += p;
		q2 = 1 - q1;
		if (fmin(q1, q2) < FLT_EPSILON || fmax(q1, q2) > 1 - FLT_EPSILON)
			continue;
		mu1 = (mu1 + i * p) / q1;
		mu2 = (mean - q1 * mu1) / q2;
		between = q1 * q2 * (mu1 - mu2) * (mu1 - mu2);
		if (between > best) {
			best = between;
			level = i;
		}
	}
	return level;
}

void
image_otsu(struct image *dst, const struct image *src)
{
	size_t n = (size_t)src->w * (size_t)src->h, hist[256] = { 0 };
	const uint8_t *s = src->data;
	uint8_t *d;
	int level;

	image_alloc(dst, src->w, src->h, 1, 8);
	d = dst->data;
	for (size_t i = 0; i < n; i++) {
		/* 0.299, 0.587, 0.114 in 1/32768 */
		d[i] = src->c == 1 ? s[i]
		                   : (uint8_t)((9798 * s[3 * i] + 19235 * s[3 * i + 1] +
		                                   3735 * s[3 * i + 2] + (1 << 14)) >>
		                         15);
		hist[d[i]]++;
	}
	level = otsu_level(hist, (double)n);
	for (size_t i = 0; i < n; i++)
		d[i] = d[i] > level ? 255 : 0;
}

void
image_edges(struct image *dst, const struct image *src)
{
	struct image part[3] = { { 0 } };
	size_t n = (size_t)src->w * (size_t)src->h;
	uint8_t *d;

	image_otsu(&part[0], src);
	image_canny(&part[1], src, 100, 200, 3);
	image_canny(&part[2], src, 100, 200, 7);
	image_alloc(dst, src->w, src->h, 3, 8);
	d = dst->data;
	for (int c = 0; c < 3; c++) {
		for (size_t i = 0; i < n; i++)
			d[i * 3 + (size_t)c] = ((const uint8_t *)part[c].data)[i];
		image_release(&part[c]);
	}
}
