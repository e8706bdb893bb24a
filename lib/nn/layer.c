#include "nn/layer.h"

#include "base/err.h"

#include <stdio.h>

void
layer_name(char name[LAYER_NAME], const char *fmt, va_list ap)
{
	int n = vsnprintf(name, LAYER_NAME, fmt, ap);

	if (n < 0 || n >= LAYER_NAME)
		die("layer: a name is too long");
}

struct tensor *
layer_weight(struct tensor *w, const struct tensor *x)
{
	return w->buf ? op_cast(w, x->dtype) : w;
}

void
conv_layer_init(struct conv_layer *l, struct params *ps, int64_t in, int64_t out, int k,
    struct conv geo, bool bias, const char *fmt, ...)
{
	int64_t groups = geo.groups ? geo.groups : 1;
	LAYER_NAMED(name, fmt);

	*l = (struct conv_layer){ .geo = geo };
	params_add(ps, &l->w, PARAM_CONV, 4, (int64_t[]){ out, in / groups, k, k }, "%s.weight",
	    name)
	    ->adapter = &l->adapter;
	if (groups > 1)
		params_keep(ps, &l->w);
	if (bias)
		params_add(ps, &l->b, PARAM_PLAIN, 1, &out, "%s.bias", name);
}

/* y + scale b (a x); h: a x. */
static struct tensor *
add_adapter(const struct adapter *ad, struct tensor *h, struct tensor *y)
{
	return op_add(y, op_linear(op_affine(h, ad->scale, 0), op_cast(ad->b, y->dtype), NULL));
}

struct tensor *
conv_layer_forward(const struct conv_layer *l, struct tensor *x)
{
	struct tensor *y;

	scope_open();
	y = op_conv2d(x, layer_weight(l->w, x), l->b, l->geo);
	if (l->adapter)
		y = add_adapter(l->adapter,
		    op_conv2d(x, op_cast(l->adapter->a, x->dtype), NULL, l->geo), y);
	return scope_keep(y);
}

void
bn_layer_init(struct bn_layer *l, struct params *ps, int64_t c, double momentum, double eps,
    const char *fmt, ...)
{
	LAYER_NAMED(name, fmt);

	*l = (struct bn_layer){ .momentum = momentum, .eps = eps };
	params_add(ps, &l->w, PARAM_PLAIN, 1, &c, "%s.weight", name);
	params_add(ps, &l->b, PARAM_PLAIN, 1, &c, "%s.bias", name);
	params_add(ps, &l->mean, PARAM_BUFFER, 1, &c, "%s.running_mean", name);
	params_add(ps, &l->var, PARAM_BUFFER, 1, &c, "%s.running_var", name);
	l->count = params_add(ps, NULL, PARAM_COUNT, 0, NULL, "%s.num_batches_tracked", name);
}

struct tensor *
bn_layer_forward(const struct bn_layer *l, struct tensor *x, bool train, enum act act)
{
	if (train)
		l->count->count++;
	return op_batch_norm(x, l->w, l->b, l->mean, l->var, l->momentum, l->eps, train, act);
}

void
conv_bn_init(struct conv_layer *c, struct bn_layer *l, struct params *ps, int64_t in, int64_t out,
    int k, struct conv geo, bool folded, double momentum, double eps, const char *conv,
    const char *bn)
{
	*l = (struct bn_layer){ 0 };
	conv_layer_init(c, ps, in, out, k, geo, folded, "%s", conv);
	if (!folded)
		bn_layer_init(l, ps, out, momentum, eps, "%s", bn);
}

struct tensor *
conv_bn_forward(const struct conv_layer *c, const struct bn_layer *l, struct tensor *x, bool train,
    enum act act)
{
	if (!l->w)
		return op_conv2d_act(x, c->w, c->b, c->geo, act);
	return bn_layer_forward(l, conv_layer_forward(c, x), train, act);
}

void
linear_layer_init(struct linear_layer *l, struct params *ps, int64_t in, int64_t out, bool bias,
    const char *fmt, ...)
{
	LAYER_NAMED(name, fmt);

	*l = (struct linear_layer){ 0 };
	params_add(ps, &l->w, PARAM_MATRIX, 2, (int64_t[]){ out, in }, "%s.weight", name)->adapter =
	    &l->adapter;
	if (bias)
		params_add(ps, &l->b, PARAM_PLAIN, 1, &out, "%s.bias", name);
}

void
linear_layer_init_1x1(struct linear_layer *l, struct params *ps, int64_t in, int64_t out, bool bias,
    const char *fmt, ...)
{
	LAYER_NAMED(name, fmt);

	*l = (struct linear_layer){ 0 };
	params_add(ps, &l->w, PARAM_MATRIX, 4, (int64_t[]){ out, in, 1, 1 }, "%s.weight", name)
	    ->adapter = &l->adapter;
	if (bias)
		params_add(ps, &l->b, PARAM_PLAIN, 1, &out, "%s.bias", name);
}

struct tensor *
linear_layer_forward(const struct linear_layer *l, struct tensor *x, enum act act)
{
	const struct adapter *ad = l->adapter;
	struct tensor *w, *y;

	scope_open();
	w = layer_weight(l->w, x);
	if (ad)
		y = op_act(add_adapter(ad, op_linear(x, op_cast(ad->a, x->dtype), NULL),
		    op_linear(x, w, l->b)), act);
	else
		y = act == ACT_NONE ? op_linear(x, w, l->b) : op_linear_act(x, w, l->b, act);
	return scope_keep(y);
}
