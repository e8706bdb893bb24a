#include "metric/seg_eval.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
by_argmax(const struct seg_model *m)
{
	return m->spec.mode == SEG_MULTICLASS && !m->spec.soft &&
	    m->net.cfg.activation != SEG_SIGMOID;
}

/* One image: p [px][c], labels [px]. */
static void
count_one(const struct seg_model *m, const float *p, const uint8_t *labels, size_t px,
    struct seg_stats *st)
{
	size_t c = (size_t)m->spec.classes, n = 0;
	int32_t *pred = xmalloc(px * sizeof(*pred)), *truth = xmalloc(px * sizeof(*truth));
	float *prob = xmalloc(px * c * sizeof(*prob));
	uint8_t *is = xcalloc(px * c, 1);

	for (size_t i = 0; i < px; i++) {
		size_t best = 0;

		if (labels[i] == SEG_NO_CLASS && !m->spec.soft)
			continue;
		for (size_t k = 0; k < c; k++) {
			prob[k * px + n] = p[i * c + k];
			if (p[i * c + k] > p[i * c + best])
				best = k;
		}
		truth[n] = labels[i];
		pred[n++] = (int32_t)best;
	}
	if (by_argmax(m)) {
		seg_add_multiclass(st, pred, truth, n, SEG_NO_IGNORE);
	} else {
		/* planes of n instead of px */
		for (size_t k = 0; k < c; k++) {
			memmove(prob + k * n, prob + k * px, n * sizeof(*prob));
			for (size_t i = 0; i < n; i++)
				is[k * n + i] = m->spec.mode == SEG_BINARY ? truth[i] == 1 :
				                                             truth[i] == (int32_t)k;
		}
		seg_add_multilabel(st, prob, is, n, (float)m->threshold);
	}
	free(pred);
	free(truth);
	free(prob);
	free(is);
}

void
seg_count(const struct seg_model *m, const struct seg_view *v, struct tensor *prob, size_t n,
    const void *samples, struct seg_stats *st)
{
	size_t px = (size_t)v->w * (size_t)v->h, c = (size_t)m->spec.classes;
	float *p = xmalloc(n * px * c * sizeof(*p));
	uint8_t *labels = xmalloc(px);

	tensor_get(prob, p);
	for (size_t i = 0; i < n; i++) {
		seg_labels(v, samples, i, labels);
		count_one(m, p + i * px * c, labels, px, st);
	}
	free(p);
	free(labels);
}

int
seg_evaluate(const struct seg_model *m, struct seg_view *v, struct loader *l,
    const struct seg_loss *loss, struct tensor *weight, int (*stop)(void), struct seg_stats *st,
    double *mean)
{
	uint32_t *order = xmalloc((v->n + 1) * sizeof(*order));
	bool grads = grads_set(false);
	struct loader_batch *b;
	double sum = 0;
	int r = 0;

	for (size_t i = 0; i < v->n; i++)
		order[i] = (uint32_t)i;
	loader_start(l, order, v->n, 0);
	while (!r && (b = loader_next(l))) {
		struct seg_target t;
		struct tensor *x, *y, *e;

		if (b->error) {
			r = err("%s", b->error);
			break;
		}
		scope_open();
		x = seg_upload(v, b->n, b->data, &t);
		t.weight = weight;
		y = segnet_forward(&m->net, x, false, 0, NULL);
		e = seg_loss_of(loss, y, &t);
		seg_count(m, v, seg_probabilities(m, y), b->n, b->data, st);
		sum += tensor_item(e) * (double)b->n;
		scope_close();
		r = stop && stop() ? 1 : 0;
	}
	grads_set(grads);
	free(order);
	*mean = v->n ? sum / (double)v->n : 0;
	return r;
}

/* ---- fields ---------------------------------------------------------------------------------- */

static const struct { const char *name; enum seg_metric metric; } shown[] = { { "iou", SEG_IOU },
	{ "f1", SEG_F1 }, { "accuracy", SEG_ACCURACY }, { "recall", SEG_RECALL } };
enum { SHOWN = sizeof(shown) / sizeof(shown[0]) };

static double
score(enum seg_metric metric, const struct seg_stats *st, enum seg_reduction how)
{
	double v = seg_score(metric, st, how, NULL, 1);

	return v == v ? v : 1; /* micro keeps 0/0 */
}

/* Counts of class k summed over the images. */
static double
class_score(enum seg_metric metric, const struct seg_stats *st, size_t k)
{
	int64_t tp = 0, fp = 0, fn = 0, tn = 0;
	double v;

	for (size_t i = 0; i < st->n; i++) {
		size_t at = i * (size_t)st->c + k;

		tp += st->tp[at];
		fp += st->fp[at];
		fn += st->fn[at];
		tn += st->tn[at];
	}
	v = seg_score_of(metric, tp, fp, fn, tn);
	return v == v ? v : 1;
}

static void
put(struct sb *sb, const char *name, const char *tail, double v)
{
	sb_printf(sb, ",\"%s%s\":", name, tail);
	json_put_num(sb, v);
}

void
seg_put_scores(const struct seg_model *m, const struct seg_stats *st, struct sb *sb)
{
	for (int i = 0; i < SHOWN; i++)
		put(sb, shown[i].name, "", score(shown[i].metric, st, SEG_MICRO));
	for (int i = 0; i < SHOWN; i++)
		put(sb, shown[i].name, "_macro", score(shown[i].metric, st, SEG_MACRO));
	put(sb, "recall", "_imagewise", score(SEG_RECALL, st, SEG_MICRO_IMAGEWISE));
	if (st->c < 2)
		return;
	sb_puts(sb, ",\"class\":[");
	for (int k = 0; k < st->c; k++) {
		char number[16];
		const char *name = number;

		snprintf(number, sizeof(number), "%d", k);
		if ((size_t)k < m->spec.dict.n)
			name = m->spec.dict.name[k];
		sb_puts(sb, k ? "," : "");
		json_put_str(sb, name, strlen(name));
	}
	sb_putc(sb, ']');
	for (int i = 0; i < SHOWN; i++) {
		sb_printf(sb, ",\"class_%s\":[", shown[i].name);
		for (int k = 0; k < st->c; k++) {
			sb_puts(sb, k ? "," : "");
			json_put_num(sb, class_score(shown[i].metric, st, (size_t)k));
		}
		sb_putc(sb, ']');
	}
}
