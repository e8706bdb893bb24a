/* Strict JSON: what is accepted, what is refused, values, numbers printed and read back. */
#include "base/err.h"
#include "base/rng.h"
#include "data/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct text {
	const char *s;
	size_t len;
};
#define T(s) { s, sizeof(s) - 1 }

static const struct text good[] = {
	T("{}"),
	T("[]"),
	T("0"),
	T("-0"),
	T("-0.0"),
	T("1.10"),
	T("1e0"),
	T("1E+2"),
	T("1e-2"),
	T("0e5"),
	T("12345678901234567890"),
	T("1e308"),
	T("1.7976931348623157e308"),
	T("1e-400"),
	T("0e999999999999999999999"),
	T("1.7976931348623158e308"),
	T("0.00000000000000000000000000000000000000000001e350"),
	T("null"),
	T("true"),
	T("false"),
	T("\"\""),
	T(" \t\r\n1 \t\r\n"),
	T("\"\\u0000\""),
	T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\""),
	T("\"\\uD834\\uDD1E\""),
	T("\"\xc3\xa9\""),
	T("\"\xe2\x82\xac\""),
	T("\"\xf0\x9d\x84\x9e\""),
	T("\"\xf4\x8f\xbf\xbf\""),
	T("\"\xef\xbf\xbf\""),
	T("\"\x7f\""),
	T("\"\xe0\xa0\x80\""),
	T("\"\xed\x9f\xbf\""),
	T("\"\xee\x80\x80\""),
	T("{\"a\":1,\"b\":2}"),
	T("{\"a\":{\"a\":{\"a\":1}}}"),
	T("[1,[2,[3]]]"),
	T("{\"\":0}"),
	T("[{\"a\":1},{\"a\":1}]"),
	T("{\"a\":1,\"A\":1}"),
	T("{\"a\\u0000\":1,\"a\":2}"),
	T("{ \"a\" : [ 1 , 2 ] , \"b\" : { } }"),
	T("\"\\ud800\\udc00\""),
	T("\"\\udbff\\udfff\""),
};

static const struct text bad[] = {
	T(""),
	T(" "),
	T("{"),
	T("}"),
	T("["),
	T("]"),
	T("{]"),
	T("[}"),
	T("{\"a\"}"),
	T("{\"a\":}"),
	T("{\"a\":1,}"),
	T("[1,]"),
	T("[,1]"),
	T("[1 2]"),
	T("{\"a\":1 \"b\":2}"),
	T("{a:1}"),
	T("{'a':1}"),
	T("{1:2}"),
	T("{null:1}"),
	T("{\"a\":1}{\"b\":2}"),
	T("1 2"),
	T("{} x"),
	T("[1]]"),
	T("nul"),
	T("nulll"),
	T("True"),
	T("NaN"),
	T("Infinity"),
	T("-Infinity"),
	T("-"),
	T("+1"),
	T("01"),
	T("-01"),
	T("1."),
	T(".5"),
	T("1.e5"),
	T("1e"),
	T("1e+"),
	T("0x10"),
	T("1e309"),
	T("-1e309"),
	T("1.7976931348623159e308"),
	T("1e999999999999999999999999999"),
	T("\""),
	T("\"a"),
	T("\"a\\\""),
	T("\"\\"),
	T("\"\\x41\""),
	T("\"\\u12\""),
	T("\"\\u12g4\""),
	T("\"\\u\""),
	T("\"\\U0041\""),
	T("\"\\ud800\""),
	T("\"\\udc00\""),
	T("\"\\ud800x\""),
	T("\"\\ud800\\u0041\""),
	T("\"\\ud800\\ud800\""),
	T("\"\\udc00\\ud800\""),
	T("\"\t\""),
	T("\"\n\""),
	T("\"\0\""),
	T("\0"),
	T("1\0"),
	T("\"\x80\""),
	T("\"\xc0\x80\""),
	T("\"\xc1\xbf\""),
	T("\"\xc3\""),
	T("\"\xc3(\""),
	T("\"\xe0\x9f\xbf\""),
	T("\"\xed\xa0\x80\""),
	T("\"\xe2\x82\""),
	T("\"\xf0\x8f\xbf\xbf\""),
	T("\"\xf4\x90\x80\x80\""),
	T("\"\xf5\x80\x80\x80\""),
	T("\"\xff\""),
	T("\"\xf0\x9d\x84"),
	T("\xef\xbb\xbf{}"),
	T("{\"a\":1,\"a\":2}"),
	T("{\"a\":1,\"\\u0061\":2}"),
	T("{\"\\ud834\\udd1e\":1,\"\xf0\x9d\x84\x9e\":2}"),
	T("{\"\\/\":1,\"/\":2}"),
	T("{\"\":1,\"\":2}"),
	T("[{\"x\":{\"b\":1,\"c\":2,\"b\":3}}]"),
	T("// x\n1"),
	T("/* x */1"),
	T("[1,2"),
	T("{\"a\":1"),
	T("{\"a\":[1,2}"),
	T("\f1"),
	T("\xc2\xa0"
	  "1"),
	T("{,}"),
	T("[\"a\":1]"),
	T("{\"a\",\"b\"}"),
	T("--1"),
	T("1-"),
	T("1e5.5"),
	T("\"a\"b"),
};

