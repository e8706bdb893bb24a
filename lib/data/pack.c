/* Packing: records through rec_filter()'s pool, and what comes of them, in order, into a layout. */
#include "data/pack_layout.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void
pack_publish(struct pack *p, const char *from, char *to)
{
	p->item = xgrow(p->item, &p->capitems, p->nitems + 1, sizeof(*p->item));
	p->item[p->nitems++] = (struct stage_item){ xstrdup(from), to };
}

void
pack_open_sink(struct pack *p, bool store)
{
	sink_open(&p->sink, stage_fd(), "out", p->kind, p->filter, store, p->out);
	pack_publish(p, "out", xstrdup(p->out));
}

struct rec *
pack_row(struct pack *p, const struct rec *r)
{
	rec_clear(&p->row);
	if (rec_parse(&p->row, r->line, r->len))
		die("%s", errmsg());
	return &p->row;
}

void
pack_emit_archived(struct rec *r, const char *archive, const char *member, struct rec_out *out)
{
	rec_set_str(r, "archive", archive);
	rec_set_str(r, "member", member);
	rec_emit(out, r);
}

void
pack_emit(struct pack *p, struct rec *r, const struct pack_item *it, const char *member,
    char *const *masks, struct rec_out *out)
{
	if (p->kind != PACK_FOLDER) {
		pack_emit_archived(r, p->out, member, out);
		return;
	}
	pack_item_tell(it, r, p->out, member, masks);
	rec_emit(out, r);
}

/* ---- the filter ------------------------------------------------------------------------------ */

static void
free_item(void *it)
{
	pack_item_release(it);
	free(it);
}

/* On several threads at once. */
static int
make(struct rec *r, struct rec_out *out, void *vp)
{
	const struct pack *p = vp;
	struct pack_item *it = xcalloc(1, sizeof(*it));

	(void)out;
	r->aside = it;
	r->aside_free = free_item;
	return pack_item_make(it, p->o, &p->layout->wish, r);
}

/* In order. */
static int
add(struct rec *r, struct rec_out *out, void *vp)
{
	struct pack *p = vp;
	int bad = p->layout->add(p, r, r->aside, out);

	if (!bad)
		p->n++;
	/* not only when the record goes: others wait with theirs */
	free_item(r->aside);
	r->aside = NULL;
	r->aside_free = NULL;
	return bad;
}

/* The records, when all is in place. */
static void
write_out(FILE *spool)
{
	struct rec_out out;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	rewind(spool);
	rec_out_open(&out, 1, "standard output");
	while ((n = getline(&line, &cap, spool)) > 0)
		rec_out_lines(&out, line, (size_t)n);
	if (ferror(spool))
		die("a temporary file cannot be read:");
	rec_out_close(&out);
	free(line);
	fclose(spool);
}

static void
release(struct pack *p)
{
	for (size_t i = 0; i < p->nitems; i++) {
		free(p->item[i].from);
		free(p->item[i].to);
	}
	free(p->item);
	pack_names_release(&p->names);
	rec_release(&p->row);
	sb_release(&p->sb);
}

int
pack_all(const struct pack_opts *o, const struct rec_opts *ro, const char *const *files,
    size_t nfiles)
{
	static const struct layout *const layouts[] = { &pack_imagefolder, &pack_nsw,
		&pack_stylegan, &pack_webdataset };
	struct pack p = { .o = o, .layout = layouts[o->layout] };
	struct rec_opts filter = *ro;
	size_t len = strlen(o->out);
	struct rec_out out;
	struct stat st;
	char *place;
	FILE *spool;
	int code;

	while (len > 1 && o->out[len - 1] == '/')
		len--;
	p.out = place = xstrndup(o->out, len);
	p.kind = pack_ending(p.out, &p.filter);
	if (lstat(place, &st) == 0)
		die("%s: exists", place);
	stage_open(place);
	spool = stage_spool();
	rec_out_open(&out, fileno(spool), "a temporary file");
	p.layout->open(&p);
	filter.what = "images";
	filter.then = add;
	code = rec_filter_to(&filter, files, nfiles, &out, make, &p);
	rec_out_close(&out);
	p.layout->close(&p);
	if (code != EXIT_FATAL)
		stage_publish(p.item, p.nitems);
	stage_close();
	if (code != EXIT_FATAL)
		write_out(spool);
	else
		fclose(spool);
	release(&p);
	free(place);
	return code;
}
