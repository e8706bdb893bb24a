/*
 * Records that ask for images, in order, made in batches over record borders: the images that come
 * next and are alike go together, and what is done at the head of the queue is written.
 *
 *	gen_queue_add(&q, item);      (item->why set: a bad record, to be told in its turn)
 *	gen_queue_drain(&q, false);   whole batches
 *	gen_queue_drain(&q, true);    and what is left
 */
#ifndef MODEL_GEN_QUEUE_H
#define MODEL_GEN_QUEUE_H

#include "data/rec.h"
#include "model/sd_sample.h"

enum { GEN_BATCH = 256 }; /* images made at once, at most */

/* One image, and one record with all of its images. */
struct gen_task {
	struct sd_job job; /* .init: not NULL if it begins with the item's image */
	char *path;        /* owned */
	bool there;        /* it was: nothing is made */
};

struct gen_item {
	struct rec r;
	char *why;          /* a bad record's message, or NULL */
	char *id, *init;    /* init: the image to begin with, or NULL; owned */
	const char *label, *prompt_idx;
	struct gen_task *task;
	size_t n;           /* 0 and not bad: a record that only passes */
};

struct gen_queue {
	struct rec_opts *ro;
	struct rec_out *out;
	struct sd_sample *sample;
	int batch;                                      /* 0: as many as fit the device */
	void (*save)(struct gen_task *);                /* job.out to its file; may release it */
	void (*emit)(struct gen_item *, size_t k);      /* the record of image k, which is there */
	void (*between)(void);                          /* called between batches */
	int code;                                       /* the program's exit code so far */
	struct gen_item **v;
	size_t n, cap, at;                         /* at: first image of v[0] that is not settled */
};

/* Takes the item (from malloc) over. */
void gen_queue_add(struct gen_queue *, struct gen_item *);
void gen_queue_drain(struct gen_queue *, bool all);
void gen_queue_release(struct gen_queue *);

#endif
