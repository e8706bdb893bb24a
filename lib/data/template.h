/*
 * Sentences with fields in them: "a {colour} {shape}". A field is a record's; after a colon it may
 * be changed: {label:lower}, {label:capital}, {cluster:words} (a whole number in English words). {{
 * and }} are braces. [LABEL] and [MEP-CLUSTER-INDEX] stand for {label:lower} and {cluster:words}.
 */
#ifndef DATA_TEMPLATE_H
#define DATA_TEMPLATE_H

#include "data/rec.h"

struct template {
	char *text;
	struct template_part *part;
	size_t n, cap;
};

/* The wording of that name: "nsw", "nsw-planes", "nsw-gray", "nsw-class", "mep-histo", "mep-cxr",
 * "mep-baseline"; NULL if there is none. */
const char *template_preset(const char *name);
#define TEMPLATE_PRESETS "nsw|nsw-planes|nsw-gray|nsw-class|mep-histo|mep-cxr|mep-baseline"

/* 0, or -1 with a message. */
int template_parse(struct template *, const char *text);
void template_release(struct template *);
/* Appends the sentence for a record. -1 with a message: it lacks a field. */
int template_fill(const struct template *, const struct rec *, struct sb *);

#endif
