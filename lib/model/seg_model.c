#include "model/seg_model.h"

#include "base/err.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>

static int
get_config(struct seg_model *m, struct segnet_config *c, const struct json *j)
{
	int v = json_get(j, 0, "threshold");

	if (segnet_config_get(c, j, json_get(j, 0, "net")) ||
	    seg_spec_get(&m->spec, j, json_get(j, 0, "input")))
		return -1;
	if (json_num(j, v, &m->threshold) || m->threshold < 0 || m->threshold > 1)
		return err("threshold: want a number in 0..1");
	if (c->in_channels != m->spec.channels || c->classes != m->spec.classes)
		return err("net and input differ in channels or classes");
	return 0;
}

int
seg_model_load(struct seg_model *m, const char *dir, bool train)
{
	char *config = path_join(dir, "config.json"),
	     *weights = path_join(dir, "weights.safetensors");
	struct segnet_config c;
	struct json j;
	char *text;
	int r;

	*m = (struct seg_model){ 0 };
	r = json_read_file(&j, &text, config);
	if (!r) {
		r = get_config(m, &c, &j);
		if (r)
			err_prefix("%s", config);
		json_release(&j);
		free(text);
	}
	if (!r)
		r = segnet_init(&m->net, &c, train) || params_load_file(&m->net.ps, weights, 0) ? -1
		    : 0;
	if (r)
		seg_model_release(m);
	free(config);
	free(weights);
	return r;
}

void
seg_model_release(struct seg_model *m)
{
	segnet_release(&m->net);
	seg_spec_release(&m->spec);
	*m = (struct seg_model){ 0 };
}

void
seg_model_put(const struct seg_model *m, struct sb *sb)
{
	sb_puts(sb, "\"model_type\":\"segmentation\",\"net\":{");
	segnet_config_put(&m->net.cfg, sb);
	sb_puts(sb, "},\"input\":{");
	seg_spec_put(&m->spec, sb);
	sb_putc(sb, '}');
	json_add_num(sb, "threshold", m->threshold);
}

struct tensor *
seg_probabilities(const struct seg_model *m, struct tensor *out)
{
	if (m->net.cfg.activation != SEG_NONE)
		return out;
	return m->spec.mode == SEG_MULTICLASS ? op_softmax(out) : op_sigmoid(out);
}

/* ---- prediction ------------------------------------------------------------------------------ */

/* Windows of one size over planes [c][h][w], and their probabilities added up. */
struct canvas {
	const struct seg_model *m;
	const float *in;
	int h, w, wh, ww;  /* the image; a window */
	int ramp;          /* pixels over which a window's weight rises */
	float *sum, *weight;
};

/* Window at (x, y) as the net reads it: [wh][ww][c], mirrored outside of the image. */
static void
cut(const struct canvas *k, int x, int y, float *dst)
{
	const struct seg_spec *s = &k->m->spec;

	for (int j = 0; j < k->wh; j++)
		for (int i = 0; i < k->ww; i++) {
			size_t sx = (size_t)augment_mirror(x + i, k->w),
			       sy = (size_t)augment_mirror(y + j, k->h);

			for (int c = 0; c < s->channels; c++)
				*dst++ =
				    (k->in[((size_t)c * (size_t)k->h + sy) * (size_t)k->w + sx] -
				        (float)s->mean[c]) /
				    (float)s->std[c];
		}
}

/* How much a pixel of a window counts: less near its borders. */
static float
ramp(int i, int n, int over)
{
	int edge = i < n - 1 - i ? i : n - 1 - i;

	return edge >= over ? 1.0f : ((float)edge + 0.5f) / (float)over;
}

static void
paste(struct canvas *k, int x, int y, const float *p)
{
	int classes = k->m->spec.classes;
	size_t plane = (size_t)k->h * (size_t)k->w;

	for (int j = 0; j < k->wh; j++)
		for (int i = 0; i < k->ww; i++, p += classes) {
			int tx = x + i, ty = y + j;
			float a = ramp(i, k->ww, k->ramp) * ramp(j, k->wh, k->ramp);
			size_t at = (size_t)ty * (size_t)k->w + (size_t)tx;

			if (tx < 0 || ty < 0 || tx >= k->w || ty >= k->h)
				continue;
			for (int c = 0; c < classes; c++)
				k->sum[(size_t)c * plane + at] += a * p[c];
			k->weight[at] += a;
		}
}

