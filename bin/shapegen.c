/* shapegen: images of coloured shapes, and masks of the rectangles; or of one shape each, with
 * captions. */
#include "base/err.h"
#include "base/file.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/rng.h"
#include "base/threads.h"
#include "data/image.h"
#include "data/mask.h"
#include "data/rec.h"
#include "data/shape.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Sides of which no product exceeds IMAGE_MAX_PIXELS. */
enum { MAX_SIDE = 16384, MIN_SHAPES = 5, MAX_SHAPES = 10, BATCH_PER_JOB = 16 };

static struct opts {
	int64_t n, height, width, min, max, seed, jobs;
	const char *out, *images, *masks, *classes;
	bool single, strict_masks, skip_done, quiet;
	struct shard shard;
} o = { .n = 1000, .height = 224, .width = 224, .min = 20, .max = 40, .jobs = 1, .out = "." };

static const struct opt table[] = {
	{ 'n', "num-images", OPT_INT, &o.n, "N", "draw N images (1000)", 0, 1e9 },
	{ 0, "height", OPT_INT, &o.height, "PX", "height of the images (224)", 1, MAX_SIDE },
	{ 0, "width", OPT_INT, &o.width, "PX", "width of the images (224)", 1, MAX_SIDE },
	{ 0, "min", OPT_INT, &o.min, "PX", "least side of a shape's box (20)", 1, MAX_SIDE },
	{ 0, "max", OPT_INT, &o.max, "PX", "greatest side of a shape's box (40)", 1, MAX_SIDE },
	{ 0, "single", OPT_FLAG, &o.single, NULL,
	    "one shape an image, and a caption that says which", 0, 0 },
	{ 0, "strict-masks", OPT_FLAG, &o.strict_masks, NULL,
	    "ellipses over rectangles clear the mask", 0, 0 },
	{ 'o', "output", OPT_STR, &o.out, "DIR",
	    "write into DIR (.), made if it is not there", 0, 0 },
	{ 0, "image-dir", OPT_STR, &o.images, "DIR", "write the images there instead", 0, 0 },
	{ 0, "mask-dir", OPT_STR, &o.masks, "DIR", "write the masks there instead", 0, 0 },
	{ 0, "class-dict", OPT_STR, &o.classes, "FILE",
	    "also write the masks' classes and colours", 0, 0 },
	{ 's', "seed", OPT_INT, &o.seed, "N",
	    "another seed, other images (0)", 0, 9007199254740991 },
	{ 0, "skip-done", OPT_FLAG, &o.skip_done, NULL,
	    "leave files that are there as they are", 0, 0 },
	{ 'j', "jobs", OPT_INT, &o.jobs, "N", "draw N images at once (1)", 1, 256 },
	{ 0, "shard", OPT_SHARD, &o.shard, "I/N", "draw only part I of N", 0, 0 },
	{ 'q', "quiet", OPT_FLAG, &o.quiet, NULL, "no progress", 0, 0 },
	{ 0, "num_images", OPT_INT, &o.n, NULL, NULL, 0, 1e9 },
	{ 0, "img_height", OPT_INT, &o.height, NULL, NULL, 1, MAX_SIDE },
	{ 0, "img_width", OPT_INT, &o.width, NULL, NULL, 1, MAX_SIDE },
	{ 0, "min_shape_px", OPT_INT, &o.min, NULL, NULL, 1, MAX_SIDE },
	{ 0, "max_shape_px", OPT_INT, &o.max, NULL, NULL, 1, MAX_SIDE },
	{ 0, "image_dir", OPT_STR, &o.images, NULL, NULL, 0, 0 },
	{ 0, "mask_dir", OPT_STR, &o.masks, NULL, NULL, 0, 0 },
	{ 0 },
};

/* One image on its way. */
struct item {
	int64_t number; /* from 1 */
	int ellipses, rectangles;
	struct shape shape; /* --single */
	char *file, *mask_file;
	char *why;      /* it could not be written */
};

