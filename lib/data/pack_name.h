/* Names of what is packed: endings that tell archives, names of shards, names that differ. */
#ifndef DATA_PACK_NAME_H
#define DATA_PACK_NAME_H

#include "base/intern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pack_kind { PACK_FOLDER, PACK_TAR, PACK_ZIP };

/* What a name's ending says; *filter gets what a tar is compressed with: NULL, "gzip", "xz" or
 * "zstd". */
enum pack_kind pack_ending(const char *name, const char **filter);

/* Is there a % in a name, so that it is a pattern for many? Then pack_pattern_name() puts number k
 * in the place of its one %d (%04d, %6d); NULL with a message if it has none, or two. "%%" is a %.
 * Caller frees. */
bool pack_is_pattern(const char *name);
char *pack_pattern_name(const char *pattern, uint64_t k);

/* Names that are taken, each with the number that a clash with it gets next. */
struct pack_names {
	struct intern seen;
	uint32_t *next;
	size_t cap;
};
/* prefix, stem and ext in one if that is free, else with -2, -3 and so on after the stem. Caller
 * frees. */
char *pack_name_take(struct pack_names *, const char *prefix, const char *stem, const char *ext);
void pack_names_release(struct pack_names *);

#endif
