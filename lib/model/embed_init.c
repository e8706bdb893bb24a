#include "model/embed_init.h"

#include "base/err.h"
#include "model/classifier.h"
#include "model/inception.h"
#include "model/vit.h"
#include "nn/init.h"

#include <string.h>

/* A classifier's are ImageNet's. */
static const int imagenet_classes = 1000;

enum kind { KIND_NONE, KIND_INCEPTION, KIND_VIT, KIND_CLASSIFIER };

static enum kind
kind_of(const char *name)
{
	struct vit_config vit;

	if (strcmp(name, "inception") == 0)
		return KIND_INCEPTION;
	if (classifier_kind_of(name))
		return KIND_CLASSIFIER;
	return vit_config_named(&vit, name) ? KIND_NONE : KIND_VIT;
}

bool
embed_init_knows(const char *name)
{
	return kind_of(name) != KIND_NONE;
}

/* c: keeps the classifier's own while its tensors are made. */
static int
announce(struct params *ps, const char *name, struct classifier *c)
{
	struct vit_config vc;

	switch (kind_of(name)) {
	case KIND_INCEPTION:
		inception_announce(ps);
		return 0;
	case KIND_VIT:
		vit_config_named(&vc, name);
		vit_announce(ps, &vc);
		return 0;
	case KIND_CLASSIFIER:
		return classifier_announce(c, ps, name, imagenet_classes);
	default:
		return err("%s: no network that makes features: inception, %s, %s", name,
		    CLASSIFIER_NAMES, vit_names);
	}
}

static bool
ends(const char *s, const char *with)
{
	size_t n = strlen(s), k = strlen(with);

	return n >= k && strcmp(s + n - k, with) == 0;
}

static void
first_values(const struct param *p, bool vit, uint64_t seed, float *v)
{
	bool gain =
	    ends(p->name, "weight") || ends(p->name, "running_var") || ends(p->name, "gamma");

	if (strstr(p->name, "token") || strstr(p->name, "pos") || strstr(p->name, "embedding"))
		init_values(p, INIT_NORMAL, p->kind == PARAM_CONV ? 0.05 : 0.2, seed, v);
	else if (p->ndim > 1)
		init_values(p, vit ? INIT_XAVIER_UNIFORM : INIT_KAIMING_UNIFORM_IN, 0, seed, v);
	else
		init_values(p, INIT_CONSTANT, gain ? 1 : 0, seed, v);
}

int
embed_init(struct weights *w, const char *path, const char *name, uint64_t seed)
{
	bool was, vit = kind_of(name) == KIND_VIT;
	struct classifier c = { 0 };
	struct params ps;
	int ret;

	was = params_outline(true);
	params_init(&ps, F32, false);
	ret = announce(&ps, name, &c);
	if (!ret)
		params_ready(&ps);
	params_outline(was);
	if (ret) {
		params_release(&ps);
		return -1;
	}
	weights_init(w, path);
	for (int i = 0; i < ps.n; i++) {
		const struct param *p = ps.p[i];
		struct st_tensor t = { .dtype = ST_F32, .ndim = p->ndim, .n = p->n };
		float *v;

		if (p->kind == PARAM_COUNT)
			continue;
		v = weights_alloc(w, (size_t)p->n * sizeof(*v));
		memcpy(t.dim, p->dim, (size_t)p->ndim * sizeof(*p->dim));
		first_values(p, vit, seed, v);
		t.data = v;
		weights_add(w, p->name, &t);
	}
	params_release(&ps);
	classifier_release(&c);
	return 0;
}