/* A place and an extent along one side, uniform over all pairs that lie within it: 0 <= at,
 * at + extent < side (corners are included, so a box of this extent covers extent + 1 pixels). */
static void
draw_place(struct rng *r, int64_t side, int *at, int *extent)
{
	uint64_t pairs = 0, k;
	int64_t e = o.min;

	for (int64_t i = o.min; i <= o.max; i++)
		pairs += (uint64_t)(side - i);
	k = rng_below(r, pairs);
	for (; k >= (uint64_t)(side - e); e++)
		k -= (uint64_t)(side - e);
	*at = (int)k;
	*extent = (int)e;
}

/* One shape of any kind and colour, on any background. */
static void
draw_single(struct item *it, struct rng *r, struct image *im, struct image *mask)
{
	struct shape *s = &it->shape;
	int w, h;

	s->kind = (int)rng_below(r, SHAPE_KINDS);
	s->colour = (int)rng_below(r, SHAPE_COLOURS);
	s->ground = (int)rng_below(r, SHAPE_GROUNDS);
	draw_place(r, o.width, &s->box[0], &w);
	draw_place(r, o.height, &s->box[1], &h);
	s->box[2] = s->box[0] + w;
	s->box[3] = s->box[1] + h;
	shape_draw(im, s);
	shape_mask(mask, s);
}

static void
draw(struct item *it, struct image *im, struct image *mask)
{
	static const uint8_t black = 0, white = 255;
	struct rng r;
	char number[32];
	int shapes;

	snprintf(number, sizeof(number), "%" PRId64, it->number);
	rng_init(&r, (uint64_t)o.seed, rng_stream("shapegen", number));
	image_alloc(im, (int)o.width, (int)o.height, 3, 8);
	memset(im->data, 255, (size_t)o.width * (size_t)o.height * 3);
	image_alloc(mask, (int)o.width, (int)o.height, 1, 8);
	if (o.single) {
		draw_single(it, &r, im, mask);
		return;
	}
	shapes = MIN_SHAPES + (int)rng_below(&r, MAX_SHAPES - MIN_SHAPES + 1);
	for (int i = 0; i < shapes; i++) {
		bool ellipse = rng_below(&r, 2) == 0;
		uint8_t colour[3] = { 0 };
		int x, y, w, h;

		colour[rng_below(&r, 3)] = 255;
		draw_place(&r, o.width, &x, &w);
		draw_place(&r, o.height, &y, &h);
		if (ellipse) {
			it->ellipses++;
			image_ellipse(im, x, y, x + w, y + h, colour);
			if (o.strict_masks)
				image_ellipse(mask, x, y, x + w, y + h, &black);
		} else {
			it->rectangles++;
			image_rectangle(im, x, y, x + w, y + h, colour);
			image_rectangle(mask, x, y, x + w, y + h, &white);
		}
	}
}

static void
make(void *items, size_t i)
{
	struct item *it = (struct item *)items + i;
	const char *images = o.images ? o.images : o.out, *masks = o.masks ? o.masks : o.out;
	char *name = xasprintf("%" PRId64 "_image.png", it->number);
	char *mask_name = xasprintf("%" PRId64 "_mask.png", it->number);
	struct image im, mask;

	it->file = path_join(images, name);
	it->mask_file = path_join(masks, mask_name);
	draw(it, &im, &mask);
	if ((!(o.skip_done && file_exists(it->mask_file)) &&
	        image_write(&mask, it->mask_file, 0, NULL)) ||
	    (!(o.skip_done && file_exists(it->file)) && image_write(&im, it->file, 0, NULL)))
		it->why = xstrdup(errmsg());
	image_release(&im);
	image_release(&mask);
	free(name);
	free(mask_name);
}

