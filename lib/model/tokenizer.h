/*
 * CLIP's tokenizer from vocab.json and merges.txt, with the ids of the Rust `tokenizers` library:
 * NFC, runs of white space to one space, lower case per character, split by CLIP's pattern,
 * byte-level BPE with </w> at the end of a word. Unicode tables by utf8proc.
 *
 *	struct tokenizer t;
 *	int32_t ids[77];
 *	if (tokenizer_open(&t, "model/tokenizer")) ...
 *	n = tokenizer_encode(&t, "a cell", strlen("a cell"), ids, 77);
 */
#ifndef MODEL_TOKENIZER_H
#define MODEL_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

struct tokenizer_tables;

struct tokenizer {
	struct tokenizer_tables *tab;
	int vocab;             /* ids are below it */
	int32_t bos, eos, pad; /* 49406, 49407; pad 49407 in SD 1, 0 ("!") in SD 2 */
	int length;            /* model_max_length: 77 */
};

/* Reads vocab.json, merges.txt and, where there are, tokenizer_config.json and
 * special_tokens_map.json of a folder. 0, or -1 with a message. */
int tokenizer_open(struct tokenizer *, const char *dir);
void tokenizer_close(struct tokenizer *);
/* Ids of a UTF-8 text with both specials, cut to max (the last id then is eos) and padded to max.
 * Returns how many there would have been uncut, or -1 with a message (invalid UTF-8). */
int tokenizer_encode(const struct tokenizer *, const char *text, size_t len, int32_t *ids, int max);
/* Learns a tokenizer from captions and writes its files into dir: the 256 byte symbols, alone and
 * at the end of a word, up to `merges` merges by count (ties: first seen), the two specials
 * last. */
int tokenizer_learn(const char *const *captions, size_t n, int merges, const char *dir);

#endif
