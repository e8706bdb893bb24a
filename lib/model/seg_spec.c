/* How images become input and masks target, as JSON: a part of a trained model. */
#include "base/err.h"
#include "model/seg_data.h"

#include <stdio.h>
#include <string.h>

static const char *const modes[] = { "binary", "multiclass", "multilabel" };

static void
put_nums(struct sb *sb, const char *key, const double *v, int n)
{
	sb_printf(sb, ",\"%s\":[", key);
	for (int i = 0; i < n; i++) {
		if (i)
			sb_putc(sb, ',');
		json_put_num(sb, v[i]);
	}
	sb_putc(sb, ']');
}

void
seg_spec_put(const struct seg_spec *s, struct sb *sb)
{
	sb_printf(sb,
	    "\"mode\":\"%s\",\"channels\":%d,\"classes\":%d,\"resize\":[%d,%d],\"crop\":[%d,%d],"
	    "\"antialias\":%s,\"soft_masks\":%s,\"ignore_index\":%d",
	    modes[s->mode], s->channels, s->classes, s->resize_w, s->resize_h, s->crop_w, s->crop_h,
	    s->antialias ? "true" : "false", s->soft ? "true" : "false", s->ignore);
	put_nums(sb, "mean", s->mean, s->channels);
	put_nums(sb, "std", s->std, s->channels);
	sb_puts(sb, ",\"class_dict\":[");
	for (size_t i = 0; i < s->dict.n; i++) {
		const uint8_t *c = s->dict.rgb[i];

		sb_puts(sb, i ? ",{\"name\":" : "{\"name\":");
		json_put_str(sb, s->dict.name[i], strlen(s->dict.name[i]));
		sb_printf(sb, ",\"r\":%d,\"g\":%d,\"b\":%d}", c[0], c[1], c[2]);
	}
	sb_putc(sb, ']');
}

static int
get_int(const struct json *j, int v, int64_t lo, int64_t hi, const char *key, int *out)
{
	int64_t x;

	if (json_int(j, v, &x) || x < lo || x > hi)
		return err("%s: want a number in %lld..%lld", key, (long long)lo, (long long)hi);
	*out = (int)x;
	return 0;
}

static int
get_pair(const struct json *j, int v, const char *key, int *a, int *b)
{
	int m = json_get(j, v, key);

	return get_int(j, json_at(j, m, 0), 0, IMAGE_MAX_SIDE, key, a) ||
	    get_int(j, json_at(j, m, 1), 0, IMAGE_MAX_SIDE, key, b) ? -1 : 0;
}

static int
get_nums(const struct json *j, int v, const char *key, double *out, int n)
{
	int a = json_get(j, v, key);

	for (int i = 0; i < n; i++)
		if (json_num(j, json_at(j, a, i), &out[i]))
			return err("%s: want %d numbers", key, n);
	return 0;
}

static int
get_dict(struct class_dict *d, const struct json *j, int a, struct arena *mem)
{
	for (int i = 0; a >= 0 && i < j->v[a].size; i++) {
		int v = json_at(j, a, i), c[3] = { 0 };
		const char *name = json_str(j, json_get(j, v, "name"), mem);

		if (!name || i >= SEG_NO_CLASS ||
		    get_int(j, json_get(j, v, "r"), 0, 255, "r", &c[0]) ||
		    get_int(j, json_get(j, v, "g"), 0, 255, "g", &c[1]) ||
		    get_int(j, json_get(j, v, "b"), 0, 255, "b", &c[2]))
			return err("class_dict: entry %d is no name with a colour", i);
		class_dict_add(d, name, c[0], c[1], c[2]);
	}
	return 0;
}

static int
get_all(struct seg_spec *s, const struct json *j, int v, struct arena *mem)
{
	const char *mode = json_str(j, json_get(j, v, "mode"), mem);

	for (int i = 0; i < 3; i++)
		if (mode && !strcmp(mode, modes[i]))
			s->mode = (enum seg_mode)i;
	if (!mode || strcmp(mode, modes[s->mode]))
		return err("mode: want " SEG_MODES);
	if (get_int(j, json_get(j, v, "channels"), 1, 3, "channels", &s->channels) ||
	    get_int(j, json_get(j, v, "classes"), 1, SEG_NO_CLASS, "classes", &s->classes) ||
	    get_pair(j, v, "resize", &s->resize_w, &s->resize_h) ||
	    get_pair(j, v, "crop", &s->crop_w, &s->crop_h) ||
	    get_int(j, json_get(j, v, "ignore_index"), -1, 255, "ignore_index", &s->ignore) ||
	    get_nums(j, v, "mean", s->mean, s->channels) ||
	    get_nums(j, v, "std", s->std, s->channels))
		return -1;
	for (int k = 0; k < s->channels; k++)
		if (!(s->std[k] > 0))
			return err("std: want positive numbers");
	if (json_bool(j, json_get(j, v, "antialias"), &s->antialias) ||
	    json_bool(j, json_get(j, v, "soft_masks"), &s->soft))
		return -1;
	return get_dict(&s->dict, j, json_get(j, v, "class_dict"), mem);
}

int
seg_spec_get(struct seg_spec *s, const struct json *j, int v)
{
	struct arena mem = { 0 };
	int r;

	*s = (struct seg_spec){ 0 };
	r = v < 0 || j->v[v].type != JSON_OBJECT ? err("no input is described")
	    : get_all(s, j, v, &mem);
	arena_release(&mem);
	if (r)
		seg_spec_release(s);
	return r;
}

void
seg_spec_release(struct seg_spec *s)
{
	class_dict_release(&s->dict);
}
