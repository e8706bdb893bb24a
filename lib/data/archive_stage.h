/*
 * A folder for what is not complete yet, beside or below where it will go. It is removed with all that
 * is in it when the program ends, be it by its end, by die(), by INT or TERM, or because the reader of
 * its output has gone. There is one at a time.
 *
 *	stage_open(parent, &stop, busy);
 *	mkdirat(parent, stage_path("out"), 0777) ...
 *	renameat(parent, stage_path("out"), parent, "final");
 *	stage_close();
 *
 * Call it before starting threads: they inherit the signals that it blocks.
 */
#ifndef DATA_ARCHIVE_STAGE_H
#define DATA_ARCHIVE_STAGE_H

#include <stdatomic.h>
#include <stdbool.h>

/* Makes the folder in `parent` (a descriptor, borrowed until stage_close; named for messages). Before
 * it is removed in a hurry, *stop is set, and busy() is asked for up to a second until nothing is. */
void stage_open(int parent, const char *name, atomic_bool *stop, bool (*busy)(void));
/* "STAGE/name" to be used with the parent's descriptor; caller frees. */
char *stage_path(const char *name);
/* Removes the folder, lets signals come as before. */
void stage_close(void);

/* Removes folder `name` of dir with all that is in it, however deep. */
void remove_tree(int dir, const char *name);
/* Whether a folder has nothing in it; ends the program if it cannot be read. */
bool is_empty_folder(const char *path);

#endif
