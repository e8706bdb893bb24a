/* Text as CLIP's tokenizer sees it: words, and the letters that their bytes are written with. */
#ifndef MODEL_TOKEN_TEXT_H
#define MODEL_TOKEN_TEXT_H

#include "base/mem.h"

/* A byte in GPT-2's alphabet, as UTF-8. */
void token_letter(struct sb *, int byte);
/* NFC, white space runs to one space, lower case. Caller frees; NULL with a message. */
char *token_normalize(const char *text, size_t len, size_t *out_len);
/* Length of the word at s by CLIP's pattern, 0 for a space: a contraction, letters, ONE number, or
 * a run of anything else. */
size_t token_word(const char *s, size_t len);

#endif
