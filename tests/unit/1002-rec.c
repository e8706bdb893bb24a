/* Records: fields in and out, bytes that pass untouched, streams of lines. */
#include "base/err.h"
#include "base/rng.h"
#include "data/rec.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void
parse(struct rec *r, const char *line)
{
	rec_clear(r);
	if (rec_parse(r, line, strlen(line)))
		fail_msg("%s: %s", line, errmsg());
}

static void
assert_written(const struct rec *r, const char *want)
{
	struct sb sb = { 0 };

	rec_write(r, &sb);
	assert_string_equal(sb.s, want);
	sb_release(&sb);
}

static void
untouched_bytes_pass(void **state)
{
	static const char *const line[] = {
		"{}", "{\"a\":1.10,\"b\":12345678901234567890,\"c\":-0}",
		    " { \"a\" : [ 1,2 ] , \"b\":\"\\u00e9\" } ",
		"{\"a\\u0000\":1,\"a\":\"\\u0000\"}", "{\"\":{\"x\":[{}]}}",
		"{\"a\":1E+2,\"b\":\"\\/\"}",
	};
	struct rec r = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(line) / sizeof(line[0]); i++) {
		struct sb sb = { 0 };

		parse(&r, line[i]);
		sb_puts(&sb, line[i]);
		sb_putc(&sb, '\n');
		assert_written(&r, sb.s);
		sb_release(&sb);
	}
	rec_release(&r);
}

static void
what_is_no_record(void **state)
{
	static const char *const line[] =
	    { "", "[]", "1", "\"a\"", "null", "{\"a\":1}{}", "{\"a\":1,\"a\":1}",
		"{\"a\":1,}" };
	struct rec r = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(line) / sizeof(line[0]); i++) {
		rec_clear(&r);
		assert_int_equal(rec_parse(&r, line[i], strlen(line[i])), -1);
	}
	rec_release(&r);
}

static void
set_fields_keep_their_place(void **state)
{
	struct rec r = { 0 };

	(void)state;
	parse(&r, "{\"a\":1.10,\"b\":\"x\",\"c\":[1, 2]}");
	rec_set_int(&r, "b", 7);
	rec_set_str(&r, "n", "q\"\n");
	rec_set_num(&r, "m", 0.1);
	rec_set_bool(&r, "t", true);
	rec_set_raw(&r, "w", "{\"k\":1.0}", 9);
	assert_written(&r,
	    "{\"a\":1.10,\"b\":7,\"c\":[1, 2],\"n\":\"q\\\"\\n\",\"m\":0.1,\"t\":true,"
	    "\"w\":{\"k\":1.0}}\n");
	rec_set_num(&r, "m", 2);
	rec_del(&r, "a");
	rec_del(&r, "nothing");
	rec_del(&r, "w");
	assert_written(&r, "{\"b\":7,\"c\":[1, 2],\"n\":\"q\\\"\\n\",\"m\":2,\"t\":true}\n");

	/* the writer's manner is kept: blanks where they were, and beside new fields */
	parse(&r, "{\"a\": 1.10, \"b\" :  \"x\", \"\\u0063\": 3}");
	rec_set_int(&r, "c", 4);
	rec_set_int(&r, "d", 5);
	assert_written(&r, "{\"a\": 1.10, \"b\" :  \"x\", \"\\u0063\": 4, \"d\": 5}\n");

	/* a new record, and an empty one that grows */
	rec_clear(&r);
	assert_written(&r, "{}\n");
	rec_set_str(&r, "kind", "step");
	rec_set_num(&r, "loss", 1.0 / 3);
	assert_written(&r, "{\"kind\":\"step\",\"loss\":0.3333333333333333}\n");
	parse(&r, "{}");
	for (int i = 0; i < 100; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%d", i);
		rec_set_int(&r, key, i);
	}
	assert_int_equal(r.n, 100);
	assert_string_equal(rec_text(&r, "k99"), "99");
	rec_release(&r);
}

static void
fields_are_read(void **state)
{
	struct rec r = { 0 };
	double x = -1;
	int64_t i = -1;
	bool b = false;

	(void)state;
	parse(&r,
	    "{\"s\":\"\\u00e9\\n\",\"p\":\"plain\",\"x\":1.50,\"i\":-3,\"t\":true,\"n\":null,"
	    "\"o\":{},\"big\":9e20,"
	    "\"z\":\"a\\u0000\",\"k\\u0065y\":1}");
	assert_string_equal(rec_str(&r, "s"), "\xc3\xa9\n");
	assert_string_equal(rec_str(&r, "p"), "plain");
	assert_null(rec_str(&r, "x"));
	assert_null(rec_str(&r, "z"));
	assert_null(rec_str(&r, "absent"));
	assert_int_equal(rec_num(&r, "x", &x), 1);
	assert_true(x == 1.5);
	assert_int_equal(rec_num(&r, "n", &x), 0);
	assert_int_equal(rec_num(&r, "absent", &x), 0);
	assert_true(x == 1.5);
	assert_int_equal(rec_num(&r, "p", &x), -1);
	assert_string_equal(errmsg(), "p: not a number");
	assert_int_equal(rec_int(&r, "i", &i), 1);
	assert_int_equal(i, -3);
	assert_int_equal(rec_int(&r, "x", &i), -1);
	assert_int_equal(rec_int(&r, "big", &i), -1);
	assert_int_equal(rec_bool(&r, "t", &b), 1);
	assert_true(b);
	assert_int_equal(rec_bool(&r, "n", &b), 0);
	assert_int_equal(rec_bool(&r, "i", &b), -1);
	assert_string_equal(rec_text(&r, "x"), "1.50");
	assert_string_equal(rec_text(&r, "t"), "true");
	assert_string_equal(rec_text(&r, "s"), "\xc3\xa9\n");
	assert_null(rec_text(&r, "o"));
	assert_null(rec_text(&r, "n"));
	assert_non_null(rec_get(&r, "key"));
	assert_int_equal(rec_get(&r, "o")->type, JSON_OBJECT);
	rec_release(&r);
}

