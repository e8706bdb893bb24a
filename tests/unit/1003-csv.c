/* CSV: cells, malformed rows, large inputs in small pieces, tables. */
#include "base/err.h"
#include "base/mem.h"
#include "data/csv.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Rows as text: cells in brackets, a row a line. */
static int
show(char **cell, const size_t *len, size_t n, uint64_t row, void *ctx)
{
	struct sb *sb = ctx;

	sb_printf(sb, "%" PRIu64, row);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(cell[i][len[i]], 0);
		sb_puts(sb, "[");
		sb_put(sb, cell[i], len[i]);
		sb_puts(sb, "]");
	}
	sb_puts(sb, "\n");
	return 0;
}

static int
show_bad(uint64_t row, const char *why, void *ctx)
{
	sb_printf(ctx, "%" PRIu64 " bad: %s\n", row, why);
	return 0;
}

/* Reads text that a child writes to a pipe, `piece` bytes at a time. */
static int
read_text(const char *text, size_t n, size_t piece, const struct csv_opts *o, struct sb *out)
{
	char name[40];
	int fd[2], ret;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (!pid) {
		close(fd[0]);
		for (size_t i = 0; i < n; i += piece)
			if (write(fd[1], text + i, n - i < piece ? n - i : piece) < 0)
				_exit(1);
		_exit(0);
	}
	close(fd[1]);
	snprintf(name, sizeof(name), "/dev/fd/%d", fd[0]);
	sb_clear(out);
	ret = csv_read_opts(name, o, show, out);
	close(fd[0]);
	waitpid(pid, NULL, 0);
	return ret;
}

#define BOTH 3
enum { LAX = 1, STRICT = 2 };
static const struct {
	const char *text;
	int mode;
	const char *want;
} good[] = {
	{ "", BOTH, NULL },
	{ "\n\r\n\n", BOTH, NULL },
	{ "a", BOTH, "0[a]\n" },
	{ "a,b\n1,2", BOTH, "0[a][b]\n1[1][2]\n" },
	{ "a,b\r\n1,2\r\n", BOTH, "0[a][b]\n1[1][2]\n" },
	{ "a,b\r1,2\r", BOTH, "0[a][b]\n1[1][2]\n" },
	{ ",\n", BOTH, "0[][]\n" },
	{ "a,", BOTH, "0[a][]\n" },
	{ "\"\"\n", BOTH, "0[]\n" },
	{ " a , b \n", BOTH, "0[ a ][ b ]\n" },
	{ "\"a,\"\"b\n\"\n", BOTH, "0[a,\"b\n]\n" },
	{ "\xef\xbb\xbf" "a,b\n", BOTH, "0[a][b]\n" },
	{ "\xef\xbb\xbf", BOTH, NULL },
	{ "\xef\xbb", BOTH, "0[\xef\xbb]\n" },
	{ "a\n\xef\xbb\xbf" "b\n", BOTH, "0[a]\n1[\xef\xbb\xbf" "b]\n" },
	{ "a\"b\n", LAX, "0[a\"b]\n" },
	{ "\"a\"b\",c\n", LAX, "0[a\"b][c]\n" },
	{ "x\na\"b,c\ny\n", STRICT, "0[x]\n1 bad: a quote where none may stand\n2[y]\n" },
	{ "x\n\"a\"b,\"c\ny\n", STRICT, "0[x]\n1 bad: a quote where none may stand\n2[y]\n" },
	{ "a,\"b\" \n", STRICT, "0 bad: a quote where none may stand\n" },
	{ "a\"b", STRICT, "0 bad: a quote where none may stand\n" },
};

