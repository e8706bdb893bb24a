#include "model/token_text.h"

#include "base/err.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

/* ---- bytes as letters ------------------------------------------------------------------------ */

/* GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the others for U+0100 and up. */
static int
byte_letter(int byte)
{
	int n = 0;

	if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174)
		return byte;
	for (int b = 0; b < byte; b++)
		n += !((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174);
	return 256 + n;
}

void
token_letter(struct sb *sb, int byte)
{
	utf8proc_uint8_t u[4];

	sb_put(sb, u, (size_t)utf8proc_encode_char(byte_letter(byte), u));
}

/* ---- text to words --------------------------------------------------------------------------- */

static bool
is_space(int32_t c)
{
	utf8proc_category_t k = utf8proc_category(c);

	return (c >= 9 && c <= 13) || c == 0x85 || k == UTF8PROC_CATEGORY_ZS ||
	    k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP;
}

static bool
is_letter(int32_t c)
{
	utf8proc_category_t k = utf8proc_category(c);

	return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

static bool
is_number(int32_t c)
{
	utf8proc_category_t k = utf8proc_category(c);

	return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}

char *
token_normalize(const char *text, size_t len, size_t *out_len)
{
	utf8proc_uint8_t *nfc = NULL;
	utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len,
	    &nfc, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	struct sb sb = { 0 };
	bool space = false;

	if (n < 0) {
		err("text: %s", utf8proc_errmsg(n));
		return NULL;
	}
	for (utf8proc_ssize_t i = 0; i < n;) {
		utf8proc_uint8_t u[4];
		utf8proc_int32_t c;
		utf8proc_ssize_t step = utf8proc_iterate(nfc + i, n - i, &c);

		i += step > 0 ? step : 1;
		if (is_space(c)) {
			if (!space)
				sb_putc(&sb, ' ');
			space = true;
			continue;
		}
		space = false;
		/* the one letter whose lower case is two: LATIN CAPITAL LETTER I WITH DOT ABOVE */
		if (c == 0x130) {
			sb_puts(&sb, "i\xcc\x87");
			continue;
		}
		sb_put(&sb, u, (size_t)utf8proc_encode_char(utf8proc_tolower(c), u));
	}
	free(nfc);
	*out_len = sb.len;
	return sb.s ? sb.s : xstrdup("");
}

size_t
token_word(const char *s, size_t len)
{
	static const char *const contractions[] = { "'s", "'t", "'re", "'ve", "'m", "'ll", "'d" };
	utf8proc_int32_t c;
	utf8proc_ssize_t step;
	size_t n = 0;
	bool letters;

	for (size_t i = 0; i < sizeof(contractions) / sizeof(*contractions); i++) {
		size_t k = strlen(contractions[i]);

		if (k <= len && memcmp(s, contractions[i], k) == 0)
			return k;
	}
	step = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len, &c);
	if (step <= 0 || is_space(c))
		return 0;
	if (is_number(c))
		return (size_t)step;
	letters = is_letter(c);
	while (n < len) {
		step = utf8proc_iterate((const utf8proc_uint8_t *)s + n,
		    (utf8proc_ssize_t)(len - n), &c);
		if (step <= 0 || is_space(c) || is_number(c) || is_letter(c) != letters)
			break;
		n += (size_t)step;
	}
	return n;
}