static void
names_of_records(void **state)
{
	struct rec r = { 0 };

	(void)state;
	parse(&r, "{\"file_name\":\"a.png\",\"id\":17}");
	assert_string_equal(rec_id(&r), "17");
	parse(&r, "{\"file_name\":\"a.png\",\"id\":null}");
	assert_string_equal(rec_id(&r), "a.png");
	parse(&r, "{}");
	r.lineno = 5;
	assert_string_equal(rec_id(&r), "line 5");
	rec_release(&r);
}

static void
paths_start_at_the_input(void **state)
{
	char dir[] = "/tmp/phantom-rec.XXXXXX", file[64], want[64];
	struct rec r = { 0 };
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/metadata.jsonl", dir);
	snprintf(want, sizeof(want), "%s/i/a.png", dir);
	fd = open(file, O_CREAT | O_WRONLY, 0666);
	assert_true(fd >= 0);
	close(fd);
	parse(&r, "{\"file_name\":\"i/a.png\",\"abs\":\"/x/y\",\"n\":1}");
	r.input = file;
	assert_string_equal(rec_path(&r, "file_name"), want);
	assert_string_equal(rec_path(&r, "abs"), "/x/y");
	assert_null(rec_path(&r, "n"));
	assert_string_equal(errmsg(), "n: not a string");
	assert_null(rec_path(&r, "absent"));
	assert_string_equal(errmsg(), "no field absent");
	r.input = "-";
	assert_string_equal(rec_path(&r, "file_name"), "i/a.png");
	r.input = "/dev/null"; /* as a pipe's name under /dev/fd would be */
	assert_string_equal(rec_path(&r, "file_name"), "i/a.png");
	rec_release(&r);
	unlink(file);
	rmdir(dir);
}

/* ---- streams --------------------------------------------------------------------------------- */

/* A child feeds a pipe in pieces of all sizes; the lines come out whole. */
static void
lines_come_whole(void **state)
{
	static const char *const want[] = { "{\"a\":1}", "{\"b\":2}", "x", "\ty", "last" };
	static const char text[] = "{\"a\":1}\n\n \t\n{\"b\":2}\r\nx\n\r\n\ty\nlast";

	(void)state;
	for (size_t piece = 1; piece <= sizeof(text); piece++) {
		struct rec_in in;
		const char *line;
		size_t len, n = 0;
		int fd[2];
		pid_t pid;
		char name[40];
		const char *files[1] = { name };

		assert_int_equal(pipe(fd), 0);
		pid = fork();
		if (!pid) {
			for (size_t i = 0; i < sizeof(text) - 1; i += piece) {
				size_t left = sizeof(text) - 1 - i;

				if (write(fd[1], text + i, left < piece ? left : piece) < 0)
					_exit(1);
			}
			_exit(0);
		}
		close(fd[1]);
		snprintf(name, sizeof(name), "/dev/fd/%d", fd[0]);
		rec_in_open(&in, files, 1);
		while (rec_in_line(&in, &line, &len)) {
			assert_true(n < 5);
			assert_int_equal(len, strlen(want[n]));
			assert_memory_equal(line, want[n], len);
			n++;
		}
		assert_int_equal(n, 5);
		assert_int_equal(in.count, 5);
		rec_in_close(&in);
		close(fd[0]);
		waitpid(pid, NULL, 0);
	}
}

/* What is waiting never exceeds what a pipe takes in one piece, and all of it arrives. */
static void
batches_are_small(void **state)
{
	struct rec r = { 0 };
	int fd[2];
	pid_t pid;
	size_t total = 0;
	int status;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (!pid) {
		struct rec_out out;
		char text[600];

		close(fd[0]);
		rec_out_open(&out, fd[1], "pipe");
		for (int i = 0; i < 2000; i++) {
			size_t n = (size_t)(i * 37 % 590);

			memset(text, 'x', n);
			text[n] = '\0';
			rec_clear(&r);
			rec_set_str(&r, "t", text);
			rec_emit(&out, &r);
			if (out.sb.len > 4096)
				_exit(3);
		}
		rec_out_close(&out);
		_exit(0);
	}
	close(fd[1]);
	for (;;) {
		char buf[4096];
		ssize_t n = read(fd[0], buf, sizeof(buf));

		assert_true(n >= 0);
		if (!n)
			break;
		total += (size_t)n;
	}
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (int i = 0; i < 2000; i++)
		total -= (size_t)(i * 37 % 590) + strlen("{\"t\":\"\"}\n");
	assert_int_equal(total, 0);
	rec_release(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(untouched_bytes_pass),
		cmocka_unit_test(what_is_no_record),
		cmocka_unit_test(set_fields_keep_their_place),
		cmocka_unit_test(fields_are_read),
		cmocka_unit_test(names_of_records),
		cmocka_unit_test(paths_start_at_the_input),
		cmocka_unit_test(lines_come_whole),
		cmocka_unit_test(batches_are_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
