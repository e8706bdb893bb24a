#include "data/pack_item.h"

#include "base/err.h"
#include "base/file.h"
#include "data/mask.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum {
	FILE_MOST = 1 << 30, /* bytes of an encoded image */
	STEM_MOST = 220,     /* a number and an extension must fit into 255 bytes with it */
	PNG_DEPTH = 24, PNG_COLOUR = 25 /* bytes of a PNG's header */
};

/* ---- geometry -------------------------------------------------------------------------------- */

/* The largest part of the aspect w : h in the middle of an image. */
static void
crop_centre(struct image *im, int w, int h)
{
	int64_t cw = im->w, ch = im->h;
	struct image part;

	if ((int64_t)im->w * h > (int64_t)im->h * w)
		cw = ((int64_t)im->h * w + h / 2) / h;
	else
		ch = ((int64_t)im->w * h + w / 2) / w;
	cw = cw < 1 ? 1 : cw > im->w ? im->w : cw;
	ch = ch < 1 ? 1 : ch > im->h ? im->h : ch;
	if (cw == im->w && ch == im->h)
		return;
	image_crop(&part, im, (int)(im->w - cw) / 2, (int)(im->h - ch) / 2, (int)cw, (int)ch);
	image_release(im);
	*im = part;
}

static void
reshape(struct image *im, const struct pack_opts *o, enum image_filter filter)
{
	struct image out;

	if (o->centre)
		crop_centre(im, o->w, o->h);
	if (im->w == o->w && im->h == o->h)
		return;
	image_resize(&out, im, o->w, o->h, filter);
	image_release(im);
	*im = out;
}

/* ---- files ----------------------------------------------------------------------------------- */

static void
file_release(struct pack_file *f)
{
	free(f->p);
	free(f->stem);
	free(f->ext);
	*f = (struct pack_file){ 0 };
}

/* The extension as it came if it tells the format, else one that does. */
static int
set_name(struct pack_file *f, const char *path)
{
	const char *base = path_base(path), *ext = path_ext(base);
	bool png = strcasecmp(ext, ".png") == 0;
	bool jpeg = strcasecmp(ext, ".jpg") == 0 || strcasecmp(ext, ".jpeg") == 0;

	free(f->stem);
	free(f->ext);
	f->stem = xstrndup(base, strlen(base) - (png || jpeg ? strlen(ext) : 0));
	f->ext = xstrdup((f->jpeg ? jpeg : png) ? ext : f->jpeg ? ".jpg" : ".png");
	if (strlen(f->stem) > STEM_MOST)
		return err("%s: a name of more than %d bytes", path, STEM_MOST);
	return 0;
}

/* Reads a file as it is; a look at its header. */
static int
file_load(struct pack_file *f, const char *path)
{
	struct image head;

	if (file_read_regular(path, FILE_MOST, &f->p, &f->n) ||
	    image_decode_header(&head, f->p, f->n, path))
		return -1;
	f->jpeg = (unsigned char)f->p[0] == 0xff;
	f->w = head.w;
	f->h = head.h;
	f->c = head.c;
	f->bits = head.bits;
	return set_name(f, path);
}

/* Puts an image in the place of f's bytes. */
static int
file_encode(struct pack_file *f, const struct image *im, bool jpeg, int64_t quality,
    const char *path)
{
	void *p;
	size_t n;

	if (jpeg && im->bits == 16)
		return err("%s: of 16 bits, of which JPEG holds 8", path);
	if (!quality)
		quality = PACK_QUALITY;
	if (image_encode(im, jpeg ? "jpg" : "png", (int)quality, NULL, &p, &n))
		return err_prefix("%s", path);
	free(f->p);
	f->p = p;
	f->n = n;
	f->jpeg = jpeg;
	f->w = im->w;
	f->h = im->h;
	f->c = im->c;
	f->bits = im->bits;
	return set_name(f, path);
}

/* ---- the image ------------------------------------------------------------------------------- */

/* A PNG that is just what a GAN's trainer reads: no palette, no alpha, no 1, 2, 4 bits. */
static bool
is_plain(const struct pack_file *f)
{
	return !f->jpeg && f->n > PNG_COLOUR && f->p[PNG_DEPTH] == 8 &&
	    (f->p[PNG_COLOUR] == 0 || f->p[PNG_COLOUR] == 2);
}

static int
check_gan(const struct pack_file *f, const char *path)
{
	if (f->bits != 8)
		return err("%s: of 16 bits, not 8", path);
	if (f->w != f->h)
		return err("%s: %d x %d pixels, not square", path, f->w, f->h);
	if (f->w & (f->w - 1))
		return err("%s: %d pixels a side, no power of two", path, f->w);
	return 0;
}