static void
caption(struct rec *r, const struct shape *s)
{
	const char *kind = shape_kind_name(s->kind), *colour = shape_colour_name(s->colour);
	const char *ground = shape_ground_name(s->ground);
	char *label = xasprintf("%s %s", colour, kind);
	char *text = xasprintf("a %s on a %s background", label, ground);

	rec_set_str(r, "label", label);
	rec_set_str(r, "shape", kind);
	rec_set_str(r, "colour", colour);
	rec_set_str(r, "background", ground);
	rec_set_str(r, "text", text);
	free(text);
	free(label);
}

static void
emit(struct item *it, struct rec_out *out)
{
	struct rec r = { 0 };
	char *id;

	if (it->why) {
		rec_out_flush(out);
		die("%s", it->why);
	}
	/* images of two seeds may be mixed, so their ids differ */
	id = xasprintf("%" PRId64 "-%" PRId64, o.seed, it->number);
	rec_set_str(&r, "id", id);
	rec_set_str(&r, "file_name", it->file);
	rec_set_str(&r, "mask_file_name", it->mask_file);
	rec_set_int(&r, "width", o.width);
	rec_set_int(&r, "height", o.height);
	rec_set_int(&r, "seed", o.seed);
	if (o.single) {
		caption(&r, &it->shape);
	} else {
		rec_set_int(&r, "ellipses", it->ellipses);
		rec_set_int(&r, "rectangles", it->rectangles);
	}
	rec_emit(out, &r);
	rec_release(&r);
	free(id);
	free(it->file);
	free(it->mask_file);
	*it = (struct item){ 0 };
}

static void
write_classes(const char *path)
{
	struct class_dict d = { 0 };

	class_dict_add(&d, o.single ? "shape" : "rectangle", 255, 255, 255);
	class_dict_add(&d, "unknown", 0, 0, 0);
	if (class_dict_write(&d, path))
		die("%s", errmsg());
	class_dict_release(&d);
}

static void
check(int operands)
{
	int64_t side = o.width < o.height ? o.width : o.height;

	if (operands)
		usage_error("takes no operands");
	if (o.single && o.strict_masks)
		usage_error("--strict-masks: with --single nothing is hidden");
	if (o.min > o.max)
		usage_error("--min %" PRId64 " is larger than --max %" PRId64, o.min, o.max);
	if (o.max >= side)
		usage_error("a shape of --max %" PRId64 " covers %" PRId64
		            " pixels a side: too large for "
		            "images of %" PRId64 " x %" PRId64,
		    o.max, o.max + 1, o.width, o.height);
}

int
main(int argc, char **argv)
{
	struct progress pr;
	struct rec_out out;
	struct item *items;
	size_t cap, n = 0;
	uint64_t done = 0;

	o.shard = shard_default();
	check(argc - opt_parse(argc, argv, table, "[options]",
	                 "Draws ellipses and rectangles, and masks of the rectangles; or single "
	                 "shapes with captions."));
	if (make_dirs(o.images ? o.images : o.out) || make_dirs(o.masks ? o.masks : o.out))
		die("%s", errmsg());
	if (o.classes)
		write_classes(o.classes);
	cap = o.jobs == 1 ? 1 : BATCH_PER_JOB * (size_t)o.jobs;
	items = xcalloc(cap, sizeof(*items));
	rec_out_open(&out, 1, "standard output");
	progress_start(&pr, "images", (uint64_t)(o.shard.n ? o.n / o.shard.n : o.n), o.quiet);
	for (int64_t i = 1; i <= o.n; i++) {
		if (shard_has(&o.shard, (uint64_t)(i - 1)))
			items[n++].number = i;
		if (n < cap && i < o.n)
			continue;
		threads_each(n, (size_t)o.jobs, NULL, make, items);
		for (size_t k = 0; k < n; k++)
			emit(&items[k], &out);
		done += n;
		n = 0;
		progress_at(&pr, done);
	}
	progress_end(&pr);
	rec_out_close(&out);
	free(items);
	return EXIT_OK;
}