/* n windows at once. */
static void
run_windows(struct canvas *k, int (*at)[2], int n)
{
	size_t px = (size_t)k->wh * (size_t)k->ww;
	size_t in = px * (size_t)k->m->spec.channels, out = px * (size_t)k->m->spec.classes;
	float *x = xmalloc((size_t)n * in * sizeof(*x)), *y = xmalloc((size_t)n * out * sizeof(*y));
	bool grads = grads_set(false);
	struct tensor *t;

	for (int i = 0; i < n; i++)
		cut(k, at[i][0], at[i][1], x + (size_t)i * in);
	scope_open();
	t = tensor_from(F32, 4, (int64_t[]){ n, k->wh, k->ww, k->m->spec.channels }, x);
	t = seg_probabilities(k->m, segnet_forward(&k->m->net, t, false, 0, NULL));
	tensor_get(t, y);
	scope_close();
	for (int i = 0; i < n; i++)
		paste(k, at[i][0], at[i][1], y + (size_t)i * out);
	grads_set(grads);
	free(x);
	free(y);
}

/* Where windows begin along a side of n: every `step`, the last one at the end. */
static int
starts(int n, int window, int step, int **at)
{
	int count = n <= window ? 1 : (n - window + step - 1) / step + 1;

	*at = xmalloc((size_t)count * sizeof(**at));
	for (int i = 0; i < count; i++)
		(*at)[i] = n <= window ? -((window - n) / 2) : i * step < n - window ? i *
		    step : n - window;
	return count;
}

static void
run_all(struct canvas *k, const struct seg_tiling *t)
{
	int *xs, *ys, nx = starts(k->w, k->ww, k->ww - t->overlap, &xs);
	int ny = starts(k->h, k->wh, k->wh - t->overlap, &ys), n = 0;
	int (*at)[2] = xmalloc((size_t)t->batch * sizeof(*at));
	size_t plane = (size_t)k->h * (size_t)k->w;

	for (int j = 0; j < ny; j++)
		for (int i = 0; i < nx; i++) {
			at[n][0] = xs[i];
			at[n][1] = ys[j];
			if (++n == t->batch || (i == nx - 1 && j == ny - 1)) {
				run_windows(k, at, n);
				n = 0;
			}
		}
	for (int c = 0; c < k->m->spec.classes; c++)
		for (size_t i = 0; i < plane; i++)
			k->sum[(size_t)c * plane + i] /= k->weight[i];
	free(xs);
	free(ys);
	free(at);
}

float *
seg_predict(const struct seg_model *m, const struct image *im, const struct seg_tiling *t)
{
	const struct seg_spec *s = &m->spec;
	int unit = 1 << m->net.cfg.depth, h = im->h, w = im->w;
	float *in = seg_planar(im, s->channels), *out;
	bool resize = !t->tile && s->resize_w && (s->resize_w != w || s->resize_h != h);
	struct canvas k = { .m = m };

	if (resize) {
		float *small = xmalloc((size_t)s->channels * (size_t)s->resize_w *
		    (size_t)s->resize_h * sizeof(*small));

		if (image_resize_f32(small, in, s->channels, h, w, s->resize_h, s->resize_w,
		        s->antialias))
			die("%s", errmsg());
		free(in);
		in = small;
		h = s->resize_h;
		w = s->resize_w;
	}
	k.in = in;
	k.h = h;
	k.w = w;
	k.wh = t->tile ? t->tile : (h + unit - 1) / unit * unit;
	k.ww = t->tile ? t->tile : (w + unit - 1) / unit * unit;
	k.ramp = t->tile ? t->overlap : 0;
	k.sum = xcalloc((size_t)s->classes * (size_t)h * (size_t)w, sizeof(float));
	k.weight = xcalloc((size_t)h * (size_t)w, sizeof(float));
	run_all(&k, t->tile ? t : &(struct seg_tiling){ .batch = 1 });
	free(in);
	free(k.weight);
	if (!resize)
		return k.sum;
	out = xmalloc((size_t)s->classes * (size_t)im->h * (size_t)im->w * sizeof(*out));
	if (image_resize_f32(out, k.sum, s->classes, h, w, im->h, im->w, false))
		die("%s", errmsg());
	free(k.sum);
	return out;
}

void
seg_decide(const struct seg_model *m, const float *prob, int w, int h, uint8_t *labels)
{
	size_t n = (size_t)w * (size_t)h;
	int classes = m->spec.classes;

	for (size_t i = 0; i < n; i++) {
		int best = 0;

		for (int c = 1; c < classes; c++)
			if (prob[(size_t)c * n + i] > prob[(size_t)best * n + i])
				best = c;
		if (m->spec.mode == SEG_BINARY)
			labels[i] = prob[i] >= (float)m->threshold;
		else if (m->spec.mode == SEG_MULTILABEL &&
		    prob[(size_t)best * n + i] < (float)m->threshold)
			labels[i] = SEG_NO_CLASS;
		else
			labels[i] = (uint8_t)best;
	}
}
