/* Numbers in English words. */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

#include "base/mem.h"

#include <stdint.h>

/* 0 to 10^18 - 1: "zero", "thirty-two", "one hundred and thirty", "twelve thousand, three hundred
 * and forty-five". */
void number_words(struct sb *, uint64_t n);

#endif
