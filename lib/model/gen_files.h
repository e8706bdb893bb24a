/*
 * What generated images are called, what is written in them and beside them: plain files named by
 * their records, or the folders that NSW's and MEP's own generators leave behind.
 *
 *	plain   DIR/ID.png, or DIR/ID-K.png where a record asks for several
 *	nsw     DIR/metadata.json, DIR/img0.jpg, DIR/img1.jpg, ...
 *	mep     DIR/{label}_prompt_{idx}_batch{b}_im{j}_{25 letters and digits}.jpg,
 *	DIR/metadata.jsonl
 */
#ifndef MODEL_GEN_FILES_H
#define MODEL_GEN_FILES_H

#include "base/intern.h"
#include "base/opt.h"
#include "model/sd_sample.h"

#include <stdio.h>

enum gen_layout { GEN_PLAIN, GEN_NSW, GEN_MEP };
#define GEN_LAYOUTS "plain|nsw|mep"

struct gen_files {
	enum gen_layout layout;
	char *dir;
	const char *ext;          /* with the dot */
	size_t made;              /* bytes of dir that name the first folder made; 0: none was */
	int64_t per_batch;        /* mep: images of a batch, for the names */
	uint64_t count;           /* nsw: images so far */
	struct intern names;      /* that were given */
	char *asked;              /* nsw: metadata.json, when it is there */
	char *rows_path;          /* mep: metadata_{chunk}_tmp.jsonl */
	FILE *rows;
};

/* Makes the folder. nsw: its parent must be there, and the folder empty. mep: it must end in
 * image/train; chunk names this process's rows. 0, or -1 with a message. */
int gen_files_open(struct gen_files *, enum gen_layout, const char *dir, const char *ext,
    int64_t chunk);
/* After an error before the first image: folders that gen_files_open made go again if they are
 * empty, and so does what says what was asked. */
void gen_files_undo(struct gen_files *);
/* nsw: what was asked, before anything is made. */
int gen_files_nsw(struct gen_files *, const char *prompt, const char *phase, const char *plane);
/* The path of image k of `n` of a record; caller frees. NULL with a message: the name is taken.
 * label and prompt_idx are mep's; seed makes its letters. */
char *gen_files_name(struct gen_files *, const char *id, int64_t k, int64_t n, const char *label,
    const char *prompt_idx, uint64_t seed);
/* mep: one row of metadata.jsonl, when its image is there. label: its number as JSON. */
void gen_files_row(struct gen_files *, const char *path, const char *label, const char *label_name,
    const char *text, const char *prompt_idx);
/* mep: this process's rows go into metadata.jsonl, whose other writers wait meanwhile. */
int gen_files_close(struct gen_files *);

/* MEP's label of a prompt: what stands between "of" and "tissue" where that is tumor, normal,
 * cancer or healthy; "unknown" otherwise. */
const char *gen_mep_label(const char *text);

/* How tools of the field write down what made an image; PNG text chunks as image_write takes them:
 * key and value by turns, NULL at the end. The strings are the sb's. */
struct gen_text {
	struct sb parameters, xmp;
	const char *pair[5];
};
/* lora: what was merged into the model, or NULL. */
void gen_text_make(struct gen_text *, const struct sd_job *, const char *model, const char *lora,
    enum noise_kind);
void gen_text_release(struct gen_text *);

#endif
