#include "model/sd_blocks.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

static bool
is_only(const struct json *j, int v, const char *value)
{
	struct arena mem = { 0 };
	const char *text;
	bool same, truth;
	double x;

	switch (j->v[v].type) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return json_bool(j, v, &truth) == 0 && strcmp(truth ? "true" : "false", value) == 0;
	case JSON_NUMBER:
		return json_num(j, v, &x) == 0 && *value >= '0' && *value <= '9' &&
		    x == strtod(value, NULL);
	case JSON_STRING:
		text = json_str(j, v, &mem);
		same = text && strcmp(text, value) == 0;
		arena_release(&mem);
		return same;
	case JSON_ARRAY:
		for (int i = 0, e = v + 1; i < j->v[v].size; i++, e = j->v[e].next)
			if (j->v[e].type == JSON_ARRAY || !is_only(j, e, value))
				return false;
		return true;
	default:
		return false;
	}
}

int
sd_config_only(const struct json *j, int v, const struct sd_only *o)
{
	for (; o->key; o++) {
		int at = json_get(j, v, o->key);

		if (at >= 0 && !is_only(j, at, o->value))
			return err("%s %.*s is not supported (%s is)", o->key,
			    (int)(j->v[at].end - j->v[at].start), j->text + j->v[at].start,
			    o->value);
	}
	return 0;
}

void
gn_layer_init(struct gn_layer *l, struct params *ps, int64_t c, int groups, double eps,
    const char *fmt, ...)
{
	LAYER_NAMED(name, fmt);

	*l = (struct gn_layer){ .groups = groups, .eps = eps };
	params_add(ps, &l->w, PARAM_PLAIN, 1, &c, "%s.weight", name);
	params_add(ps, &l->b, PARAM_PLAIN, 1, &c, "%s.bias", name);
}

struct tensor *
gn_layer_forward(const struct gn_layer *l, struct tensor *x, enum act act)
{
	return op_group_norm(x, l->groups, l->w, l->b, l->eps, act);
}

void
ln_layer_init(struct ln_layer *l, struct params *ps, int64_t c, double eps, const char *fmt, ...)
{
	LAYER_NAMED(name, fmt);

	*l = (struct ln_layer){ .eps = eps };
	params_add(ps, &l->w, PARAM_PLAIN, 1, &c, "%s.weight", name);
	params_add(ps, &l->b, PARAM_PLAIN, 1, &c, "%s.bias", name);
}

struct tensor *
ln_layer_forward(const struct ln_layer *l, struct tensor *x)
{
	return op_layer_norm(x, l->w, l->b, l->eps);
}

void
sd_resnet_init(struct sd_resnet *r, struct params *ps, int64_t in, int64_t out, int64_t time,
    int groups, double eps, const char *fmt, ...)
{
	LAYER_NAMED(name, fmt);

	*r = (struct sd_resnet){ 0 };
	gn_layer_init(&r->norm1, ps, in, groups, eps, "%s.norm1", name);
	conv_layer_init(&r->conv1, ps, in, out, 3, CONV_SAME(3), true, "%s.conv1", name);
	if (time)
		linear_layer_init(&r->time, ps, time, out, true, "%s.time_emb_proj", name);
	gn_layer_init(&r->norm2, ps, out, groups, eps, "%s.norm2", name);
	conv_layer_init(&r->conv2, ps, out, out, 3, CONV_SAME(3), true, "%s.conv2", name);
	if (in != out)
		conv_layer_init(&r->shortcut, ps, in, out, 1, (struct conv){ 0 }, true,
		    "%s.conv_shortcut", name);
}

/* What lies between goes at once. */
static struct tensor *
norm_conv(const struct gn_layer *norm, const struct conv_layer *conv, struct tensor *x)
{
	scope_open();
	return scope_keep(conv_layer_forward(conv, gn_layer_forward(norm, x, ACT_SILU)));
}

struct tensor *
sd_resnet_forward(const struct sd_resnet *r, struct tensor *x, struct tensor *time)
{
	struct tensor *h;

	scope_open();
	scope_open();
	h = norm_conv(&r->norm1, &r->conv1, x);
	if (r->time.w) {
		struct tensor *t = linear_layer_forward(&r->time, time, ACT_NONE);

		h = op_add(h, op_view(t, t->dim[0], 1, 1, t->dim[1]));
	}
	h = scope_keep(norm_conv(&r->norm2, &r->conv2, h));
	if (r->shortcut.w)
		x = conv_layer_forward(&r->shortcut, x);
	return scope_keep(op_add(x, h));
}

void
sd_downsample_init(struct conv_layer *l, struct params *ps, int64_t c, bool asymmetric,
    const char *fmt, ...)
{
	struct conv geo = { .stride = 2, .left = !asymmetric, .top = !asymmetric, .right = 1,
		.bottom = 1 };
	LAYER_NAMED(name, fmt);

	conv_layer_init(l, ps, c, c, 3, geo, true, "%s", name);
}

void
sd_upsample_init(struct conv_layer *l, struct params *ps, int64_t c, const char *fmt, ...)
{
	LAYER_NAMED(name, fmt);

	conv_layer_init(l, ps, c, c, 3, CONV_SAME(3), true, "%s", name);
	params_up2(ps, &l->w);
}

struct tensor *
sd_upsample(const struct conv_layer *l, struct tensor *x, int h, int w)
{
	struct tensor *y;

	scope_open();
	if (h == 2 * x->dim[1] && w == 2 * x->dim[2] && !l->adapter)
		y = op_up2_conv2d(x, layer_weight(l->w, x), l->b);
	else
		y = conv_layer_forward(l, op_resize_nearest(x, h, w));
	return scope_keep(y);
}
