/*
 * What a segmentation net reads: records that name an image and its mask, turned into batches.
 *
 * A mask is an image (or, for two classes, a folder or a list of instance masks, or run lengths:
 * mask_of_record); with a class dictionary its colours are the classes, without one its gray values
 * or palette indices are. In memory a mask is uint8_t [h][w] with SEG_NO_CLASS where no class is.
 */
#ifndef MODEL_SEG_DATA_H
#define MODEL_SEG_DATA_H

#include "base/mem.h"
#include "base/threads.h"
#include "data/image.h"
#include "data/json.h"
#include "data/mask.h"
#include "data/split.h"
#include "model/seg_loss.h"
#include "nn/augment.h"

enum { SEG_NO_CLASS = 255 };

/* How images become a net's input and masks its target. Part of a trained model. */
struct seg_spec {
	enum seg_mode mode;
	int channels;           /* 1 or 3 */
	int classes;            /* of the net: 1 for binary */
	struct class_dict dict; /* n 0: none; binary: foreground is what is not 0 */
	int resize_w, resize_h; /* every image is stretched to it; 0: left as it is */
	int crop_w, crop_h;     /* training takes windows of it; 0: whole images */
	bool antialias;         /* of that stretching (bilinear) */
	bool soft;              /* masks are stretched bilinearly, a plane for each class */
	int ignore;             /* label in the mask file that counts for nothing; -1: none */
	double mean[3], std[3]; /* input = (value in 0..1 - mean) / std */
};
void seg_spec_put(const struct seg_spec *, struct sb *); /* as members of a JSON object */
int seg_spec_get(struct seg_spec *, const struct json *, int v);
void seg_spec_release(struct seg_spec *);

struct seg_item {
	char *id, *line;        /* the record, to be parsed again */
	size_t len;
	char *input;
	uint64_t lineno;
	int split;
	int w, h;
	struct image image;     /* kept while the cache has room */
	uint8_t *labels;
	char *bad;              /* why it cannot be read */
};

struct seg_data {
	const struct seg_spec *spec;
	struct seg_item *item;
	size_t n, cap;
	atomic_size_t room;     /* bytes the cache may still take */
};

void seg_data_init(struct seg_data *, const struct seg_spec *, size_t cache);
void seg_data_release(struct seg_data *);
/* Notes a record: its split (absent: -1). The record must name an image and a mask. */
int seg_data_add(struct seg_data *, struct rec *);
/* Gives the items without a split one: of n, the first valid*n to validation, then test times the
 * rest to test, in an order of seed and ids. If any item has a split, those without are for
 * training. */
void seg_data_split(struct seg_data *, double valid, double test, uint64_t seed);
/* Reads every image and mask once, on `jobs` threads, and keeps what fits. item->bad tells which
 * cannot be used; stop() (may be NULL) ends it early. Returns the number of bad ones. */
size_t seg_data_read(struct seg_data *, int jobs, int (*stop)(void));
/* Takes the bad ones out. */
void seg_data_drop_bad(struct seg_data *);

/* The image and labels of a record, of equal size (labels NULL: not wanted); caller frees both. */
int seg_read(const struct seg_spec *, struct rec *, struct image *, uint8_t **labels);
/* The same of an item, whether or not they are kept in it. */
int seg_item_read(const struct seg_data *, const struct seg_item *, struct image *,
    uint8_t **labels);
/* Planar float in 0..1 of an image, converted to c channels: [c][h][w], caller frees. */
float *seg_planar(const struct image *, int c);

/* A sample of one split, all of one size: for loader_new. */
struct seg_view {
	struct seg_data *data;
	const struct augment *augment; /* NULL: none, and the whole image */
	uint64_t seed;
	uint32_t *item;                /* the split's items, as they stand in data */
	const char **id;
	size_t n;
	int w, h;                      /* of a sample: a multiple of `unit` */
};
/* unit: 2^depth of the net. Ends the program if the size is beyond IMAGE_MAX_PIXELS. */
void seg_view_init(struct seg_view *, struct seg_data *, int split, const struct augment *,
    uint64_t seed, int unit);
void seg_view_release(struct seg_view *);
size_t seg_sample_bytes(const struct seg_view *);
int seg_sample(void *view, uint32_t i, uint64_t epoch, void *dst); /* a loader_fn */

/* A batch on the device. */
struct tensor *seg_upload(const struct seg_view *, size_t n, const void *samples,
    struct seg_target *);
/* Labels of sample i of a batch, uint8_t [h][w] (soft masks: the class whose plane holds 1). */
void seg_labels(const struct seg_view *, const void *samples, size_t i, uint8_t *out);
/* Pixels of each class over the items of a split (bad ones left out), [classes], for weights. */
void seg_class_pixels(const struct seg_view *, double *count);

#endif