/* A copy without a NUL behind it, in memory of its own, so that ASan sees a read too far. */
static char *
tight(const struct text *t)
{
	char *p = malloc(t->len ? t->len : 1);

	memcpy(p, t->s, t->len);
	return p;
}

static void
accepts_all_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *p = tight(&good[i]);
		struct json j;

		if (json_validate(p, good[i].len))
			fail_msg("%s: %s", good[i].s, errmsg());
		assert_int_equal(json_parse(&j, p, good[i].len), 0);
		assert_int_equal(j.v[0].next, j.n);
		json_release(&j);
		free(p);
	}
}

static void
refuses_the_rest(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *p = tight(&bad[i]);
		struct json j;

		if (!json_validate(p, bad[i].len))
			fail_msg("accepted: %s", bad[i].s);
		assert_int_equal(strncmp(errmsg(), "byte ", 5), 0);
		assert_int_equal(json_parse(&j, p, bad[i].len), -1);
		free(p);
	}
}

/* Every proper beginning of a text that is an object is refused. */
static void
refuses_beginnings(void **state)
{
	static const char s[] =
	    "{\"a\":[1,-2.5e3,\"\\ud834\\udd1e\xc3\xa9\",true,null,{\"b\":{}}],\"c\":false}";

	(void)state;
	assert_int_equal(json_validate(s, sizeof(s) - 1), 0);
	for (size_t n = 0; n < sizeof(s) - 1; n++) {
		struct text t = { s, n };
		char *p = tight(&t);

		assert_int_equal(json_validate(p, n), -1);
		free(p);
	}
}

static void
nests_to_64(void **state)
{
	char s[200];

	(void)state;
	for (int depth = 64; depth <= 65; depth++) {
		memset(s, '[', (size_t)depth);
		memset(s + depth, ']', (size_t)depth);
		assert_int_equal(json_validate(s, 2 * (size_t)depth), depth == 64 ? 0 : -1);
	}
}

/* Few keys are compared as they come, many are sorted: both find the one that comes twice. */
static void
finds_duplicates_among_many(void **state)
{
	(void)state;
	for (int n = 2; n < 400; n += n < 40 ? 1 : 37) {
		for (int twice = 0; twice < 2; twice++) {
			struct sb sb = { 0 };

			sb_puts(&sb, "[{\"outer\":{");
			for (int i = 0; i < n; i++)
				sb_printf(&sb, "%s\"k%d\":{\"k0\":0,\"x\":1}", i ? "," : "", i);
			sb_printf(&sb, ",\"\\u006b%d\":0}}]", twice ? n / 2 : n);
			assert_int_equal(json_validate(sb.s, sb.len), twice ? -1 : 0);
			if (twice)
				assert_non_null(strstr(errmsg(), "duplicate key"));
			sb_release(&sb);
		}
	}
}

