/* archc: pack a record stream into a folder, an archive or tar shards. */
#include "base/err.h"
#include "base/opt.h"
#include "data/pack.h"
#include "data/pack_name.h"
#include "data/rec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FILTER_NONE = -1 };

static struct pack_opts o = PACK_OPTS;
static struct rec_opts ro;
static const char *size;
static int crop, filter = FILTER_NONE;

static const struct opt table[] = {
	{ 'o', "output", OPT_STR, &o.out, "OUT",
	    "what to make: a folder, or .tar[.gz|.xz|.zst] or .zip", 0, 0 },
	{ 0, "layout", OPT_CHOICE, &o.layout, PACK_LAYOUTS,
	    "how the files lie in it (imagefolder)", 0, 0 },
	{ 0, "size", OPT_STR, &size, "N|WxH", "resize all images to N x N or W x H pixels", 0, 0 },
	{ 0, "crop", OPT_CHOICE, &crop, "none|center",
	    "with --size: cut to that aspect, or stretch (none)", 0, 0 },
	{ 0, "filter", OPT_CHOICE, &filter, IMAGE_FILTERS,
	    "with --size: the filter (lanczos)", 0, 0 },
	{ 0, "format", OPT_CHOICE, &o.format, PACK_FORMATS, "write images so (keep)", 0, 0 },
	{ 0, "quality", OPT_INT, &o.quality, "Q", "of JPEG, 1 to 100 (95)", 1, 100 },
	{ 0, "by-split", OPT_FLAG, &o.by_split, NULL, "a folder for each split", 0, 0 },
	{ 0, "shard-size", OPT_INT, &o.shard_size, "N",
	    "webdataset: at most N samples a shard (1000)", 1, 1e12 },
	{ 0, "shard-bytes", OPT_SIZE, &o.shard_bytes, "SIZE",
	    "webdataset: at most SIZE bytes a shard", 1, 8e18 },
	REC_OPTIONS_JOBS(ro),
	REC_OPTIONS_COMMON(ro),
	{ 0 },
};

/* "N" or "WxH" */
static void
parse_size(const char *s)
{
	const char *x = strchr(s, 'x');
	char *w = x ? xstrndup(s, (size_t)(x - s)) : xstrdup(s);
	int64_t width = 0, height;

	if (parse_int(w, 1, IMAGE_MAX_SIDE, &width))
		usage_error("--size: %s", errmsg());
	height = width;
	if (x && parse_int(x + 1, 1, IMAGE_MAX_SIDE, &height))
		usage_error("--size: %s", errmsg());
	if (width * height > IMAGE_MAX_PIXELS)
		usage_error("--size: %s are more than %d pixels", s, IMAGE_MAX_PIXELS);
	o.w = (int)width;
	o.h = (int)height;
	free(w);
}

static void
check_out(void)
{
	const char *packed_with;
	enum pack_kind kind;
	char *first;

	if (!o.out || !*o.out)
		usage_error("-o OUT is wanted");
	if (!utf8_valid(o.out, strlen(o.out)))
		usage_error("-o: the name is no UTF-8");
	kind = pack_ending(o.out, &packed_with);
	if (o.layout == PACK_STYLEGAN && kind == PACK_TAR)
		usage_error("-o: the layout stylegan makes a zip or a folder");
	if (o.layout != PACK_WEBDATASET)
		return;
	if (pack_is_pattern(o.out)) {
		if (!(first = pack_pattern_name(o.out, 0)))
			usage_error("-o: %s", errmsg());
		free(first);
		if (kind != PACK_TAR)
			usage_error("-o: the layout webdataset makes tars");
	} else if (kind != PACK_FOLDER) {
		usage_error("-o: the layout webdataset makes a folder of tars, or a name with %%d "
		            "and .tar");
	}
}

/* An option that would do nothing is wrong usage. */
static void
check(void)
{
	bool jpeg = o.format == PACK_KEEP || o.format == PACK_JPG;

	check_out();
	if (size)
		parse_size(size);
	if (!size && crop)
		usage_error("--crop wants --size");
	if (!size && filter != FILTER_NONE)
		usage_error("--filter wants --size");
	if (o.layout == PACK_NSW && o.format == PACK_PNG)
		usage_error("--format png: images of the layout nsw are JPEG");
	if (o.layout == PACK_STYLEGAN && o.format == PACK_JPG)
		usage_error("--format jpg: images of the layout stylegan are PNG");
	if (o.quality && (!jpeg || o.layout == PACK_STYLEGAN))
		usage_error("--quality is of JPEG, which is not written");
	if (o.by_split && o.layout != PACK_IMAGEFOLDER)
		usage_error("--by-split is of the layout imagefolder");
	if ((o.shard_size || o.shard_bytes) && o.layout != PACK_WEBDATASET)
		usage_error("--shard-size and --shard-bytes are of the layout webdataset");
	o.centre = crop != 0;
	if (filter != FILTER_NONE)
		o.filter = filter;
}

int
main(int argc, char **argv)
{
	int at;

	prog_init(argv[0]);
	ro = (struct rec_opts)REC_OPTS;
	at = opt_parse(argc, argv, table, "-o OUT [options] [FILE ...]",
	    "Packs the images and masks of records; writes the records when that is done.");
	check();
	return pack_all(&o, &ro, (const char *const *)argv + at, (size_t)(argc - at));
}
