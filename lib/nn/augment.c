#include "nn/augment.h"

#include "base/rng.h"

#include <math.h>
#include <stddef.h>

struct augment_draw
augment_none(void)
{
	return (struct augment_draw){ .zoom = 1, .at_x = 0.5, .at_y = 0.5, .brightness = 1,
		.contrast = 1, .saturation = 1 };
}

/* Uniform in [-x, x]. */
static double
either(struct rng *r, double x)
{
	return x * (2 * rng_double(r) - 1);
}

void
augment_draw(struct augment_draw *d, const struct augment *a, uint64_t seed, const char *id,
    uint64_t epoch)
{
	struct rng r;
	uint32_t coins;

	/* the epoch turns the stream's number by an odd constant: streams of an id never meet */
	rng_init(&r, seed, rng_stream("augment", id) ^ (epoch + 1) * 0x9E3779B97F4A7C15u);
	*d = augment_none();
	coins = rng_u32(&r);
	d->flip_h = a->flip_h && coins & 1;
	d->flip_v = a->flip_v && coins & 2;
	d->turns = a->rotate90 ? (int)(coins >> 2 & 3) : 0;
	d->at_x = rng_double(&r);
	d->at_y = rng_double(&r);
	d->angle = either(&r, a->rotate) * 3.14159265358979323846 / 180;
	d->zoom = exp(either(&r, log1p(a->scale)));
	d->brightness = 1 + either(&r, a->brightness);
	d->contrast = 1 + either(&r, a->contrast);
	d->saturation = 1 + either(&r, a->saturation);
	d->hue = either(&r, a->hue);
}

/* Where output pixel (x, y) comes from: sx = ax x + bx y + cx, sy = ay x + by y + cy (centres at
 * whole numbers). */
struct map {
	double ax, bx, cx, ay, by, cy;
	bool exact; /* only mirrors, quarter turns and whole shifts */
};

static struct map
map_of(const struct augment_draw *d, int h, int w, int oh, int ow)
{
	/* the window before its quarter turns */
	int wh = d->turns & 1 ? ow : oh, ww = d->turns & 1 ? oh : ow;
	static const int cosines[4] = { 1, 0, -1, 0 };
	double co = cosines[d->turns], si = cosines[(d->turns + 3) & 3];
	double left = floor(d->at_x * (w - ww + (w > ww)));
	double top = floor(d->at_y * (h - wh + (h > wh)));
	double mid_x = left + (ww - 1) / 2.0, mid_y = top + (wh - 1) / 2.0;
	double fx = d->flip_h ? -1 : 1, fy = d->flip_v ? -1 : 1;
	struct map m;

	if (w <= ww)
		mid_x = (w - 1) / 2.0 + ((w ^ ww) & 1) / 2.0;
	if (h <= wh)
		mid_y = (h - 1) / 2.0 + ((h ^ wh) & 1) / 2.0;
	m.exact = d->angle == 0 && d->zoom == 1;
	if (!m.exact) {
		double c = cos(d->angle) / d->zoom, s = sin(d->angle) / d->zoom;
		double c2 = co * c - si * s, s2 = si * c + co * s;

		co = c2;
		si = s2;
	}
	m.ax = co * fx;
	m.bx = -si * fy;
	m.ay = si * fx;
	m.by = co * fy;
	m.cx = mid_x - m.ax * (ow - 1) / 2.0 - m.bx * (oh - 1) / 2.0;
	m.cy = mid_y - m.ay * (ow - 1) / 2.0 - m.by * (oh - 1) / 2.0;
	return m;
}

int
augment_mirror(int i, int n)
{
	i %= 2 * n;
	if (i < 0)
		i += 2 * n;
	return i < n ? i : 2 * n - 1 - i;
}

