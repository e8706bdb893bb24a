#include "model/sd_data.h"

#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "data/image_exif.h"
#include "nn/loader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
sd_data_init(struct sd_data *d, const struct sd_data_conf *conf, size_t room)
{
	*d = (struct sd_data){ .conf = *conf, .room = room, .hash = 14695981039346656037u };
}

static void
item_release(struct sd_item *it)
{
	for (int i = 0; i < it->ntext; i++)
		free(it->text[i]);
	free(it->text);
	free(it->id);
	free(it->path);
	free(it->input);
	free(it->bad);
	image_release(&it->image);
}

void
sd_data_release(struct sd_data *d)
{
	for (size_t i = 0; i < d->n; i++)
		item_release(&d->item[i]);
	free(d->item);
	*d = (struct sd_data){ 0 };
}

/* ---- records --------------------------------------------------------------------------------- */

static void
add_text(struct sd_item *it, const char *s)
{
	it->text = xrealloc(it->text, ((size_t)it->ntext + 1) * sizeof(*it->text));
	it->text[it->ntext++] = xstrdup(s);
}

/* "12_a cell (3).png" is "a cell": without digits, ( ) and -, with a space for _; then what
 * STEM.txt says, where there is one. */
static void
text_of_name(const struct sd_data_conf *c, const char *path, struct sd_item *it)
{
	const char *base = path_base(path);
	size_t stem = strlen(base) - strlen(path_ext(path)), len, end;
	char *file, *more;
	struct sb sb = { 0 };

	sb_puts(&sb, "");
	for (size_t i = 0; i < stem; i++)
		if (!strchr("0123456789()-", base[i]))
			sb_putc(&sb, base[i] == '_' ? ' ' : base[i]);
	if (c->captions_dir) {
		file = xasprintf("%s/%.*s.txt", c->captions_dir, (int)stem, base);
		if (file_exists(file) && file_read(file, 1 << 20, &more, &len) == 0) {
			for (end = len; end && strchr(" \r\n\t", more[end - 1]); end--)
				;
			sb_printf(&sb, "%s%.*s", sb.len ? " " : "", (int)end, more);
			free(more);
		}
		free(file);
	}
	add_text(it, sb.s);
	sb_release(&sb);
}

/* A caption, or a list of them to choose from. */
static int
captions_of(const struct sd_data_conf *c, struct rec *r, struct sd_item *it)
{
	const struct rec_field *f = rec_get(r, c->caption_key);
	struct arena mem = { 0 };
	struct json j;
	int ret = 0;

	if (c->from_names) {
		text_of_name(c, it->path, it);
		return 0;
	}
	if (c->prompt) {
		add_text(it, c->prompt);
		return 0;
	}
	if (!f || f->type == JSON_NULL)
		return err("no %s", c->caption_key);
	if (f->type == JSON_STRING) {
		const char *s = rec_str(r, c->caption_key);

		if (!s)
			return err("%s: not a text", c->caption_key);
		add_text(it, s);
		return 0;
	}
	if (f->type != JSON_ARRAY)
		return err("%s: neither a text nor a list of texts", c->caption_key);
	if (json_parse(&j, f->raw, f->rawlen))
		return -1;
	for (int i = 0, v = 1; i < j.v[0].size && !ret; i++, v = j.v[v].next) {
		const char *s = json_str(&j, v, &mem);

		if (s)
			add_text(it, s);
		else
			ret = err("%s: a list of something else than texts", c->caption_key);
	}
	if (!ret && !it->ntext)
		ret = err("%s: an empty list", c->caption_key);
	json_release(&j);
	arena_release(&mem);
	return ret;
}

/* The class: by its label, by its number, or by what follows the head of the caption. */
static int
class_of(const struct sd_data_conf *c, struct rec *r, struct sd_item *it)
{
	const char *label = rec_text(r, c->label_key), *text = rec_str(r, c->caption_key);
	size_t head = c->prompt_head ? strlen(c->prompt_head) : 0;
	char *name = NULL;
	int64_t number;

	if (!label && text && c->prompt_head && strncmp(text, c->prompt_head, head) == 0) {
		name = xstrdup(text + head);
		for (size_t n = strlen(name); n && strchr(" \n\r\t", name[n - 1]); n--)
			name[n - 1] = 0;
		label = name;
	}
	if (!label)
		return err("no %s", c->label_key);
	it->cls = class_config_find(c->classes, label);
	if (it->cls < 0 && parse_int(label, 0, c->classes->classes - 1, &number) == 0)
		it->cls = (int)number;
	if (it->cls < 0)
		err("%s: the model has no class \"%s\"", c->label_key, label);
	free(name);
	return it->cls < 0 ? -1 : 0;
}

static void
keep(struct sd_data *d, const struct sd_item *it)
{
	d->item = xgrow(d->item, &d->cap, d->n + 1, sizeof(*d->item));
	d->item[d->n++] = *it;
}