static void
rows_whatever_the_pieces(void **state)
{
	struct sb sb = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		for (int mode = LAX; mode <= STRICT; mode++) {
			struct csv_opts o = { .strict = mode == STRICT, .bad_row = show_bad };

			for (size_t piece = 1; piece < 20 && (good[i].mode & mode); piece += 3) {
				assert_int_equal(
				    read_text(good[i].text, strlen(good[i].text), piece, &o, &sb),
				    0);
				assert_string_equal(sb.len ? sb.s : "", good[i].want ? good[i].want
				    : "");
			}
		}
	}
	sb_release(&sb);
}

static void
other_delimiters(void **state)
{
	struct csv_opts o = { .delim = ';' };
	struct sb sb = { 0 };

	(void)state;
	assert_int_equal(read_text("a,b;c\n", 6, 6, &o, &sb), 0);
	assert_string_equal(sb.s, "0[a,b][c]\n");
	sb_clear(&sb);
	csv_put(&sb, "a,b", 3, ';');
	csv_put(&sb, ";", 1, ';');
	assert_string_equal(sb.s, "a,b\";\"");
	sb_release(&sb);
}

static void
malformed_files_are_errors(void **state)
{
	struct csv_opts o = { .strict = true };
	struct sb sb = { 0 };

	(void)state;
	assert_int_equal(read_text("x\na\"b\n", 6, 6, &o, &sb), -1);
	assert_non_null(strstr(errmsg(), ":2: a quote where none may stand"));
	assert_int_equal(read_text("x\n\"a\n", 5, 5, &o, &sb), -1);
	assert_non_null(strstr(errmsg(), ":2: a quote without end"));
	o.bad_row = show_bad;
	assert_int_equal(read_text("x\n\"a\n", 5, 5, &o, &sb), -1);
	assert_int_equal(csv_read("/no/such/file", ',', true, show, &sb), -1);
	assert_string_equal(errmsg(), "/no/such/file: No such file or directory");
	assert_int_equal(csv_read("/", ',', true, show, &sb), -1);
	sb_release(&sb);
}

/* Rows longer than what is read at once. */
static void
long_cells(void **state)
{
	struct csv_opts o = { .strict = true };
	struct sb text = { 0 }, out = { 0 };

	(void)state;
	for (int row = 0; row < 3; row++) {
		sb_putc(&text, '"');
		for (int i = 0; i < 30000; i++)
			sb_puts(&text, "\"\"x,\n");
		sb_puts(&text, "\",end\n");
	}
	assert_int_equal(read_text(text.s, text.len, 50000, &o, &out), 0);
	assert_int_equal(out.len, 3 * (30000 * 4 + strlen("0[][end]\n")));
	sb_release(&text);
	sb_release(&out);
}

static int
stop_at_two(char **cell, const size_t *len, size_t n, uint64_t row, void *ctx)
{
	(void)cell;
	(void)len;
	(void)n;
	++*(int *)ctx;
	return row == 2 ? err("enough") : 0;
}

static void
a_callback_can_stop(void **state)
{
	char name[] = "/tmp/phantom-csv.XXXXXX";
	struct csv_table t;
	int calls = 0, fd = mkstemp(name);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a,b\nc\nd\ne\nf\n", 12), 12);
	close(fd);
	assert_int_equal(csv_read(name, ',', true, stop_at_two, &calls), -1);
	assert_int_equal(calls, 3);
	assert_non_null(strstr(errmsg(), ":3: enough"));

	assert_int_equal(csv_load(&t, name), 0);
	assert_int_equal(t.nrow, 5);
	assert_int_equal(t.ncol[0], 2);
	assert_int_equal(t.ncol[4], 1);
	assert_string_equal(t.cell[0][1], "b");
	assert_string_equal(t.cell[4][0], "f");
	csv_release(&t);
	unlink(name);
	assert_int_equal(csv_load(&t, name), -1);
	assert_int_equal(t.nrow, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_whatever_the_pieces),
		cmocka_unit_test(other_delimiters),
		cmocka_unit_test(malformed_files_are_errors),
		cmocka_unit_test(long_cells),
		cmocka_unit_test(a_callback_can_stop),
	};

	prog_init("1003-csv");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
