/* Every loss of a segmentation set's losses/ folder, and its gradient. */
#include "gold.h"

#include "gpu/gpu.h"
#include "model/seg_loss.h"

/* "a025" -> 0.25, "b03" -> 0.3, "g133" -> 1.33, "g2" -> 2: one digit before the point. */
static double
digits(const char *s)
{
	double v = strtod(s, NULL);

	for (size_t n = strspn(s, "0123456789"); n > 1; n--)
		v /= 10;
	return v;
}

/* The term that a name of the set stands for, word by word. */
static struct seg_term
term_of(char *name, bool *ignore, bool *one_hot_of_sigmoid)
{
	struct seg_term l = { 0 };
	char *next = NULL, *w = strtok_r(name, "_", &next);
	bool classes = false;
	int k = 0;

	if (!strcmp(w, "soft") || !strcmp(w, "cross")) {
		w = strtok_r(NULL, "_", &next);
		if (!strcmp(w, "entropy"))
			w = (char *)"ce";
	}
	while (k < SEG_LOSSES && strcmp(w, seg_loss_name[k]))
		k++;
	if (k == SEG_LOSSES)
		die("no loss called %s", w);
	l = seg_term_default((enum seg_loss_kind)k);
	*ignore = *one_hot_of_sigmoid = false;
	while ((w = strtok_r(NULL, "_", &next))) {
		if (!strncmp(w, "smooth", 6))
			l.smooth = digits(w + 6);
		else if (!strcmp(w, "log"))
			l.log = true;
		else if (!strcmp(w, "normalized"))
			l.normalized = true;
		else if (!strncmp(w, "ignore", 6))
			*ignore = true;
		else if (!strcmp(w, "onehot"))
			*one_hot_of_sigmoid = true;
		else if (!strcmp(w, "classes"))
			classes = true;
		else if (classes && w[0] >= '0' && w[0] <= '9')
			l.classes |= (uint64_t)1 << atoi(w);
		else if (w[0] == 'a' && w[1] >= '0' && w[1] <= '9') {
			l.alpha = digits(w + 1);
			l.has_alpha = true;
		} else if (w[0] == 'b' && w[1] >= '0' && w[1] <= '9')
			l.beta = digits(w + 1);
		else if (w[0] == 'g' && w[1] >= '0' && w[1] <= '9')
			l.gamma = digits(w + 1);
	}
	return l;
}

/* A tensor [N,C,H,W] of the file as [N,H,W,C] on the device. */
static struct tensor *
images(const struct safetensors *st, const char *name)
{
	const struct st_tensor *t;
	float *v = gold_f32(st, name, &t), *p;
	struct tensor *x;

	p = gold_swap(v, (size_t)t->dim[0], (size_t)t->dim[1], (size_t)(t->dim[2] * t->dim[3]));
	x = tensor_from(F32, 4, (int64_t[]){ t->dim[0], t->dim[2], t->dim[3], t->dim[1] }, p);
	free(v);
	free(p);
	return x;
}

static void
number_labels(struct seg_target *t, const struct safetensors *st, const char *name, int classes)
{
	const struct st_tensor *s;
	float *v = gold_f32(st, name, &s), *ok = xmalloc((size_t)s->n * sizeof(float));
	int32_t *l = xmalloc((size_t)s->n * sizeof(*l));
	bool all = true;

	for (int64_t i = 0; i < s->n; i++) {
		l[i] = (int32_t)v[i];
		ok[i] = l[i] < classes;
		all = all && ok[i] > 0;
	}
	t->labels = tensor_from(I32, 3, s->dim, l);
	if (!all)
		t->valid =
		    tensor_from(F32, 4, (int64_t[]){ s->dim[0], s->dim[1], s->dim[2], 1 }, ok);
	free(v);
	free(ok);
	free(l);
}

static double
want_of(const struct json *j, int v, const char *key)
{
	double x;

	return json_num(j, json_get(j, v, key), &x) ? NAN : x;
}

static void
one(const struct safetensors *st, const struct json *j, int key, int value, struct arena *mem)
{
	char *name = json_str(j, key, mem), *copy = xstrdup(name), *g, *label;
	bool ignore, soft, multi = strstr(name, "multiclass") || strstr(name, "soft_ce") ||
	    strstr(name, "cross_entropy"), label_planes = strstr(name, "multilabel") != NULL;
	struct seg_loss loss = { .n = 1 };
	struct seg_target t = { 0 };
	struct tensor *x, *y, *out;
	double f32 = want_of(j, value, "float32"), f64 = want_of(j, value, "float64"), got;
	const struct st_tensor *gs;
	float *want, *seen, *back;

	scope_open();
	loss.term[0] = term_of(copy, &ignore, &soft);
	/* what their names do not say */
	ignore = ignore || strstr(name, "soft_ce");
	loss.term[0].per_image = !strcmp(name, "lovasz_binary");
	loss.mode = label_planes ? SEG_MULTILABEL : multi ? SEG_MULTICLASS : SEG_BINARY;
	x = images(st, multi || label_planes ? "multi_logits" : "binary_logits");
	if (strstr(name, "probs")) { /* the gradient is that of the probabilities */
		loss.term[0].from_probs = true;
		x = op_sigmoid(x);
	}
	x->requires_grad = true;
	tensor_hold(x);
	if (label_planes)
		t.dense = images(st, "multilabel_target");
	else if (multi)
		number_labels(&t, st, ignore ? "multi_target_ignore255" : "multi_target",
		    (int)x->dim[3]);
	else
		t.dense = images(st, "binary_target");
	if (strstr(name, "empty") && !label_planes)
		t.dense = tensor_full(F32, 4, x->dim, 0);
	y = x;
	if (soft) { /* cross-entropy with its own softmax of what a sigmoid made */
		t.dense = op_one_hot(t.labels, (int)x->dim[3]);
		t.labels = NULL;
		y = op_sigmoid(x);
	}
	out = seg_loss_of(&loss, y, &t);
	got = tensor_item(out);
	backward(out);
	label = xasprintf("%s: loss", name);
	gold_check(label, fabs(got - f32), fmax(1e-6 * fabs(f32), 10 * fabs(f32 - f64) + 1e-6));
	free(label);

	g = xasprintf("grad__%s", name);
	want = gold_f32(st, g, &gs);
	seen = xcalloc((size_t)x->n, sizeof(*seen));
	if (x->grad)
		tensor_get(x->grad, seen);
	back =
	    gold_swap(seen, (size_t)x->dim[0], (size_t)(x->dim[1] * x->dim[2]), (size_t)x->dim[3]);
	label = xasprintf("%s: gradient, relative L2", name);
	gold_check(label, gold_rel_l2(back, want, (size_t)x->n), 1e-3);
	free(label);
	gold_done(name);
	tensor_drop(x);
	scope_close();
	free(copy);
	free(g);
	free(want);
	free(seen);
	free(back);
}

int
main(int argc, char **argv)
{
	char *set, *dir, *path, *text;
	struct safetensors st;
	struct json j;
	struct arena mem = { 0 };

	(void)argc;
	prog_init(argv[0]);
	set = gold_open("segmentation/losses");
	if (!set)
		return 0;
	dir = set;
	gpu_open(NULL);
	gold_read(&st, dir, "inputs_and_grads.safetensors");
	path = path_join(dir, "expected.json");
	if (json_read_file(&j, &text, path))
		die("%s", errmsg());
	for (int i = 0, k = 1; i < j.v[0].size; i++, k = j.v[k + 1].next)
		one(&st, &j, k, k + 1, &mem);
	return gold_end();
}
