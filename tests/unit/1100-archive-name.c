/* Names in archives: which become paths, which are refused, which links may stand. */
#include "base/err.h"
#include "data/archive_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* path NULL: refused */
static void
check_path(const char *name, const char *path)
{
	struct sb sb = { 0 };

	if (path) {
		assert_int_equal(member_path(&sb, name), 0);
		assert_string_equal(sb.s, path);
	} else {
		assert_int_equal(member_path(&sb, name), -1);
	}
	sb_release(&sb);
}

static void
paths(void **state)
{
	(void)state;
	check_path("a", "a");
	check_path("a/b.png", "a/b.png");
	check_path("./a//b/./c", "a/b/c");
	check_path("a/b/", "a/b");
	check_path(".", "");
	check_path("./", "");
	check_path("...", "...");
	check_path("..a/b..", "..a/b..");
	check_path("-rf", "-rf");
	check_path("a\nb\033", "a\nb\033");
	check_path("a\\b", "a\\b");
	check_path("caf\303\251", "caf\303\251");
	check_path("bad\377\376", "bad%FF%FE");
	check_path("\355\240\200", "%ED%A0%80"); /* a surrogate */
	check_path("\300\257", "%C0%AF");        /* a slash in two bytes */
	check_path("\360\237\230\200", "\360\237\230\200");
	check_path("\360\237\230", "%F0%9F%98");
	check_path("1:2", "1:2");

	check_path("", NULL);
	check_path("/", NULL);
	check_path("/etc/passwd", NULL);
	check_path("//a", NULL);
	check_path("\\a", NULL);
	check_path("..", NULL);
	check_path("../a", NULL);
	check_path("a/..", NULL);
	check_path("a/../b", NULL);
	check_path("./../a", NULL);
	check_path("..\\a", NULL);
	check_path("a\\..\\b", NULL);
	check_path("a/..\\..", NULL);
	check_path("C:\\a", NULL);
	check_path("c:/a", NULL);
	check_path("C:a", NULL);
}

static void
long_parts(void **state)
{
	char name[600];

	(void)state;
	memset(name, 'x', 255);
	name[255] = '\0';
	check_path(name, name);
	memset(name, 'x', 256);
	name[256] = '\0';
	check_path(name, NULL);
	/* 100 bytes that become 300 */
	memset(name, '\377', 100);
	name[100] = '\0';
	check_path(name, NULL);
}

static void
links(void **state)
{
	static const struct {
		const char *path, *target;
		int ok;
	} t[] = {
		{ "l", "a", 1 },
		{ "l", ".", 1 },
		{ "l", "./a/b/", 1 },
		{ "d/l", "../a", 1 },
		{ "d/e/l", "../../a/b", 1 },
		{ "d/e/l", "./.././../a", 1 },
		{ "d/l", "..", 1 },
		{ "l", "a..b/...", 1 },
		{ "l", "", 0 },
		{ "l", "/a", 0 },
		{ "l", "\\a", 0 },
		{ "l", "C:a", 0 },
		{ "l", "..", 0 },
		{ "l", "../a", 0 },
		{ "d/l", "../../a", 0 },
		{ "d/l", "..\\..\\a", 0 },
		{ "l", "a/..", 0 },    /* a may be a link to "." */
		{ "l", "a/../b", 0 },
		{ "d/e/l", "../x/../y", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if ((member_link(t[i].path, t[i].target) == 0) != t[i].ok)
			fail_msg("%s -> %s: %s", t[i].path, t[i].target,
			    t[i].ok ? errmsg() : "allowed");
}

static void
shown(void **state)
{
	struct sb sb = { 0 };

	(void)state;
	name_show(&sb, "a\n\033[1m\177\302\233 \303\251\377");
	assert_string_equal(sb.s, "a\\x0a\\x1b[1m\\x7f\\x9b \303\251%FF");
	sb_release(&sb);
}

static void
check_unpacked(const char *name, const char *want)
{
	char *s = name_unpacked(name);

	assert_string_equal(s, want);
	free(s);
}

static void
suffixes(void **state)
{
	(void)state;
	check_unpacked("x.csv.gz", "x.csv");
	check_unpacked("x.csv", "x.csv");
	check_unpacked("x.GZ", "x");
	check_unpacked(".gz", ".gz");
	check_unpacked("x.tar.zst", "x.tar");
	assert_true(name_is_tar("x.tar"));
	assert_true(name_is_tar("x.tar.gz"));
	assert_true(name_is_tar("x.tgz"));
	assert_true(name_is_tar("x.TAR.XZ"));
	assert_false(name_is_tar("x.csv.gz"));
	assert_false(name_is_tar("tar.gz"));
	assert_true(name_is_archive("x.zip"));
	assert_true(name_is_archive("x.csv.gz"));
	assert_true(name_is_archive("x.7z"));
	assert_false(name_is_archive("x.csv"));
	assert_false(name_is_archive("zip"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(long_parts),
		cmocka_unit_test(links),
		cmocka_unit_test(shown),
		cmocka_unit_test(suffixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
