#include "data/mask.h"

#include "base/err.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- run lengths ----------------------------------------------------------------------------- */

/* Next number of a run-length string: 1, 0 at its end, -1 with a message. */
static int
next_number(const char **s, int64_t *out)
{
	int64_t x = 0;

	*s += strspn(*s, " \t\r\n");
	if (!**s)
		return 0;
	for (; **s >= '0' && **s <= '9'; ++*s) {
		if (x > INT32_MAX)
			return err("run lengths: a number is too large");
		x = 10 * x + (**s - '0');
	}
	if (**s && !strchr(" \t\r\n", **s))
		return err("run lengths: '%.1s' is no digit", *s);
	*out = x;
	return 1;
}

/* Calls of paint() need no order; strict ones do. */
static int
paint(const char *rle, int w, int h, uint8_t *out, uint8_t value, bool strict)
{
	int64_t n = (int64_t)w * h, start, length, last = 0;
	int r;

	while ((r = next_number(&rle, &start)) == 1) {
		r = next_number(&rle, &length);
		if (r < 0)
			return -1;
		if (r == 0)
			return err("run lengths: the last start has no length");
		if (start < 1 || length < 1 || length > n || start > n - length + 1)
			return err("run lengths: %" PRId64 " pixels from %" PRId64
			           " do not lie in %d x %d",
			    length, start, w, h);
		if (strict && start <= last)
			return err("run lengths: the run at %" PRId64
			           " begins before the last one ends",
			    start);
		last = start + length - 1;
		for (int64_t i = start - 1; i < last; i++)
			out[(size_t)(i % h) * (size_t)w + (size_t)(i / h)] = value;
	}
	return r;
}

int
mask_rle_decode(const char *rle, int w, int h, uint8_t *out)
{
	memset(out, 0, (size_t)w * (size_t)h);
	return paint(rle, w, h, out, 255, true);
}

int
mask_rle_paint(const char *rle, int w, int h, uint8_t *out, uint8_t value)
{
	return paint(rle, w, h, out, value, false);
}

void
mask_rle_encode(const uint8_t *mask, int w, int h, struct sb *sb)
{
	size_t n = (size_t)w * (size_t)h, start = 0;
	bool in = false, first = true;

	for (size_t i = 0; i <= n; i++) {
		bool set = i < n && mask[i % (size_t)h * (size_t)w + i / (size_t)h];

		if (set && !in)
			start = i;
		if (!set && in) {
			sb_printf(sb, "%s%zu %zu", first ? "" : " ", start + 1, i - start);
			first = false;
		}
		in = set;
	}
}

/* ---- unions ---------------------------------------------------------------------------------- */

/* Adds the mask in a file to dst, which the first one creates. */
static int
add_file(struct image *dst, const char *path)
{
	struct image im;
	size_t n;
	uint8_t *to;

	if (image_read_labels(&im, path))
		return -1;
	if (!dst->data)
		image_alloc(dst, im.w, im.h, 1, 8);
	if (im.w != dst->w || im.h != dst->h) {
		err("%s: a mask of %d x %d beside others of %d x %d", path, im.w, im.h, dst->w,
		    dst->h);
		image_release(&im);
		return -1;
	}
	to = dst->data;
	n = (size_t)im.w * (size_t)im.h * (size_t)im.c;
	for (size_t i = 0; i < n; i++)
		if (im.bits == 8 ? ((uint8_t *)im.data)[i] : ((uint16_t *)im.data)[i])
			to[i / (size_t)im.c] = 255;
	image_release(&im);
	return 0;
}

int
mask_union(struct image *dst, const char *const *paths, size_t n)
{
	*dst = (struct image){ 0 };
	if (!n)
		return err("no masks");
	for (size_t i = 0; i < n; i++) {
		if (add_file(dst, paths[i])) {
			image_release(dst);
			return -1;
		}
	}
	return 0;
}

int
mask_union_dir(struct image *dst, const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	int r = 0;

	*dst = (struct image){ 0 };
	if (!d)
		return err("%s:", dir);
	while (!r && (e = readdir(d))) {
		char *path;

		if (!image_is_name(e->d_name))
			continue;
		path = path_join(dir, e->d_name);
		r = add_file(dst, path);
		free(path);
	}
	closedir(d);
	if (!r && !dst->data)
		r = err("%s: holds no masks", dir);
	if (r)
		image_release(dst);
	return r;
}

/* ---- what a record names --------------------------------------------------------------------- */

/* Calls fn for each string of a field that is a string or an array of strings. */
static int
each_string(const struct rec_field *f, int (*fn)(const char *, void *), void *ctx)
{
	struct arena mem = { 0 };
	struct json j;
	int r = 0, n, at;

	if (json_parse(&j, f->raw, f->rawlen))
		return err_prefix("%s", f->key);
	n = j.v[0].type == JSON_ARRAY ? j.v[0].size : 1;
	at = j.v[0].type == JSON_ARRAY ? 1 : 0;
	if (!n)
		r = err("%s: is empty", f->key);
	for (; n-- && !r; at = j.v[at].next) {
		const char *s = json_str(&j, at, &mem);

		r = s ? fn(s, ctx) : err("%s: holds something that is no string", f->key);
	}
	json_release(&j);
	arena_release(&mem);
	return r;
}

struct naming {
	struct image *dst;
	struct rec *r;
};

static int
add_named(const char *name, void *ctx)
{
	struct naming *n = ctx;

	return add_file(n->dst, rec_path_of(n->r, name));
}

static int
add_runs(const char *rle, void *ctx)
{
	struct image *im = ctx;

	return mask_rle_paint(rle, im->w, im->h, im->data, 255);
}

static int
from_runs(struct image *dst, const struct rec *r, const struct rec_field *f)
{
	int64_t w = 0, h = 0;
	int got_w = rec_int(r, "width", &w), got_h = rec_int(r, "height", &h);

	if (got_w < 0 || got_h < 0)
		return -1;
	if (!got_w || !got_h)
		return err("mask_rle needs width and height");
	if (w < 1 || h < 1 || w > IMAGE_MAX_SIDE || h > IMAGE_MAX_SIDE || w * h > IMAGE_MAX_PIXELS)
		return err("mask_rle: %" PRId64 " x %" PRId64 " is no size of an image", w, h);
	image_alloc(dst, (int)w, (int)h, 1, 8);
	return each_string(f, add_runs, dst);
}

static int
from_path(struct image *dst, const char *path)
{
	DIR *d = opendir(path);

	if (!d)
		return mask_union(dst, &path, 1);
	closedir(d);
	return mask_union_dir(dst, path);
}

int
mask_of_record(struct image *dst, struct rec *r)
{
	static const char *const keys[] = { "mask_file_name", "mask_file_names", "mask_rle" };
	const struct rec_field *f = NULL;
	const char *path;
	size_t kind;
	int bad;

	*dst = (struct image){ 0 };
	for (kind = 0; kind < 3; kind++) {
		f = rec_get(r, keys[kind]);
		if (f && f->type != JSON_NULL)
			break;
	}
	if (kind == 3)
		return 0;
	if (kind == 0) {
		path = rec_path(r, keys[0]);
		bad = path ? from_path(dst, path) : -1;
	} else if (kind == 1) {
		bad = each_string(f, add_named, &(struct naming){ dst, r });
	} else {
		bad = from_runs(dst, r, f);
	}
	if (bad)
		image_release(dst);
	return bad ? -1 : 1;
}
