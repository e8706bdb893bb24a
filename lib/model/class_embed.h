/*
 * Classes instead of text: a table of states, one row a class, viewed as [tokens, width] and put in
 * the place of the text encoder's states. The folder class_embedding/ of a model: config.json with
 * num_classes, tokens, width and the classes' labels, and one tensor, weight [classes, tokens
 * * width].
 */
#ifndef MODEL_CLASS_EMBED_H
#define MODEL_CLASS_EMBED_H

#include "data/json.h"
#include "nn/params.h"

enum { CLASS_LABEL = 64 };

struct class_config {
	int classes, tokens, width;
	char (*label)[CLASS_LABEL]; /* [classes]; owned */
};

struct class_embed {
	struct class_config cfg; /* borrows the labels of the config it was made from */
	struct params ps;
	struct tensor *table;
};

int class_config_get(struct class_config *, const struct json *, int v);
void class_config_put(const struct class_config *, struct sb *);
void class_config_release(struct class_config *);
/* A class by its label; -1 if there is none. */
int class_config_find(const struct class_config *, const char *label);

int class_embed_init(struct class_embed *, const struct class_config *, enum dtype, bool train);
void class_embed_release(struct class_embed *);
/* ids [N] I32 -> [N,tokens,width] */
struct tensor *class_embed_forward(const struct class_embed *, struct tensor *ids);

#endif
