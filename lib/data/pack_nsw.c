/* images/K.jpeg, descriptions/K.txt and metadata.csv, to fine-tune Stable Diffusion on. */
#include "data/pack_layout.h"

#include "base/err.h"
#include "base/mem.h"
#include "data/csv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void
open_set(struct pack *p)
{
	static const char header[] = "filename,label,phase\n";
	FILE *metadata = stage_spool();

	pack_open_sink(p, false);
	spool_put(metadata, header, sizeof(header) - 1);
	p->state = metadata;
}

static int
add(struct pack *p, struct rec *r, const struct pack_item *it, struct rec_out *out)
{
	const char *text = rec_str(r, "text"), *cell[3];
	char *file = xasprintf("%" PRIu64 ".jpeg", p->n), *name = xasprintf("images/%s", file);
	char *description = xasprintf("descriptions/%" PRIu64 ".txt", p->n);

	if (text) {
		sink_put(&p->sink, name, it->image.p, it->image.n);
		sb_clear(&p->sb);
		sb_puts(&p->sb, text);
		sb_putc(&p->sb, '\n');
		sink_put(&p->sink, description, p->sb.s, p->sb.len);
		cell[0] = file;
		cell[1] = rec_text(r, "label");
		cell[2] = rec_text(r, "phase");
		sb_clear(&p->sb);
		for (int i = 0; i < 3; i++) {
			csv_put(&p->sb, cell[i] ? cell[i] : "", cell[i] ? strlen(cell[i]) : 0, ',');
			sb_putc(&p->sb, i < 2 ? ',' : '\n');
		}
		spool_put(p->state, p->sb.s, p->sb.len);
		pack_emit(p, r, it, name, NULL, out);
	}
	free(file);
	free(name);
	free(description);
	return text ? 0 : err("no text");
}

static void
close_set(struct pack *p)
{
	sink_put_spool(&p->sink, "metadata.csv", p->state);
	fclose(p->state);
	sink_close(&p->sink);
}

const struct layout pack_nsw = { { .jpeg = true }, open_set, add, close_set };
