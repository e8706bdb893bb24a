#include "model/class_embed.h"

#include "base/err.h"
#include "tensor/ops.h"

#include <stdlib.h>
#include <string.h>

static int
get_size(const struct json *j, int obj, const char *key, int *out)
{
	int64_t n;

	if (json_int(j, json_get(j, obj, key), &n) || n < 1 || n > 1 << 16)
		return err("%s: want a whole number from 1 to %d", key, 1 << 16);
	*out = (int)n;
	return 0;
}

int
class_config_get(struct class_config *c, const struct json *j, int v)
{
	int labels = json_get(j, v, "labels"), ret = 0;
	struct arena mem = { 0 };

	*c = (struct class_config){ 0 };
	if (get_size(j, v, "num_classes", &c->classes) || get_size(j, v, "tokens", &c->tokens) ||
	    get_size(j, v, "width", &c->width))
		return err_prefix("class embedding");
	if (labels < 0 || j->v[labels].type != JSON_ARRAY || j->v[labels].size != c->classes)
		return err("class embedding: want labels of %d classes", c->classes);
	c->label = xcalloc((size_t)c->classes, sizeof(*c->label));
	for (int i = 0, e = labels + 1; i < c->classes && ret == 0; i++, e = j->v[e].next) {
		const char *s = json_str(j, e, &mem);

		if (!s || strlen(s) >= CLASS_LABEL)
			ret = err("class embedding: label %d is no text of less than %d bytes", i,
			    CLASS_LABEL);
		else
			strcpy(c->label[i], s);
	}
	arena_release(&mem);
	if (ret)
		class_config_release(c);
	return ret;
}

void
class_config_put(const struct class_config *c, struct sb *sb)
{
	sb_printf(sb,
	    "{\n  \"_class_name\": \"ClassEmbedding\",\n  \"num_classes\": %d,\n  \"tokens\": %d,\n"
	    "  \"width\": %d,\n  \"labels\": [",
	    c->classes, c->tokens, c->width);
	for (int i = 0; i < c->classes; i++) {
		sb_puts(sb, i ? ", " : "");
		json_put_str(sb, c->label[i], strlen(c->label[i]));
	}
	sb_puts(sb, "]\n}\n");
}

void
class_config_release(struct class_config *c)
{
	free(c->label);
	*c = (struct class_config){ 0 };
}

int
class_config_find(const struct class_config *c, const char *label)
{
	for (int i = 0; i < c->classes; i++)
		if (strcmp(c->label[i], label) == 0)
			return i;
	return -1;
}

int
class_embed_init(struct class_embed *m, const struct class_config *cfg, enum dtype dtype,
    bool train)
{
	*m = (struct class_embed){ .cfg = *cfg };
	params_init(&m->ps, dtype, train);
	params_add(&m->ps, &m->table, PARAM_PLAIN, 2,
	    (int64_t[]){ cfg->classes, (int64_t)cfg->tokens * cfg->width }, "weight");
	params_ready(&m->ps);
	return 0;
}

void
class_embed_release(struct class_embed *m)
{
	params_release(&m->ps);
	*m = (struct class_embed){ 0 };
}

struct tensor *
class_embed_forward(const struct class_embed *m, struct tensor *ids)
{
	return op_view(op_gather_rows(m->table, ids), ids->dim[0], m->cfg.tokens, m->cfg.width);
}
