/* Images, masks/ and metadata.jsonl: a Hugging Face ImageFolder, or one for each split. */
#include "data/pack_layout.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { SPLITS = 3 };

struct state {
	FILE *metadata[SPLITS]; /* without splits the first */
};

static const char *const folders[SPLITS] = { "train/", "validation/", "test/" };

static void
open_set(struct pack *p)
{
	struct state *s = p->state = xcalloc(1, sizeof(*s));

	pack_open_sink(p, false);
	if (!p->o->by_split)
		s->metadata[0] = stage_spool();
}

/* Which folder; -1 with a message. */
static int
split_of(const struct rec *r)
{
	static const struct {
		const char *name;
		int split;
	} names[] = { { "train", 0 }, { "validation", 1 }, { "val", 1 }, { "eval", 1 },
		{ "test", 2 } };
	const char *split = rec_str(r, "split");

	if (!split)
		return err("no split");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(split, names[i].name) == 0)
			return names[i].split;
	return err("split '%s' is none of train, validation and test", split);
}

static char *
put(struct pack *p, const char *dir, const struct pack_file *f)
{
	char *name = pack_name_take(&p->names, dir, f->stem, f->ext);

	sink_put(&p->sink, name, f->p, f->n);
	return name;
}

/* names without their first n bytes. */
static char **
behind(char *const *names, size_t count, size_t n)
{
	char **v = xcalloc(count + 1, sizeof(*v));

	for (size_t i = 0; i < count; i++)
		v[i] = names[i] + n;
	return v;
}

static int
add(struct pack *p, struct rec *r, const struct pack_item *it, struct rec_out *out)
{
	struct state *s = p->state;
	int split = p->o->by_split ? split_of(r) : 0;
	const char *dir = p->o->by_split && split >= 0 ? folders[split] : "";
	char *masks_dir, *name, **masks, **rel;
	struct rec *row;

	if (split < 0)
		return -1;
	if (!s->metadata[split])
		s->metadata[split] = stage_spool();
	masks_dir = xasprintf("%smasks/", dir);
	name = put(p, dir, &it->image);
	masks = xcalloc(it->nmasks + 1, sizeof(*masks));
	for (size_t i = 0; i < it->nmasks; i++)
		masks[i] = put(p, masks_dir, &it->mask[i]);

	row = pack_row(p, r);
	rel = behind(masks, it->nmasks, strlen(dir));
	pack_item_tell(it, row, "", name + strlen(dir), rel);
	sb_clear(&p->sb);
	rec_write(row, &p->sb);
	spool_put(s->metadata[split], p->sb.s, p->sb.len);
	pack_emit(p, r, it, name, masks, out);

	for (size_t i = 0; i < it->nmasks; i++)
		free(masks[i]);
	free(masks);
	free(rel);
	free(masks_dir);
	free(name);
	return 0;
}

static void
close_set(struct pack *p)
{
	struct state *s = p->state;

	for (int i = 0; i < SPLITS; i++) {
		char *name = xasprintf("%smetadata.jsonl", p->o->by_split ? folders[i] : "");

		if (s->metadata[i]) {
			sink_put_spool(&p->sink, name, s->metadata[i]);
			fclose(s->metadata[i]);
		}
		free(name);
	}
	sink_close(&p->sink);
	free(s);
}

const struct layout pack_imagefolder = { { .masks = true }, open_set, add, close_set };