static int
make_image(struct pack_item *it, const struct pack_opts *o, const struct pack_wish *wish,
    const char *path)
{
	struct pack_file *f = &it->image;
	struct image im;
	bool asked = o->format == PACK_KEEP ? f->jpeg : o->format == PACK_JPG;
	bool jpeg = wish->jpeg || (asked && !wish->gan);
	int r;

	it->resized = o->w && (f->w != o->w || f->h != o->h);
	if (!wish->jpeg && !it->resized && f->jpeg == jpeg && (!wish->gan || is_plain(f)))
		return wish->gan ? check_gan(f, path) : 0;
	if (image_decode(&im, f->p, f->n, 0, 0, path))
		return -1;
	if (it->resized)
		reshape(&im, o, o->filter);
	r = file_encode(f, &im, jpeg, o->quality, path);
	image_release(&im);
	return r || !wish->gan ? r : check_gan(f, path);
}

/* ---- masks ----------------------------------------------------------------------------------- */

static struct pack_file *
add_mask(struct pack_item *it)
{
	it->mask = xgrow(it->mask, &it->cap, it->nmasks + 1, sizeof(*it->mask));
	it->mask[it->nmasks] = (struct pack_file){ 0 };
	return &it->mask[it->nmasks++];
}

/* The size of the image as it came. */
struct size {
	int w, h;
};

static int
check_size(int w, int h, struct size image, const char *path)
{
	if (w != image.w || h != image.h)
		return err("%s: a mask of %d x %d pixels, its image has %d x %d", path, w, h,
		    image.w, image.h);
	return 0;
}

static int
mask_from_file(struct pack_item *it, const struct pack_opts *o, const struct pack_wish *wish,
    struct size size, const char *path)
{
	struct pack_file *f = add_mask(it);
	struct image im;
	int r;

	if (file_load(f, path) || check_size(f->w, f->h, size, path))
		return -1;
	if (!it->resized && !(wish->png_masks && f->jpeg))
		return 0;
	if (image_decode_labels(&im, f->p, f->n, path))
		return -1;
	if (it->resized)
		reshape(&im, o, FILTER_NEAREST);
	r = file_encode(f, &im, false, 0, path);
	image_release(&im);
	return r;
}

/* The union of a folder of instance masks; it gets the image's name. */
static int
mask_from_folder(struct pack_item *it, const struct pack_opts *o, struct size size,
    const char *path)
{
	struct pack_file *f = add_mask(it);
	struct image im;
	int r;

	if (mask_union_dir(&im, path))
		return -1;
	r = check_size(im.w, im.h, size, path);
	if (!r && it->resized)
		reshape(&im, o, FILTER_NEAREST);
	if (!r)
		r = file_encode(f, &im, false, 0, path);
	image_release(&im);
	if (!r) {
		free(f->stem);
		f->stem = xstrdup(it->image.stem);
	}
	return r;
}

static int
add_rle(struct pack_item *it, const struct pack_opts *o, struct size size, const char *rle)
{
	struct sb sb = { 0 };
	struct image im;
	int r;

	image_alloc(&im, size.w, size.h, 1, 8);
	r = mask_rle_decode(rle, size.w, size.h, im.data);
	if (!r) {
		reshape(&im, o, FILTER_NEAREST);
		mask_rle_encode(im.data, im.w, im.h, &sb);
		json_put_str(&it->rle, sb.s ? sb.s : "", sb.len);
	}
	image_release(&im);
	sb_release(&sb);
	return r;
}

/* The strings of a field that is a string or an array of strings. */
struct strings {
	struct json j;
	struct arena mem;
	int left, at;
	bool array;
};

static int
strings_open(struct strings *s, const struct rec_field *f)
{
	*s = (struct strings){ 0 };
	if (json_parse(&s->j, f->raw, f->rawlen))
		return err_prefix("%s", f->key);
	s->array = f->type == JSON_ARRAY;
	s->left = s->array ? s->j.v[0].size : 1;
	s->at = s->array ? 1 : 0;
	return 0;
}

/* 1: *str is the next; 0: no more; -1 with a message. */
static int
strings_next(struct strings *s, const char *key, const char **str)
{
	if (!s->left)
		return 0;
	s->left--;
	*str = json_str(&s->j, s->at, &s->mem);
	s->at = s->j.v[s->at].next;
	return *str ? 1 : err("%s: holds something that is no string", key);
}

static void
strings_close(struct strings *s)
{
	json_release(&s->j);
	arena_release(&s->mem);
}

static const struct rec_field *
get_set(const struct rec *r, const char *key)
{
	const struct rec_field *f = rec_get(r, key);

	return f && f->type != JSON_NULL ? f : NULL;
}