/* The limit of the doubles with its 309 digits, and one more: rounding decides. */
static void
overflow_is_exact(void **state)
{
	char s[1400];
	int n = snprintf(s, sizeof(s), "%.0f", 1.7976931348623157e308);

	(void)state;
	assert_int_equal(n, 309);
	assert_int_equal(json_validate(s, (size_t)n), 0);
	/* halfway to 2^1024: 2^1024 - 2^970 rounds to even, that is, overflows; one less does
	 * not */
	snprintf(s, sizeof(s),
	    "17976931348623158079372897140530341507993413271003"
	    "782693617377898044496829276475094664901797758720"
	    "70963302864166928879109465555478519404026306574886"
	    "71505820681908902000708383676273854845817711531764"
	    "47573027006985557136695962284291481986083493647529"
	    "27190741684443655107043427115596995080930428801779"
	    "04174497792");
	n = (int)strlen(s);
	assert_int_equal(n, 309);
	assert_int_equal(json_validate(s, (size_t)n), -1);
	s[n - 1] = '1';
	assert_int_equal(json_validate(s, (size_t)n), 0);
	/* the same scaled: zeros in front, exponent behind */
	memmove(s + 302, s, 309);
	memset(s, '0', 302);
	s[1] = '.';
	strcpy(s + 611, "e609");
	assert_int_equal(json_validate(s, 615), 0);
	s[610] = '2';
	assert_int_equal(json_validate(s, 615), -1);
}

static void
values(void **state)
{
	static const char s[] =
	    "{\"a\":[10,{\"x\":[]},\"s\\u00e9\\n\"],\"b\":true,\"c\":1.5,\"d\":\"\\u0000\","
	    "\"\\u0065\":null}";
	struct arena a = { 0 };
	struct json j;
	double x;
	int64_t i;
	bool b = false;

	(void)state;
	assert_int_equal(json_parse(&j, s, sizeof(s) - 1), 0);
	assert_int_equal(j.v[0].size, 5);
	int arr = json_get(&j, 0, "a");
	assert_int_equal(j.v[arr].type, JSON_ARRAY);
	assert_int_equal(j.v[arr].size, 3);
	assert_int_equal(json_int(&j, json_at(&j, arr, 0), &i), 0);
	assert_int_equal(i, 10);
	assert_string_equal(json_str(&j, json_at(&j, arr, 2), &a), "s\xc3\xa9\n");
	assert_int_equal(json_at(&j, arr, 3), -1);
	assert_int_equal(json_at(&j, 0, 0), -1);
	assert_int_equal(json_bool(&j, json_get(&j, 0, "b"), &b), 0);
	assert_true(b);
	assert_int_equal(json_num(&j, json_get(&j, 0, "c"), &x), 0);
	assert_true(x == 1.5);
	assert_int_equal(json_int(&j, json_get(&j, 0, "c"), &i), -1);
	assert_null(json_str(&j, json_get(&j, 0, "d"), &a));
	assert_int_equal(j.v[json_get(&j, 0, "e")].type, JSON_NULL);
	assert_int_equal(json_get(&j, 0, "f"), -1);
	assert_int_equal(json_get(&j, arr, "a"), -1);
	assert_int_equal(json_num(&j, -1, &x), -1);
	assert_null(json_str(&j, arr, &a));
	json_release(&j);
	arena_release(&a);
}