int
sd_data_add(struct sd_data *d, struct rec *r)
{
	const struct sd_data_conf *c = &d->conf;
	struct sd_item it = { .lineno = r->lineno };
	const char *path = rec_path(r, c->image_key);
	struct sb line = { 0 };
	int ret;

	if (!path)
		return -1;
	it.path = xstrdup(path);
	ret = split_set_of(r, &it.split);
	if (it.split < 0)
		it.split = SET_TRAIN;
	if (ret == 0)
		ret = c->classes ? class_of(c, r, &it) : captions_of(c, r, &it);
	if (ret) {
		item_release(&it);
		return -1;
	}
	it.id = xstrdup(rec_id(r));
	it.input = xstrdup(r->input ? r->input : "-");
	rec_write(r, &line);
	d->hash = (d->hash ^ fnv1a(line.s, line.len)) * 1099511628211u;
	sb_release(&line);
	keep(d, &it);
	return 0;
}

void
sd_data_add_file(struct sd_data *d, const char *path)
{
	struct sd_item it = { .id = xstrdup(path_base(path)), .path = xstrdup(path),
		.input = xstrdup("-") };

	if (d->conf.from_names)
		text_of_name(&d->conf, path, &it);
	else
		add_text(&it, d->conf.prompt);
	d->hash = (d->hash ^ fnv1a(it.id, strlen(it.id))) * 1099511628211u;
	keep(d, &it);
}

int64_t
sd_data_add_folder(struct sd_data *d, const char *dir)
{
	struct arena mem = { 0 };
	int64_t images = 0;
	char **name;
	size_t n;

	if (dir_names(dir, &mem, &name, &n))
		return -1;
	for (size_t i = 0; i < n; i++) {
		char *path = path_join(dir, name[i]);

		if (image_is_name(name[i])) {
			sd_data_add_file(d, path);
			images++;
		}
		free(path);
	}
	free(name);
	arena_release(&mem);
	return images;
}

void
sd_data_take(struct sd_data *from, int split, struct sd_data *to)
{
	size_t n = 0;

	for (size_t i = 0; i < from->n; i++)
		if (from->item[i].split != split)
			from->item[n++] = from->item[i];
		else if (to)
			keep(to, &from->item[i]);
		else
			item_release(&from->item[i]);
	from->n = n;
}

void
sd_data_limit(struct sd_data *d, int64_t most)
{
	uint32_t *order = xmalloc((d->n + 1) * sizeof(*order));
	const char **id = xmalloc((d->n + 1) * sizeof(*id));
	bool *in = xcalloc(d->n + 1, sizeof(*in));
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		id[i] = d->item[i].id;
	loader_shuffle(order, id, d->n, d->conf.seed, UINT64_MAX);
	for (size_t i = 0; i < d->n && i < (size_t)most; i++)
		in[order[i]] = true;
	for (size_t i = 0; i < d->n; i++)
		if (in[i])
			d->item[n++] = d->item[i];
		else
			item_release(&d->item[i]);
	d->n = n;
	free(order);
	free(id);
	free(in);
}

/* ---- reading --------------------------------------------------------------------------------- */

int
sd_data_decode(const struct sd_data_conf *c, const struct sd_item *it, struct image *out)
{
	struct image im = { 0 };
	int64_t res = c->resolution, w, h;

	if (image_read(&im, it->path, c->channels, 8))
		return -1;
	if (c->upright)
		image_upright(&im, image_orientation(it->path));
	/* as torchvision: the other side is cut to a whole number */
	w = im.w <= im.h ? res : res * im.w / im.h;
	h = im.w <= im.h ? res * im.h / im.w : res;
	if (w > IMAGE_MAX_SIDE || h > IMAGE_MAX_SIDE) {
		err("%s: %d x %d pixels are too narrow", it->path, im.w, im.h);
		image_release(&im);
		return -1;
	}
	if (w == im.w && h == im.h) {
		*out = im;
		return 0;
	}
	image_resize(out, &im, (int)w, (int)h, FILTER_BILINEAR);
	image_release(&im);
	return 0;
}

static void
read_one(void *ctx, size_t i)
{
	struct sd_data *d = ctx;
	struct sd_item *it = &d->item[i];
	struct image im = { 0 };
	size_t size;

	if (sd_data_decode(&d->conf, it, &im)) {
		it->bad = xstrdup(errmsg());
		return;
	}
	size = (size_t)im.w * (size_t)im.h * (size_t)im.c;
	if (threads_take(&d->room, size))
		it->image = im;
	else
		image_release(&im);
}

size_t
sd_data_read(struct sd_data *d, int jobs, int (*stop)(void))
{
	size_t bad = 0;

	threads_each(d->n, (size_t)jobs, stop, read_one, d);
	for (size_t i = 0; i < d->n; i++)
		bad += d->item[i].bad != NULL;
	return bad;
}

void
sd_data_drop_bad(struct sd_data *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->item[i].bad)
			item_release(&d->item[i]);
		else
			d->item[n++] = d->item[i];
	d->n = n;
}

void
sd_data_tell_bad(const struct sd_data *d, bool strict)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct sd_item *it = &d->item[i];

		if (!it->bad)
			continue;
		warn("%s:%" PRIu64 ": %s: %s", it->input, it->lineno, it->id, it->bad);
		if (strict)
			exit(EXIT_FATAL);
	}
}

char *
sd_data_metadata(const char *dir)
{
	char *whole = path_join(dir, "metadata.jsonl"),
	     *train = path_join(dir, "train/metadata.jsonl");
	char *found = file_exists(whole) ? whole : file_exists(train) ? train : NULL;

	if (found != whole)
		free(whole);
	if (found != train)
		free(train);
	if (!found)
		err("%s: neither metadata.jsonl nor train/metadata.jsonl", dir);
	return found;
}