static int
make_rle(struct pack_item *it, const struct pack_opts *o, struct size size, struct rec *r)
{
	static const char key[] = "mask_rle";
	const struct rec_field *f = get_set(r, key);
	int64_t w = size.w, h = size.h;
	struct strings s;
	const char *rle;
	int more;

	if (!f)
		return 0;
	if (rec_int(r, "width", &w) < 0 || rec_int(r, "height", &h) < 0)
		return -1;
	if (w != size.w || h != size.h)
		return err("%s: of %" PRId64 " x %" PRId64 " pixels, its image has %d x %d", key, w,
		    h, size.w, size.h);
	if (!it->resized)
		return 0;
	if (strings_open(&s, f))
		return -1;
	if (s.array)
		sb_putc(&it->rle, '[');
	while ((more = strings_next(&s, key, &rle)) > 0) {
		if (s.array && it->rle.len > 1)
			sb_putc(&it->rle, ',');
		if ((more = add_rle(it, o, size, rle)) < 0)
			break;
	}
	if (s.array)
		sb_putc(&it->rle, ']');
	strings_close(&s);
	return more;
}

static int
make_masks(struct pack_item *it, const struct pack_opts *o, const struct pack_wish *wish,
    struct size size, struct rec *r)
{
	const struct rec_field *f = get_set(r, "mask_file_name");
	struct strings s;
	const char *name;
	int more = 0;

	if (f) {
		const char *path = rec_path(r, "mask_file_name");
		struct stat st;

		if (!path)
			return -1;
		it->single = true;
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) ?
		        mask_from_folder(it, o, size, path) :
		        mask_from_file(it, o, wish, size, path))
			return -1;
	}
	f = get_set(r, "mask_file_names");
	if (f) {
		if (strings_open(&s, f))
			return -1;
		while ((more = strings_next(&s, f->key, &name)) > 0) {
			/* the path lives as long as the record, which may keep a part of name */
			name = arena_strndup(&r->mem, name, strlen(name));
			if ((more = mask_from_file(it, o, wish, size, rec_path_of(r, name))) < 0)
				break;
		}
		strings_close(&s);
	}
	return more;
}

/* ---- all ------------------------------------------------------------------------------------- */

int
pack_item_make(struct pack_item *it, const struct pack_opts *o, const struct pack_wish *wish,
    struct rec *r)
{
	const char *path = rec_path(r, "file_name");
	struct size size;

	*it = (struct pack_item){ 0 };
	if (!path || file_load(&it->image, path))
		return -1;
	size = (struct size){ it->image.w, it->image.h };
	if (make_image(it, o, wish, path))
		return -1;
	if (!wish->masks)
		return 0;
	return make_masks(it, o, wish, size, r) || make_rle(it, o, size, r) ? -1 : 0;
}

void
pack_item_release(struct pack_item *it)
{
	file_release(&it->image);
	for (size_t i = 0; i < it->nmasks; i++)
		file_release(&it->mask[i]);
	free(it->mask);
	sb_release(&it->rle);
	*it = (struct pack_item){ 0 };
}

static void
put_name(struct sb *json, const char *dir, const char *name)
{
	char *path = path_join(dir, name);

	json_put_str(json, path, strlen(path));
	free(path);
}

static void
tell_masks(const struct pack_item *it, struct rec *r, const char *dir, char *const *masks)
{
	const struct rec_field *f = get_set(r, "mask_file_names");
	struct sb json = { 0 };

	if (it->single) {
		put_name(&json, dir, masks[0]);
		rec_set_raw(r, "mask_file_name", json.s, json.len);
	}
	if (f) {
		bool array = f->type == JSON_ARRAY;

		sb_clear(&json);
		if (array)
			sb_putc(&json, '[');
		for (size_t i = it->single; i < it->nmasks; i++) {
			if (i > it->single)
				sb_putc(&json, ',');
			put_name(&json, dir, masks[i]);
		}
		if (array)
			sb_putc(&json, ']');
		rec_set_raw(r, "mask_file_names", json.s, json.len);
	}
	if (it->rle.len)
		rec_set_raw(r, "mask_rle", it->rle.s, it->rle.len);
	sb_release(&json);
}

void
pack_item_tell(const struct pack_item *it, struct rec *r, const char *dir, const char *file,
    char *const *masks)
{
	char *path = path_join(dir, file);

	rec_set_str(r, "file_name", path);
	free(path);
	if (masks) {
		tell_masks(it, r, dir, masks);
	} else {
		rec_del(r, "mask_file_name");
		rec_del(r, "mask_file_names");
		rec_del(r, "mask_rle");
	}
	if (it->resized && rec_get(r, "width"))
		rec_set_int(r, "width", it->image.w);
	if (it->resized && rec_get(r, "height"))
		rec_set_int(r, "height", it->image.h);
}
