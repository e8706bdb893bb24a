/* The parts of an unpack; used by archive*.c alone. */
#ifndef DATA_ARCHIVE_MEMBER_H
#define DATA_ARCHIVE_MEMBER_H

#include "data/archive_unpack.h"

#include <sys/types.h>

struct archive;
struct archive_entry;

/* Unpacks (or only judges, when listing) the member whose name is in le->member; fills the rest of
 * *le. -1 with a message: bad, and nothing of it is left; *fatal if the archive cannot be read
 * on. */
int member_unpack(struct unpack *, struct archive *, struct archive_entry *, struct log_entry *le,
    bool *fatal);
/* A file that is only compressed, or that is to be copied (plain): one member, named after it. */
void unpack_single(struct unpack *, bool plain);
#define BYTES_BEHIND "bytes after its end are left out"
/* Takes every recorded name of a file away again. */
void unpack_lose(struct unpack *, ino_t);

struct src_limits;
struct src_limits unpack_limits(const struct unpack *);

/* Tar, in blocks of 512 bytes of the unpacked stream. */
/* The block at byte `at`: its type (0 if there is none); what it has as a name is appended; whether
 * it is a sound header. */
int tar_look(struct unpack *, uint64_t at, struct sb *name, bool *sound);
/* At byte `at` of the unpacked stream, are there at most `most` bytes, and not just filling? What
 * may be a name there is appended. */
bool stream_look(struct unpack *, uint64_t at, size_t most, struct sb *name);
/* Types of headers that tell of the member whose header follows: pax's, GNU's and Solaris's. */
bool tar_special(int type);
/* Finds the next sound header at or behind *from (on the raster of blocks that *from gives), and
 * its place. first: only if what stands at *from itself was meant as a header. orphan: not the next
 * member's, as its special headers are lost. */
bool tar_find(struct unpack *, uint64_t *from, bool first, bool orphan);

#endif
