/*
 * Checkpoints: folders in a run's folder, each complete or absent, and names for them ("last",
 * "best") that are symbolic links, moved in one step.
 *
 *	struct ckpt c;
 *	if (ckpt_begin(&c, run, "checkpoint-500")) return -1;
 *	if (params_save(ps, path = ckpt_file(&c, "weights.safetensors"), NULL) || ...)
 *		return ckpt_abort(&c);
 *	if (ckpt_commit(&c) || ckpt_link(run, "last", "checkpoint-500")) return -1;
 *	ckpt_prune(run, 2);
 */
#ifndef NN_CHECKPOINT_H
#define NN_CHECKPOINT_H

#include "base/mem.h"
#include "data/json.h"

#include <stdbool.h>
#include <stdint.h>

struct ckpt {
	char *run, *name, *temp;
};

/* Starts a folder beside the final one, under a hidden name; what a killed run left of it goes. */
int ckpt_begin(struct ckpt *, const char *run, const char *name);
/* The path of a file in it while it is being written; caller frees. */
char *ckpt_file(const struct ckpt *, const char *name);
/* In place under its name; an older one of that name goes. */
int ckpt_commit(struct ckpt *);
int ckpt_abort(struct ckpt *); /* removes it; -1 with the message that stands */

/* run/link -> name, atomically. */
int ckpt_link(const char *run, const char *link, const char *name);
/* Removes folders checkpoint-N, the smallest N first, until `keep` are left (those that a link in
 * the run's folder points to stay, and count). keep < 0: all stay. */
int ckpt_prune(const char *run, int64_t keep);

/* Where a run is: the object in dir/state.json, read by get, which returns 0, or -1 with a
 * message. */
int ckpt_read_state(const char *dir, int (*get)(void *ctx, const struct json *), void *ctx);
/* For get: whole numbers of the object, none below its least; and its seed must be this one. 0, or
 * -1 with a message. */
struct ckpt_int {
	const char *key;
	int64_t *to, least;
};
int ckpt_get_ints(const struct json *, const struct ckpt_int *, size_t n);
int ckpt_same_seed(const struct json *, uint64_t seed);

/* What made a model, as members of a JSON object: version, arguments, device, driver, seed. The
 * device must be open. */
void provenance_put(struct sb *, int argc, char *const *argv, uint64_t seed);
/* "fnv1a64:..." of a file's bytes; caller frees; NULL with a message. */
char *file_hash(const char *path);

#endif