static void
whole_numbers(void **state)
{
	static const struct { const char *s; int ret; int64_t v; } c[] = {
		{ "9007199254740992", 0, INT64_C(9007199254740992) },
		{ "-9007199254740992", 0, -INT64_C(9007199254740992) },
		{ "9007199254740994", -1, 0 }, { "1e3", 0, 1000 }, { "1.0", 0, 1 }, { "-0", 0, 0 },
		{ "0.5", -1, 0 }, { "1e300", -1, 0 }, { "\"1\"", -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct json j;
		int64_t v = 7;

		assert_int_equal(json_parse(&j, c[i].s, strlen(c[i].s)), 0);
		assert_int_equal(json_int(&j, 0, &v), c[i].ret);
		if (!c[i].ret)
			assert_int_equal(v, c[i].v);
		json_release(&j);
	}
}

static void
strings_written_are_json(void **state)
{
	static const struct { struct text in; const char *out; } c[] = {
		{ T("plain"), "\"plain\"" }, { T(""), "\"\"" },
		    { T("a\"b\\c/"), "\"a\\\"b\\\\c/\"" },
		{ T("\n\r\t\b\x01\x1f\x7f"), "\"\\n\\r\\t\\u0008\\u0001\\u001f\x7f\"" },
		{ T("\xc3\xa9\xf0\x9d\x84\x9e"), "\"\xc3\xa9\xf0\x9d\x84\x9e\"" },
		{ T("a\xff\xfe" "b"), "\"a\xef\xbf\xbd\xef\xbf\xbd" "b\"" },
		    { T("\xc3"), "\"\xef\xbf\xbd\"" },
		{ T("x\0y"), "\"x\\u0000y\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct sb sb = { 0 };
		char *p = tight(&c[i].in);

		json_put_str(&sb, p, c[i].in.len);
		assert_string_equal(sb.s, c[i].out);
		assert_int_equal(json_validate(sb.s, sb.len), 0);
		sb_release(&sb);
		free(p);
	}
}

/* Does any decimal with fewer digits than s name x? Tries the two neighbours of x in `digits`. */
static bool
shorter_exists(double x, int digits)
{
	char buf[64], *e;

	for (int up = -1; up <= 1; up++) {
		long ex;
		char mant[32];
		long long m;
		int n = 0;

		snprintf(buf, sizeof(buf), "%.*e", digits - 1, x);
		e = strchr(buf, 'e');
		ex = strtol(e + 1, NULL, 10);
		for (char *p = buf; p < e; p++)
			if (*p != '.' && *p != '-')
				mant[n++] = *p;
		mant[n] = '\0';
		m = strtoll(mant, NULL, 10) + up;
		snprintf(buf, sizeof(buf), "%s%llde%ld", x < 0 ? "-" : "", m, ex - digits + 1);
		if (strtod(buf, NULL) == x)
			return true;
	}
	return false;
}

static int
digits_of(const char *s)
{
	int n = 0, zeros = 0;

	for (; *s && *s != 'e'; s++) {
		if (*s < '0' || *s > '9' || (!n && *s == '0'))
			continue;
		n++;
		zeros = *s == '0' ? zeros + 1 : 0;
	}
	return n - zeros;
}

static void
check_number(double x)
{
	struct sb sb = { 0 };
	struct json j;
	double y;
	int d;

	json_put_num(&sb, x);
	assert_int_equal(json_parse(&j, sb.s, sb.len), 0);
	assert_int_equal(json_num(&j, 0, &y), 0);
	assert_memory_equal(&x, &y, sizeof(x));
	json_release(&j);
	d = digits_of(sb.s);
	if (d > 1 && shorter_exists(x, d - 1))
		fail_msg("%s is not the shortest for %.17g", sb.s, x);
	sb_release(&sb);
}

static void
numbers_are_shortest_and_read_back(void **state)
{
	struct rng r;

	(void)state;
	rng_init(&r, 1, 0);
	for (int i = 0; i < 20000; i++) {
		uint64_t u = rng_u64(&r);
		double x;

		memcpy(&x, &u, 8);
		if (isfinite(x))
			check_number(x);
		check_number((double)(float)rng_normal(&r));
		check_number(floor(rng_double(&r) * 1000) / 1000);
	}
	for (int e = -1074; e < 1024; e++) {
		check_number(ldexp(1, e));
		check_number(-nextafter(ldexp(1, e), 0));
		check_number(nextafter(ldexp(1, e), INFINITY));
	}
}

static void
numbers_look_plain(void **state)
{
	static const struct { double x; const char *s; } c[] = {
		{ 0, "0" }, { -0.0, "-0" }, { 5, "5" }, { 0.1, "0.1" }, { 1e6, "1000000" },
		    { 1e-5, "1e-5" },
		{ 1e21, "1e21" }, { 1.5e-10, "1.5e-10" }, { 1e100, "1e100" }, { 5e-324, "5e-324" },
		{ 1.7976931348623157e308, "1.7976931348623157e308" },
		    { 0.1 + 0.2, "0.30000000000000004" },
		{ INFINITY, "null" }, { NAN, "null" }, { 123456789012345, "123456789012345" },
		{ 9007199254740991, "9007199254740991" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct sb sb = { 0 };

		json_put_num(&sb, c[i].x);
		assert_string_equal(sb.s, c[i].s);
		sb_release(&sb);
	}
}

/* What a configuration leaves out stays as it was. */
static void
members(void **state)
{
	static const char text[] = "{\"i\":7,\"x\":1.5,\"b\":true,\"none\":null,\"s\":\"7\"}";
	struct json j;
	int i = 3;
	double x = 0.25;
	bool b = false;

	(void)state;
	assert_int_equal(json_parse(&j, text, strlen(text)), 0);
	assert_int_equal(json_member_int(&j, 0, "absent", 1, 9, &i), 0);
	assert_int_equal(json_member_int(&j, 0, "none", 1, 9, &i), 0);
	assert_int_equal(json_member_num(&j, 0, "none", &x), 0);
	assert_int_equal(json_member_bool(&j, 0, "absent", &b), 0);
	assert_true(i == 3 && x == 0.25 && !b);
	assert_int_equal(json_member_int(&j, 0, "i", 1, 9, &i), 0);
	assert_int_equal(json_member_num(&j, 0, "x", &x), 0);
	assert_int_equal(json_member_bool(&j, 0, "b", &b), 0);
	assert_true(i == 7 && x == 1.5 && b);
	assert_int_equal(json_member_int(&j, 0, "i", 1, 6, &i), -1);
	assert_string_equal(errmsg(), "i: want a whole number from 1 to 6");
	assert_int_equal(json_member_int(&j, 0, "x", 1, 6, &i), -1);
	assert_int_equal(json_member_num(&j, 0, "s", &x), -1);
	assert_memory_equal(errmsg(), "s: ", 3);
	assert_int_equal(json_member_bool(&j, 0, "i", &b), -1);
	assert_true(i == 7 && x == 1.5 && b);
	json_release(&j);
}

static void
members_written(void **state)
{
	struct sb sb = { 0 };
	char line[64] = "";
	FILE *f = tmpfile();
	int out = dup(1);

	(void)state;
	sb_puts(&sb, "{\"i\":1");
	json_add_str(&sb, "s", "\"x\"");
	json_add_num(&sb, "x", 0.5);
	json_add_num(&sb, "none", NAN);
	fflush(stdout);
	assert_true(f && out >= 0 && dup2(fileno(f), 1) == 1);
	json_say(&sb);
	dup2(out, 1);
	close(out);
	assert_null(sb.s);
	rewind(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	assert_string_equal(line, "{\"i\":1,\"s\":\"\\\"x\\\"\",\"x\":0.5,\"none\":null}\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_all_json),
		cmocka_unit_test(refuses_the_rest),
		cmocka_unit_test(refuses_beginnings),
		cmocka_unit_test(nests_to_64),
		cmocka_unit_test(finds_duplicates_among_many),
		cmocka_unit_test(overflow_is_exact),
		cmocka_unit_test(values),
		cmocka_unit_test(whole_numbers),
		cmocka_unit_test(members),
		cmocka_unit_test(strings_written_are_json),
		cmocka_unit_test(numbers_are_shortest_and_read_back),
		cmocka_unit_test(numbers_look_plain),
		cmocka_unit_test(members_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
