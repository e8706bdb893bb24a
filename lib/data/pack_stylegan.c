/* NNNNN/imgNNNNNNNN.png and dataset.json: what stylegan2-ada's trainer reads. */
#include "data/pack_layout.h"

#include "base/err.h"
#include "base/intern.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum kind { LABEL_UNKNOWN, LABEL_NUMBER, LABEL_STRING };

struct state {
	enum kind kind;        /* of the first label */
	uint64_t missing;      /* images without */
	struct intern strings;
	FILE *labels;          /* int64_t each: the number, or the string's in `strings` */
	struct pack_file like; /* size and channels of the first image */
};

static void
open_set(struct pack *p)
{
	struct state *s = p->state = xcalloc(1, sizeof(*s));

	pack_open_sink(p, true);
	s->labels = stage_spool();
}

/* 1: *label is set; 0: there is none; -1 with a message. */
static int
label_of(struct state *s, const struct rec *r, int64_t *label)
{
	const struct rec_field *f = rec_get(r, "label");
	const char *str = rec_str(r, "label");
	enum kind kind = str ? LABEL_STRING : LABEL_NUMBER;

	*label = 0;
	if (!f || f->type == JSON_NULL)
		return 0;
	if (!str && (f->type != JSON_NUMBER || rec_int(r, "label", label) < 0 || *label < 0))
		return err("label: neither a whole number of 0 or more nor a string");
	if (s->kind && s->kind != kind)
		return err("label: a %s, where the first was a %s", str ? "string" : "number",
		    str ? "number" : "string");
	s->kind = kind;
	if (str)
		*label = intern_add(&s->strings, str);
	return 1;
}

static const char *
colours(const struct pack_file *f)
{
	return f->c == 1 ? "gray" : "RGB";
}

static int
add(struct pack *p, struct rec *r, const struct pack_item *it, struct rec_out *out)
{
	struct state *s = p->state;
	const struct pack_file *f = &it->image;
	int64_t label;
	char *name;
	int got;

	if (s->like.w && (f->w != s->like.w || f->c != s->like.c))
		return err("%d x %d pixels of %s, where the first image has %d x %d of %s", f->w,
		    f->h, colours(f), s->like.w, s->like.h, colours(&s->like));
	got = label_of(s, r, &label);
	if (got < 0)
		return -1;
	if (!s->like.w)
		s->like = (struct pack_file){ .w = f->w, .h = f->h, .c = f->c };
	s->missing += !got;
	spool_put(s->labels, &label, sizeof(label));
	name = xasprintf("%05" PRIu64 "/img%08" PRIu64 ".png", p->n / 1000, p->n);
	sink_put(&p->sink, name, f->p, f->n);
	pack_emit(p, r, it, name, NULL, out);
	free(name);
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(**(const char *const *const *)a, **(const char *const *const *)b);
}

/* Each string's rank among all. Caller frees. */
static int64_t *
ranks(const struct intern *t)
{
	const char ***order = xcalloc(t->n + 1, sizeof(*order));
	int64_t *rank = xcalloc(t->n + 1, sizeof(*rank));

	for (size_t i = 0; i < t->n; i++)
		order[i] = &t->name[i];
	qsort(order, t->n, sizeof(*order), by_name);
	for (size_t i = 0; i < t->n; i++)
		rank[order[i] - t->name] = (int64_t)i;
	free(order);
	return rank;
}

static void
write_labels(const struct pack *p, struct state *s, FILE *json)
{
	int64_t *rank = ranks(&s->strings), label;

	rewind(s->labels);
	fputs("{\"labels\": [", json);
	for (uint64_t i = 0; i < p->n; i++) {
		if (fread(&label, sizeof(label), 1, s->labels) != 1)
			die("a temporary file cannot be read");
		if (s->kind == LABEL_STRING)
			label = rank[label];
		fprintf(json, "%s[\"%05" PRIu64 "/img%08" PRIu64 ".png\", %" PRId64 "]",
		    i ? ", " : "", i / 1000, i, label);
	}
	fputs("]}", json);
	if (ferror(json))
		die("write error on a temporary file:");
	free(rank);
}

static void
close_set(struct pack *p)
{
	static const char none[] = "{\"labels\": null}";
	struct state *s = p->state;
	FILE *json = stage_spool();

	if (s->missing || !p->n)
		spool_put(json, none, sizeof(none) - 1);
	else
		write_labels(p, s, json);
	if (s->missing && s->kind)
		warn("%s: has no labels, since %" PRIu64 " of %" PRIu64 " records have none",
		    p->out, s->missing, p->n);
	sink_put_spool(&p->sink, "dataset.json", json);
	sink_close(&p->sink);
	fclose(json);
	fclose(s->labels);
	intern_release(&s->strings);
	free(s);
}

const struct layout pack_stylegan = { { .gan = true }, open_set, add, close_set };
