/* Tar shards of KEY.jpg, KEY.mask.png and KEY.json. */
#include "data/pack_layout.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAR_END = 1024 };

struct state {
	struct sink folder; /* that holds the shards, unless a pattern says where they go */
	bool pattern;
	char *shard;        /* place of the open one; NULL: none is open */
	uint64_t shards, samples;
};

static void
open_set(struct pack *p)
{
	struct state *s = p->state = xcalloc(1, sizeof(*s));

	s->pattern = pack_is_pattern(p->out);
	if (s->pattern)
		return;
	sink_open(&s->folder, stage_fd(), "out", PACK_FOLDER, NULL, false, p->out);
	pack_publish(p, "out", xstrdup(p->out));
}

static void
open_shard(struct pack *p, struct state *s)
{
	char *name = pack_pattern_name(s->pattern ? p->out : "shard-%06d.tar", s->shards);
	struct stat st;

	if (s->pattern) {
		char *staged = xasprintf("%" PRIu64, s->shards);

		if (lstat(name, &st) == 0)
			die("%s: exists", name);
		s->shard = name;
		sink_open(&p->sink, stage_fd(), staged, PACK_TAR, p->filter, false, s->shard);
		pack_publish(p, staged, xstrdup(name));
		free(staged);
	} else {
		s->shard = path_join(p->out, name);
		sink_open(&p->sink, s->folder.fd, name, PACK_TAR, NULL, false, s->shard);
		free(name);
	}
	s->shards++;
	s->samples = 0;
}

static void
close_shard(struct pack *p, struct state *s)
{
	if (!s->shard)
		return;
	sink_close(&p->sink);
	free(s->shard);
	s->shard = NULL;
}

static bool
is_full(const struct pack *p, const struct state *s, uint64_t bytes)
{
	int64_t samples = p->o->shard_size, size = p->o->shard_bytes;

	if (!samples && !size)
		samples = PACK_SHARD_SIZE;
	return (samples && s->samples == (uint64_t)samples) ||
	    (size && s->samples && p->sink.bytes + bytes + TAR_END > (uint64_t)size);
}

/* A reader takes all behind the first dot for what kind of member it is. */
static char *
take_key(struct pack *p, const char *stem)
{
	char *copy = xstrdup(stem), *key;

	for (char *c = copy; *c; c++)
		if (*c == '.')
			*c = '_';
	key = pack_name_take(&p->names, "", copy, "");
	free(copy);
	return key;
}

static int
add(struct pack *p, struct rec *r, const struct pack_item *it, struct rec_out *out)
{
	struct state *s = p->state;
	char *key = take_key(p, it->image.stem), **masks = xcalloc(it->nmasks + 1, sizeof(*masks));
	char *name = xasprintf("%s.%s", key, it->image.jpeg ? "jpg" : "png");
	char *json = xasprintf("%s.json", key);
	uint64_t bytes;
	struct rec *row;

	for (size_t i = 0; i < it->nmasks; i++)
		masks[i] = i < it->single ? xasprintf("%s.mask.png", key) :
		    xasprintf("%s.mask%zu.png", key, i - it->single);
	row = pack_row(p, r);
	pack_item_tell(it, row, "", name, masks);
	sb_clear(&p->sb);
	rec_write(row, &p->sb);

	bytes = sink_tar_size(name, it->image.n) + sink_tar_size(json, p->sb.len);
	for (size_t i = 0; i < it->nmasks; i++)
		bytes += sink_tar_size(masks[i], it->mask[i].n);
	if (s->shard && is_full(p, s, bytes))
		close_shard(p, s);
	if (!s->shard)
		open_shard(p, s);
	sink_put(&p->sink, name, it->image.p, it->image.n);
	for (size_t i = 0; i < it->nmasks; i++)
		sink_put(&p->sink, masks[i], it->mask[i].p, it->mask[i].n);
	sink_put(&p->sink, json, p->sb.s, p->sb.len);
	s->samples++;
	pack_emit_archived(r, s->shard, name, out);

	for (size_t i = 0; i < it->nmasks; i++)
		free(masks[i]);
	free(masks);
	free(json);
	free(name);
	free(key);
	return 0;
}

static void
close_set(struct pack *p)
{
	struct state *s = p->state;

	close_shard(p, s);
	if (!s->pattern)
		sink_close(&s->folder);
	free(s);
}

const struct layout pack_webdataset = { { .masks = true, .png_masks = true }, open_set, add,
	close_set };
