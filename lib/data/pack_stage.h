/*
 * Where a data set grows before it has its name: a folder .phantom-PID-N.tmp beside the place, with
 * its files in it. It is removed when the program ends by itself, by die() or by a signal that can
 * be caught; after SIGKILL it is left. One stage at a time.
 *
 *	stage_open("data/set.tar");
 *	stage_enter();
 *	fd = openat(stage_fd(), "out", O_CREAT...);      between enter and leave: no die()
 *	stage_leave();
 *	stage_publish("out", "data/set.tar");            none of them is there if one cannot be
 *	stage_close();
 *
 * From stage_open() to stage_close() signals that would end the program wait for stage_leave().
 */
#ifndef DATA_PACK_STAGE_H
#define DATA_PACK_STAGE_H

#include <stddef.h>
#include <stdio.h>

/* Ends the program if the folder that is to hold `path` cannot be written. Before the program has
 * threads. */
void stage_open(const char *path);
int stage_fd(void);
void stage_enter(void);
void stage_leave(void);

/* A file without a name in the stage, for writing and reading. */
FILE *stage_spool(void);
void spool_put(FILE *, const void *p, size_t n); /* ends the program on a write error */

struct stage_item {
	char *from; /* name in the stage: a file or a folder */
	char *to;
};
/* Gives all items their places, durably. Ends the program, having taken back what was moved, if one
 * is taken or cannot be made. */
void stage_publish(const struct stage_item *, size_t n);
void stage_close(void);

#endif
