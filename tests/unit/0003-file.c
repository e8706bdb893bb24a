/* Files that are whole or absent, also when the program is killed; paths. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/phantom-file.XXXXXX";

static int
enter(void **state)
{
	(void)state;
	return !mkdtemp(dir) || chdir(dir);
}

static int
leave(void **state)
{
	(void)state;
	return chdir("/") || rmdir(dir);
}

static int
count_files(void)
{
	DIR *d = opendir(".");
	int n = -2; /* . and .. */

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void
assert_holds(const char *path, const char *want)
{
	char *data;
	size_t n;

	assert_int_equal(file_read(path, 100, &data, &n), 0);
	assert_int_equal(n, strlen(want));
	assert_string_equal(data, want);
	free(data);
}

static void
written_whole_or_not_at_all(void **state)
{
	struct outfile f;

	(void)state;
	assert_int_equal(outfile_open(&f, "a"), 0);
	fputs("one", f.fp);
	assert_false(file_exists("a"));
	assert_int_equal(outfile_commit(&f), 0);
	assert_holds("a", "one");

	assert_int_equal(outfile_open(&f, "a"), 0);
	fputs("two", f.fp);
	outfile_abort(&f);
	assert_holds("a", "one");
	assert_int_equal(file_write("a", "three", 5), 0);
	assert_holds("a", "three");
	assert_int_equal(count_files(), 1);
	unlink("a");

	assert_int_equal(file_write("no/such/folder", "", 0), -1);
	assert_int_equal(mkdir("d", 0777), 0);
	assert_int_equal(file_write("d", "", 0), -1);
	rmdir("d");
	assert_int_equal(count_files(), 0);
}

static void
full_disk_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(file_write("/dev/full", "x", 1), -1);
	assert_non_null(strstr(errmsg(), strerror(ENOSPC)));
}

/* The child has two files open and is ended by a signal or by die(). */
static void
nothing_half_is_left(void **state)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		int status;
		pid_t pid = fork();

		if (!pid) {
			struct outfile f, g;

			if (outfile_open(&f, "f") || outfile_open(&g, "g"))
				_exit(9);
			fputs("half", f.fp);
			fflush(f.fp);
			if (count_files() != 2)
				_exit(9);
			fclose(stderr);
			if (ends[i])
				raise(ends[i]);
			die("the end");
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (ends[i]) {
			assert_true(WIFSIGNALED(status));
			assert_int_equal(WTERMSIG(status), ends[i]);
		} else {
			assert_true(WIFEXITED(status));
			assert_int_equal(WEXITSTATUS(status), EXIT_FATAL);
		}
		assert_int_equal(count_files(), 0);
	}
}

/* A write error midway: commit says so and leaves what was there. */
static void
a_file_too_large_is_not_committed(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(file_write("big", "old", 3), 0);
	pid = fork();
	if (!pid) {
		struct rlimit l = { 1000, 1000 };
		static char block[5000];
		struct outfile f;

		signal(SIGXFSZ, SIG_IGN);
		if (setrlimit(RLIMIT_FSIZE, &l) || outfile_open(&f, "big"))
			_exit(9);
		fwrite(block, 1, sizeof(block), f.fp);
		_exit(outfile_commit(&f) == -1 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_holds("big", "old");
	assert_int_equal(count_files(), 1);
	unlink("big");
}

static void
reading_has_a_limit(void **state)
{
	char *data;
	size_t n;
	int fd[2];
	char name[40];

	(void)state;
	assert_int_equal(file_write("x", "12345", 5), 0);
	assert_int_equal(file_read("x", 5, &data, &n), 0);
	assert_int_equal(n, 5);
	assert_int_equal(data[5], 0);
	free(data);
	assert_int_equal(file_read("x", 4, &data, &n), -1);
	assert_int_equal(file_read(".", 4, &data, &n), -1);
	assert_int_equal(file_read("nothing", 4, &data, &n), -1);
	assert_string_equal(errmsg(), "nothing: No such file or directory");
	unlink("x");

	/* a pipe tells no size */
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], "1234567", 7), 7);
	close(fd[1]);
	snprintf(name, sizeof(name), "/dev/fd/%d", fd[0]);
	assert_int_equal(file_read(name, 6, &data, &n), -1);
	close(fd[0]);
}

static void
folders(void **state)
{
	(void)state;
	assert_int_equal(make_dirs("p/q//r/"), 0);
	assert_int_equal(make_dirs("p/q/r"), 0);
	assert_true(file_exists("p/q/r"));
	assert_int_equal(file_write("p/f", "", 0), 0);
	assert_int_equal(make_dirs("p/f"), -1);
	assert_int_equal(make_dirs("p/f/g"), -1);
	assert_int_equal(make_dirs("."), 0);
	assert_int_equal(make_dirs("/"), 0);
	unlink("p/f");
	rmdir("p/q/r");
	rmdir("p/q");
	rmdir("p");
}

static void
assert_taken(char *got, const char *want)
{
	assert_string_equal(got, want);
	free(got);
}

static void
paths(void **state)
{
	(void)state;
	assert_taken(path_join("a", "b"), "a/b");
	assert_taken(path_join("a/", "b"), "a/b");
	assert_taken(path_join("a", "/b"), "/b");
	assert_taken(path_join(".", "b"), "b");
	assert_taken(path_join("", "b"), "b");
	assert_taken(path_join(NULL, "b"), "b");
	assert_taken(path_join("/", "b"), "/b");
	assert_taken(path_dir("a/b/c"), "a/b");
	assert_taken(path_dir("a//b"), "a");
	assert_taken(path_dir("a"), ".");
	assert_taken(path_dir("/a"), "/");
	assert_string_equal(path_base("a/b.c"), "b.c");
	assert_string_equal(path_base("b"), "b");
	assert_string_equal(path_ext("a.b/c"), "");
	assert_string_equal(path_ext("a/c.tar.gz"), ".gz");
	assert_string_equal(path_ext("a/.hidden"), "");
}

static void
names_in_a_folder(void **state)
{
	static const char *const made[] = { "b", "a10", ".hidden", "a2", "B" };
	struct arena mem = { 0 };
	char **name;
	size_t n;

	(void)state;
	assert_int_equal(dir_names(".", &mem, &name, &n), 0);
	assert_int_equal(n, 0);
	free(name);
	for (int i = 0; i < 5; i++)
		assert_int_equal(file_write(made[i], "", 0), 0);
	assert_int_equal(dir_names(".", &mem, &name, &n), 0);
	assert_int_equal(n, 4);
	assert_string_equal(name[0], "B");
	assert_string_equal(name[1], "a10");
	assert_string_equal(name[2], "a2");
	assert_string_equal(name[3], "b");
	free(name);
	for (int i = 0; i < 5; i++)
		unlink(made[i]);
	assert_int_equal(dir_names("absent", &mem, &name, &n), -1);
	assert_string_equal(errmsg(), "absent: No such file or directory");
	arena_release(&mem);
}

int
main(void)
{
	prog_init("0003-file");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_whole_or_not_at_all),
		cmocka_unit_test(full_disk_is_an_error),
		cmocka_unit_test(nothing_half_is_left),
		cmocka_unit_test(a_file_too_large_is_not_committed),
		cmocka_unit_test(reading_has_a_limit),
		cmocka_unit_test(folders),
		cmocka_unit_test(paths),
		cmocka_unit_test(names_in_a_folder),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
