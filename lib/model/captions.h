/* Captions that a tokenizer learns from. */
#ifndef MODEL_CAPTIONS_H
#define MODEL_CAPTIONS_H

#include <stddef.h>

struct captions {
	char **v;
	size_t n, cap;
};

/* Adds those of a file: records with `text`, or plain lines. 0, or -1 with a message: a bad record,
 * one without text, no captions at all. Dies if it cannot be read. */
int captions_read(struct captions *, const char *path);
void captions_release(struct captions *);

#endif
