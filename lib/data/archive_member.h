/* The parts of an unpack; used by archive*.c alone. */
#ifndef DATA_ARCHIVE_MEMBER_H
#define DATA_ARCHIVE_MEMBER_H

#include "data/archive_unpack.h"

#include <sys/types.h>

struct archive;
struct archive_entry;

/* Unpacks (or only judges, when listing) the member whose name is in le->member; fills the rest of
 * *le. -1 with a message: bad, and nothing of it is left; *fatal if the archive cannot be read on. */
int member_unpack(struct unpack *, struct archive *, struct archive_entry *, struct log_entry *le,
    bool *fatal);
/* Takes every recorded name of a file away again. */
void unpack_lose(struct unpack *, ino_t);

#endif
