/*
 * Token ids against the Rust tokenizers library: diffusers/tokens.json of a golden set, exactly.
 * Also learns a tokenizer from captions, which needs no set.
 */
#include "base/err.h"
#include "base/file.h"
#include "data/json.h"
#include "model/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *golden;

static size_t
unhex(const char *hex, char *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned v;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (char)v;
	}
	return n;
}

static void
ids_equal_the_rust_librarys(void **state)
{
	char *path = path_join(golden, "diffusers/tokens.json"), *dir, *text;
	struct arena mem = { 0 };
	struct tokenizer tok;
	struct json j;
	int prompts, wrong = 0;

	(void)state;
	assert_int_equal(json_read_file(&j, &text, path), 0);
	dir = path_join(golden, "diffusers/model/tokenizer");
	if (tokenizer_open(&tok, dir))
		fail_msg("%s", errmsg());
	prompts = json_get(&j, 0, "prompts");
	assert_true(prompts > 0);
	for (int p = prompts + 1, i = 0; i < j.v[prompts].size; p = j.v[p].next, i++) {
		const char *hex = json_str(&j, json_get(&j, p, "utf8_hex"), &mem);
		int fast = json_get(&j, p, "fast");
		int32_t ids[256];
		int64_t want, len;
		char *s = malloc(strlen(hex) + 1);
		int n, max = j.v[fast].size;
		bool same;

		assert_in_range(max, 2, 256);
		n = tokenizer_encode(&tok, s, unhex(hex, s), ids, max);
		same = json_int(&j, json_get(&j, p, "untruncated_length"), &len) == 0 && n == len;
		for (int k = 0, v = fast + 1; k < max; v = j.v[v].next, k++) {
			assert_int_equal(json_int(&j, v, &want), 0);
			same &= ids[k] == want;
		}
		if (!same)
			print_message("prompt %d: '%.60s' differs (%d ids, %d wanted)\n", i, s, n,
			    (int)len);
		wrong += !same;
		free(s);
	}
	print_message("token ids of %d prompts: %d differ (bound: 0)\n", j.v[prompts].size, wrong);
	assert_int_equal(wrong, 0);
	tokenizer_close(&tok);
	arena_release(&mem);
	json_release(&j);
	free(text);
	free(path);
	free(dir);
}

static void
a_tokenizer_is_learned(void **state)
{
	static const char *const captions[] =
	    { "a red cell", "a red Cell and a blue cell", "redder cells" };
	char dir[] = "/tmp/phantom-tok.XXXXXX", *path;
	struct tokenizer tok;
	int32_t ids[77], more[77];

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(tokenizer_learn(captions, 3, 100, dir), 0);
	if (tokenizer_open(&tok, dir))
		fail_msg("%s", errmsg());
	/* each word is one token now: begin, "a", "red", "cell", end */
	assert_int_equal(tokenizer_encode(&tok, "a  RED\tcell", 11, ids, 77), 5);
	assert_int_equal(ids[0], tok.bos);
	assert_int_equal(ids[4], tok.eos);
	assert_int_equal(ids[76], tok.pad);
	/* any bytes have ids: the snowman is three */
	assert_int_equal(tokenizer_encode(&tok, "\xe2\x98\x83", 3, ids, 77), 5);
	/* cut: the end is kept */
	assert_int_equal(tokenizer_encode(&tok, "a a a a a a a a", 15, more, 6), 10);
	assert_int_equal(more[5], tok.eos);
	assert_int_equal(tokenizer_encode(&tok, "a\xff", 2, ids, 77), -1);
	tokenizer_close(&tok);
	for (int i = 0; i < 3; i++) {
		static const char *const files[] =
		    { "vocab.json", "merges.txt", "tokenizer_config.json" };

		path = path_join(dir, files[i]);
		unlink(path);
		free(path);
	}
	rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tokenizer_is_learned),
		cmocka_unit_test(ids_equal_the_rust_librarys),
	};
	char *path = NULL;
	bool have;

	golden = getenv("GOLDEN");
	path = golden ? path_join(golden, "diffusers/tokens.json") : NULL;
	have = path && file_exists(path);
	free(path);
	return have ? cmocka_run_group_tests(tests, NULL, NULL)
	            : _cmocka_run_group_tests("tests", tests, 1, NULL, NULL);
}
