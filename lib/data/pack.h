/*
 * Packing a record stream into a data set that other programs read: a folder, an archive, or tar
 * shards, with the images and masks that the records name, resized if asked for.
 *
 *	struct pack_opts o = PACK_OPTS;
 *	o.out = "shapes.tar.gz";
 *	return pack_all(&o, &rec_opts, files, nfiles);
 *
 * What is packed grows beside its place under a temporary name and gets its own when it is whole
 * and on the disk; whatever happens before, nothing of it is left. The records go out after that.
 *
 * In memory at once: for each job, the encoded images and masks of four records, and the pixels of
 * one image; the name of each file packed.
 */
#ifndef DATA_PACK_H
#define DATA_PACK_H

#include "data/image.h"
#include "data/rec.h"

#include <stdbool.h>
#include <stdint.h>

enum pack_layout { PACK_IMAGEFOLDER, PACK_NSW, PACK_STYLEGAN, PACK_WEBDATASET };
#define PACK_LAYOUTS "imagefolder|nsw|stylegan|webdataset"
enum pack_format { PACK_KEEP, PACK_PNG, PACK_JPG };
#define PACK_FORMATS "keep|png|jpg"

struct pack_opts {
	const char *out;     /* must not exist; its ending tells folder from archive */
	int layout;          /* enum pack_layout */
	int format;          /* enum pack_format; of images, not of masks */
	int64_t quality;     /* of JPEG, 1..100; 0: PACK_QUALITY */
	int w, h;            /* 0: as they are */
	bool centre;         /* cut the largest part of that aspect from the middle first */
	int filter;          /* enum image_filter */
	bool by_split;       /* imagefolder: a folder for each split */
	int64_t shard_size;  /* webdataset: most samples a shard; both 0: PACK_SHARD_SIZE */
	int64_t shard_bytes; /* webdataset: most bytes a shard, unless one sample has more */
};
enum { PACK_QUALITY = 95, PACK_SHARD_SIZE = 1000 };
#define PACK_OPTS { .filter = FILTER_LANCZOS }

/* Packs the records of all files (operands as in rec_filter()), then writes them to standard
 * output. Returns the program's exit code; ends the program (EXIT_FATAL) if out exists or cannot be
 * made, or on a write error. INT, TERM and the like end it too, leaving nothing. */
int pack_all(const struct pack_opts *, const struct rec_opts *, const char *const *files,
    size_t nfiles);

#endif
