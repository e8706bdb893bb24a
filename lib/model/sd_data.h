/*
 * What a Stable Diffusion model is trained on: images with captions or classes, resized, cropped
 * and mirrored as torchvision does it for diffusers' trainers.
 *
 * What an image looks like in a visit (which crop, mirrored or not, which of its captions) is a
 * function of (seed, id, visit), so that neither order nor threads matter.
 */
#ifndef MODEL_SD_DATA_H
#define MODEL_SD_DATA_H

#include "base/threads.h"
#include "data/image.h"
#include "data/split.h"
#include "model/class_embed.h"

struct sd_data_conf {
	int resolution, channels;   /* pixels are [resolution,resolution,channels] */
	bool center_crop;           /* otherwise at random */
	bool flip;                  /* mirrored left to right in half of the visits */
	bool upright;               /* by EXIF's orientation */
	bool one_crop;              /* the same crop in all visits (latents are kept) */
	double empty;               /* share of visits in which the caption is "" */
	uint64_t seed;
	const char *image_key, *caption_key, *label_key; /* of records */
	const char *prompt;         /* the caption of all, or NULL: the record's */
	bool from_names;            /* captions are the letters of the files' names */
	const char *captions_dir;   /* to which STEM.txt in this folder is added; or NULL */
	const char *prompt_head;   /* a caption that begins so names a class by its rest; or NULL */
	const struct class_config *classes; /* instead of captions; NULL: captions */
};

struct sd_item {
	char *id, *path, *input;
	uint64_t lineno;
	char **text;                /* [ntext] captions */
	int ntext;
	int cls, split;
	struct image image;         /* resized; kept while there is room */
	char *bad;                  /* why it cannot be read */
};

struct sd_data {
	struct sd_data_conf conf;
	struct sd_item *item;
	size_t n, cap;
	atomic_size_t room;         /* bytes that may still be kept */
	uint64_t hash;              /* of all records */
};

void sd_data_init(struct sd_data *, const struct sd_data_conf *, size_t room);
void sd_data_release(struct sd_data *);
/* Notes a record. -1 with a message: it names no image, or no caption or class. */
int sd_data_add(struct sd_data *, struct rec *);
/* Notes an image that no record tells of; the caption is conf.prompt, or the file's name. */
void sd_data_add_file(struct sd_data *, const char *path);
/* Every image file (.jpg, .jpeg, .png) of a folder, by name. Returns how many, or -1 with a
 * message. */
int64_t sd_data_add_folder(struct sd_data *, const char *dir);
/* Keeps at most n for training, chosen by seed and ids. */
void sd_data_limit(struct sd_data *, int64_t n);
/* Reads every image once on `jobs` threads, and keeps what fits. item->bad tells which cannot be
 * used; stop() ends it early. Returns how many are bad. */
size_t sd_data_read(struct sd_data *, int jobs, int (*stop)(void));
/* Takes the bad ones out. */
void sd_data_drop_bad(struct sd_data *);
/* Says which are bad and why, a line each on stderr; strict: ends the program at the first. */
void sd_data_tell_bad(const struct sd_data *, bool strict);
/* Where the records of an ImageFolder stand: DIR/metadata.jsonl, or those of its split for
 * training. Caller frees; NULL with a message. */
char *sd_data_metadata(const char *dir);
/* Moves those of a split other than training to another sd_data of the same conf (or, with `to`
 * NULL, away). */
void sd_data_take(struct sd_data *from, int split, struct sd_data *to);

/* An item's image with its short side as long as the resolution; the caller releases it. */
int sd_data_decode(const struct sd_data_conf *, const struct sd_item *, struct image *);
/* Is it mirrored in this visit? */
bool sd_data_flipped(const struct sd_data *, const struct sd_item *, uint64_t visit);
/* Its caption in this visit; borrowed. */
const char *sd_data_caption(const struct sd_data *, const struct sd_item *, uint64_t visit);
/* Its pixels in this visit, uint8_t [resolution][resolution][channels]. -1 with a message. */
int sd_data_pixels(const struct sd_data *, const struct sd_item *, uint64_t visit, uint8_t *out);
/* ((v / 255) - 0.5) / 0.5 in f32 */
void sd_data_normalize(const uint8_t *in, size_t n, float *out);

/* What an epoch goes through: n samples of `own`, beside each one of `prior` where there is one.
 * The smaller of the two is gone through again and again. Samples n and above are prior's. */
struct sd_view {
	struct sd_data *own, *prior;
	size_t n;
	bool (*kept)(void *ctx, const struct sd_data *, const struct sd_item *, bool flipped);
	void *ctx;                  /* kept(ctx, ...): its pixels are not wanted */
};
struct sd_pick {
	const struct sd_data *data;
	const struct sd_item *item;
	size_t index;               /* of the item */
	uint64_t visit;
};
void sd_view_init(struct sd_view *, struct sd_data *own, struct sd_data *prior);
struct sd_pick sd_view_pick(const struct sd_view *, uint32_t sample, uint64_t epoch);
/* The samples of an epoch in batches: of each `batch` own ones and then as many prior ones. Caller
 * frees;
 * *n: how many in all. */
uint32_t *sd_view_order(const struct sd_view *, size_t batch, uint64_t epoch, size_t *n);
int sd_view_sample(void *view, uint32_t sample, uint64_t epoch, void *dst); /* a loader_fn */

#endif
