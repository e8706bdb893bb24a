#include "data/shape.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static const char *const kinds[SHAPE_KINDS] = { "rectangle", "ellipse", "triangle" };

/* Colours, then backgrounds: the corners of the RGB cube and its middle. */
static const struct {
	const char *name;
	uint8_t rgb[3];
} palette[SHAPE_COLOURS + SHAPE_GROUNDS] = {
	{ "red", { 255, 0, 0 } },
	{ "green", { 0, 255, 0 } },
	{ "blue", { 0, 0, 255 } },
	{ "yellow", { 255, 255, 0 } },
	{ "cyan", { 0, 255, 255 } },
	{ "magenta", { 255, 0, 255 } },
	{ "white", { 255, 255, 255 } },
	{ "gray", { 128, 128, 128 } },
	{ "black", { 0, 0, 0 } },
};

const char *
shape_kind_name(int kind)
{
	return kind >= 0 && kind < SHAPE_KINDS ? kinds[kind] : NULL;
}

const char *
shape_colour_name(int colour)
{
	return colour >= 0 && colour < SHAPE_COLOURS ? palette[colour].name : NULL;
}

const char *
shape_ground_name(int ground)
{
	return ground >= 0 && ground < SHAPE_GROUNDS ? palette[SHAPE_COLOURS + ground].name : NULL;
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* Its top in the middle of the box's upper side. A row is drawn where the row's middle lies inside;
 * it is the same to both sides. */
static void
triangle(struct image *im, const int *box, const uint8_t *colour)
{
	int64_t w = (int64_t)box[2] - box[0] + 1, h = (int64_t)box[3] - box[1] + 1;

	for (int y = box[1]; y <= box[3]; y++) {
		int in = (int)(w * (2 * (int64_t)(box[3] - y) + 1) / (4 * h));

		image_rectangle(im, box[0] + in, y, box[2] - in, y, colour);
	}
}

static void
fill(struct image *im, int kind, const int *box, const uint8_t *colour)
{
	if (kind == SHAPE_RECTANGLE)
		image_rectangle(im, box[0], box[1], box[2], box[3], colour);
	else if (kind == SHAPE_ELLIPSE)
		image_ellipse(im, box[0], box[1], box[2], box[3], colour);
	else
		triangle(im, box, colour);
}

void
shape_draw(struct image *im, const struct shape *s)
{
	if (!shape_kind_name(s->kind) || !shape_colour_name(s->colour) ||
	    !shape_ground_name(s->ground))
		die("a shape of kind %d, colour %d, background %d", s->kind, s->colour, s->ground);
	image_rectangle(im, 0, 0, im->w - 1, im->h - 1, palette[SHAPE_COLOURS + s->ground].rgb);
	fill(im, s->kind, s->box, palette[s->colour].rgb);
}

void
shape_mask(struct image *im, const struct shape *s)
{
	static const uint8_t white = 255;

	fill(im, s->kind, s->box, &white);
}

/* ---- seeing ---------------------------------------------------------------------------------- */

static int
distance2(const uint8_t *a, const uint8_t *b)
{
	int d = 0;

	for (int i = 0; i < 3; i++)
		d += (a[i] - b[i]) * (a[i] - b[i]);
	return d;
}

/* Of the colours first to last - 1 of the palette. */
static int
nearest(const uint8_t *p, int first, int last)
{
	int best = first;

	for (int i = first + 1; i < last; i++)
		if (distance2(p, palette[i].rgb) < distance2(p, palette[best].rgb))
			best = i;
	return best;
}

/* The first of the largest of n counts. */
static int
most(const size_t *count, int n)
{
	int best = 0;

	for (int i = 1; i < n; i++)
		if (count[i] > count[best])
			best = i;
	return best;
}

static int
ground_of(const struct image *im)
{
	size_t count[SHAPE_GROUNDS] = { 0 };
	const uint8_t *p = im->data;

	for (int y = 0; y < im->h; y++)
		for (int x = 0; x < im->w; x++, p += 3)
			if (x == 0 || y == 0 || x == im->w - 1 || y == im->h - 1)
				count[nearest(p, SHAPE_COLOURS, SHAPE_COLOURS + SHAPE_GROUNDS) -
				    SHAPE_COLOURS]++;
	return most(count, SHAPE_GROUNDS);
}

/* Is the pixel past the middle of the way from the background to any of the colours? */
static bool
is_foreground(const uint8_t *p, const uint8_t *ground)
{
	for (int i = 0; i < SHAPE_COLOURS; i++) {
		int along = 0, all = 0;

		for (int k = 0; k < 3; k++) {
			int d = palette[i].rgb[k] - ground[k];

			along += d * (p[k] - ground[k]);
			all += d * d;
		}
		if (2 * along > all && distance2(p, palette[i].rgb) < distance2(p, ground))
			return true;
	}
	return false;
}

/* Marks the 4-connected part of `on` that holds pixel i with 2; its size and its box. */
static size_t
part(uint8_t *on, int w, int h, size_t i, size_t *stack, int *box)
{
	size_t n = 0, top = 0;

	box[0] = w;
	box[1] = h;
	box[2] = box[3] = -1;
	on[i] = 2;
	for (stack[top++] = i; top; n++) {
		int x, y;

		i = stack[--top];
		x = (int)(i % (size_t)w);
		y = (int)(i / (size_t)w);
		box[0] = x < box[0] ? x : box[0];
		box[1] = y < box[1] ? y : box[1];
		box[2] = x > box[2] ? x : box[2];
		box[3] = y > box[3] ? y : box[3];
		for (int k = 0; k < 4; k++) {
			int nx = x + (k == 0) - (k == 1), ny = y + (k == 2) - (k == 3);
			size_t j = (size_t)ny * (size_t)w + (size_t)nx;

			if (nx >= 0 && ny >= 0 && nx < w && ny < h && on[j] == 1) {
				on[j] = 2;
				stack[top++] = j;
			}
		}
	}
	return n;
}

/* The box of the largest connected part. */
static void
largest(uint8_t *on, int w, int h, int *box)
{
	size_t n = (size_t)w * (size_t)h, best = 0;
	size_t *stack = xmalloc(n * sizeof(*stack));

	for (size_t i = 0; i < n; i++) {
		int b[4];
		size_t size = on[i] == 1 ? part(on, w, h, i, stack, b) : 0;

		if (size > best) {
			best = size;
			memcpy(box, b, sizeof(b));
		}
	}
	free(stack);
}

/* Intersection over union of the foreground and a kind drawn into the box. */
static double
fit_of(const uint8_t *on, int w, int h, int kind, const int *box)
{
	const uint8_t one = 1;
	size_t both = 0, either = 0;
	struct image im;

	image_alloc(&im, w, h, 1, 8);
	fill(&im, kind, box, &one);
	for (size_t i = 0; i < (size_t)w * (size_t)h; i++) {
		bool drawn = ((uint8_t *)im.data)[i];

		both += drawn && on[i];
		either += drawn || on[i];
	}
	image_release(&im);
	return either ? (double)both / (double)either : 0;
}

/* Of all kinds, in the box and those whose sides lie a pixel farther in or out. */
static void
best_fit(struct shape *s, const uint8_t *on, int w, int h)
{
	int box[4], was[4];

	memcpy(was, s->box, sizeof(was));
	for (int k = 0; k < SHAPE_KINDS * 81; k++) {
		double fit;

		for (int i = 0, rest = k / SHAPE_KINDS; i < 4; i++, rest /= 3)
			box[i] = was[i] + rest % 3 - 1;
		if (box[2] <= box[0] || box[3] <= box[1])
			continue;
		fit = fit_of(on, w, h, k % SHAPE_KINDS, box);
		if (fit > s->fit) {
			s->fit = fit;
			s->kind = k % SHAPE_KINDS;
			memcpy(s->box, box, sizeof(box));
		}
	}
}

void
shape_see(struct shape *s, const struct image *im)
{
	size_t n = (size_t)im->w * (size_t)im->h, count[SHAPE_COLOURS] = { 0 }, area = 0;
	const uint8_t *px = im->data, *ground;
	uint8_t *on;

	if (im->c != 3 || im->bits != 8)
		die("shapes are seen on RGB images of 8 bits");
	*s = (struct shape){ .kind = -1, .colour = -1, .ground = ground_of(im) };
	ground = palette[SHAPE_COLOURS + s->ground].rgb;
	on = xcalloc(n, 1);
	for (size_t i = 0; i < n; i++)
		if (is_foreground(px + 3 * i, ground)) {
			on[i] = 1;
			area++;
			count[nearest(px + 3 * i, 0, SHAPE_COLOURS)]++;
		}
	if (area * 100 >= n) {
		int colour = most(count, SHAPE_COLOURS);

		if (5 * count[colour] >= 3 * area)
			s->colour = colour;
		largest(on, im->w, im->h, s->box);
		best_fit(s, on, im->w, im->h);
		if (s->fit < SHAPE_FIT)
			s->kind = -1;
	}
	free(on);
}
