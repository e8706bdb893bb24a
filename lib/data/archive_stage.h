/*
 * The folder, below its destination, for what is not complete yet. It is removed with all that is
 * in it when the program ends, be it by its end, by die(), by INT or TERM, or because the reader of
 * its output has gone. There is one at a time.
 *
 *	staging_open(dest, "dest", &stop, busy);
 *	name = staging_path("1");
 *	mkdirat(dest, name, 0777) ...
 *	renameat(dest, name, dest, "final");
 *	staging_close();
 *
 * Open it before starting threads: they inherit the signals that it blocks. Unlike the stage of
 * data/pack_stage.h it has many writers at once, who look at `stop` now and then instead of taking
 * turns.
 */
#ifndef DATA_ARCHIVE_STAGE_H
#define DATA_ARCHIVE_STAGE_H

#include <stdatomic.h>
#include <stdbool.h>

/* Makes the folder in `dest` (a descriptor, borrowed until staging_close; named for messages).
 * Before it is removed in a hurry, *stop is set, and busy() is asked for up to a second until
 * nothing is. */
void staging_open(int dest, const char *name, atomic_bool *stop, bool (*busy)(void));
/* "STAGING/name" to be used with dest; caller frees. */
char *staging_path(const char *name);
/* Whether `path`, from dest, is the folder or in it. */
bool staging_owns(const char *path);
/* Removes the folder, lets signals come as before. */
void staging_close(void);

#endif
