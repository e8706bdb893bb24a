/* What the layouts of pack.c share; used by lib/data/pack*.c alone. */
#ifndef DATA_PACK_LAYOUT_H
#define DATA_PACK_LAYOUT_H

#include "data/pack.h"
#include "data/pack_item.h"
#include "data/pack_sink.h"
#include "data/pack_stage.h"

struct pack {
	const struct pack_opts *o;
	const struct layout *layout;
	const char *out;          /* opts' without slashes at its end */
	enum pack_kind kind;
	const char *filter;       /* of a tar */
	struct sink sink;
	struct pack_names names;
	uint64_t n;               /* records packed */
	struct rec row;           /* a record as it goes into the data set */
	struct sb sb;             /* scratch */
	struct stage_item *item;  /* what is published */
	size_t nitems, capitems;
	void *state;              /* the layout's own, which close frees */
};

/* All run on one thread, in the order of the records. */
struct layout {
	struct pack_wish wish;
	void (*open)(struct pack *);
	/* 0, or -1 with a message before anything was written: a bad record. Emits the record. */
	int (*add)(struct pack *, struct rec *, const struct pack_item *, struct rec_out *);
	void (*close)(struct pack *);
};
extern const struct layout pack_imagefolder, pack_nsw, pack_stylegan, pack_webdataset;

/* Opens the sink of a data set that is one folder or archive. */
void pack_open_sink(struct pack *, bool store);
/* Stage's `from` is to become `to` (owned from now on). */
void pack_publish(struct pack *, const char *from, char *to);
/* The record as it came, in p->row. */
struct rec *pack_row(struct pack *, const struct rec *);
/* Emits a record whose image is packed as `member`: with its new place if that is a folder, else
 * with the archive's name. masks as in pack_item_tell(). */
void pack_emit(struct pack *, struct rec *, const struct pack_item *, const char *member,
    char *const *masks, struct rec_out *);
void pack_emit_archived(struct rec *, const char *archive, const char *member, struct rec_out *);

#endif