void
augment_warp(float *dst, const float *src, int c, int h, int w, const struct augment_draw *d,
    int oh, int ow)
{
	struct map m = map_of(d, h, w, oh, ow);
	size_t plane = (size_t)h * (size_t)w, out = (size_t)oh * (size_t)ow;

	for (int y = 0; y < oh; y++)
		for (int x = 0; x < ow; x++) {
			double sx = m.ax * x + m.bx * y + m.cx, sy = m.ay * x + m.by * y + m.cy;
			float *o = dst + (size_t)y * (size_t)ow + (size_t)x;
			double fx, fy;
			size_t x0, x1, y0, y1;

			if (m.exact) {
				x0 = (size_t)augment_mirror((int)lround(sx), w);
				y0 = (size_t)augment_mirror((int)lround(sy), h);
				for (int k = 0; k < c; k++)
					o[(size_t)k * out] =
					    src[(size_t)k * plane + y0 * (size_t)w + x0];
				continue;
			}
			fx = sx - floor(sx);
			fy = sy - floor(sy);
			x0 = (size_t)augment_mirror((int)floor(sx), w);
			x1 = (size_t)augment_mirror((int)floor(sx) + 1, w);
			y0 = (size_t)augment_mirror((int)floor(sy), h) * (size_t)w;
			y1 = (size_t)augment_mirror((int)floor(sy) + 1, h) * (size_t)w;
			for (int k = 0; k < c; k++) {
				const float *s = src + (size_t)k * plane;
				double a = s[y0 + x0] + fx * (s[y0 + x1] - s[y0 + x0]);
				double b = s[y1 + x0] + fx * (s[y1 + x1] - s[y1 + x0]);

				o[(size_t)k * out] = (float)(a + fy * (b - a));
			}
		}
}

void
augment_warp_labels(uint8_t *dst, const uint8_t *src, int h, int w, const struct augment_draw *d,
    int oh, int ow)
{
	struct map m = map_of(d, h, w, oh, ow);

	for (int y = 0; y < oh; y++)
		for (int x = 0; x < ow; x++) {
			int sx = augment_mirror((int)lround(m.ax * x + m.bx * y + m.cx), w);
			int sy = augment_mirror((int)lround(m.ay * x + m.by * y + m.cy), h);

			dst[(size_t)y * (size_t)ow + (size_t)x] =
			    src[(size_t)sy * (size_t)w + (size_t)sx];
		}
}

static float
clip(float v)
{
	return v < 0 ? 0 : v > 1 ? 1 : v;
}

static float
gray_of(const float *im, size_t plane, size_t i)
{
	return 0.2989f * im[i] + 0.587f * im[plane + i] + 0.114f * im[2 * plane + i];
}

/* Turns the hue of one RGB pixel by `turn` of the circle (through HSV). */
static void
turn_hue(float *r, float *g, float *b, float turn)
{
	float hi = fmaxf(*r, fmaxf(*g, *b)), lo = fminf(*r, fminf(*g, *b)), c = hi - lo, h, f, p, q,
	      t;
	int sector;

	if (c <= 0)
		return;
	h = hi == *r ? (*g - *b) / c : hi == *g ? 2 + (*b - *r) / c : 4 + (*r - *g) / c;
	h = h / 6 + turn;
	h = (h - floorf(h)) * 6;
	sector = (int)h;
	f = h - (float)sector;
	p = lo;
	q = hi - c * f;
	t = lo + c * f;
	switch (sector) {
	case 0: *r = hi, *g = t, *b = p; break;
	case 1: *r = q, *g = hi, *b = p; break;
	case 2: *r = p, *g = hi, *b = t; break;
	case 3: *r = p, *g = q, *b = hi; break;
	case 4: *r = t, *g = p, *b = hi; break;
	default: *r = hi, *g = p, *b = q;
	}
}

void
augment_colour(float *im, int c, int h, int w, const struct augment_draw *d)
{
	size_t plane = (size_t)h * (size_t)w, n = plane * (size_t)c;
	float f;

	if (d->brightness != 1)
		for (size_t i = 0; i < n; i++)
			im[i] = clip(im[i] * (float)d->brightness);
	if (d->contrast != 1) {
		double sum = 0;

		for (size_t i = 0; i < plane; i++)
			sum += c == 3 ? gray_of(im, plane, i) : im[i];
		f = (float)d->contrast;
		for (size_t i = 0; i < n; i++)
			im[i] = clip(f * im[i] + (1 - f) * (float)(sum / (double)plane));
	}
	if (c != 3)
		return;
	if (d->saturation != 1) {
		f = (float)d->saturation;
		for (size_t i = 0; i < plane; i++) {
			float g = gray_of(im, plane, i);

			for (size_t k = 0; k < 3; k++)
				im[k * plane + i] = clip(f * im[k * plane + i] + (1 - f) * g);
		}
	}
	if (d->hue != 0)
		for (size_t i = 0; i < plane; i++)
			turn_hue(&im[i], &im[plane + i], &im[2 * plane + i], (float)d->hue);
}
