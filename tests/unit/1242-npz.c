/* .npz: what was written is read, what is damaged is refused. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/npz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/phantom-npz.XXXXXX";

static void
there_and_back(void **state)
{
	const double sigma[4] = { 1, 0.5, 0.5, 2 }, mu[2] = { -1, 3 };
	const int64_t n = 12;
	const struct st_tensor t[] = {
		{ .name = "mu", .dtype = ST_F64, .ndim = 1, .dim = { 2 }, .n = 2, .data = mu },
		{ .name = "sigma", .dtype = ST_F64, .ndim = 2, .dim = { 2, 2 }, .n = 4,
		    .data = sigma },
		{ .name = "n", .dtype = ST_I64, .n = 1, .data = &n },
	};
	const struct st_tensor *got;
	struct npz z;
	double back[4];

	(void)state;
	assert_int_equal(npz_write(path, t, 3), 0);
	assert_int_equal(npz_read(&z, path), 0);
	assert_int_equal(z.n, 3);
	got = npz_find(&z, "sigma");
	assert_non_null(got);
	assert_true(got->ndim == 2 && got->dim[1] == 2 && got->dtype == ST_F64);
	st_get_f64(got, back);
	assert_memory_equal(back, sigma, sizeof(sigma));
	assert_int_equal(npz_find(&z, "n")->ndim, 0);
	assert_null(npz_find(&z, "nu"));
	npz_release(&z);
}

/* Each byte of the file in turn: read as it was (a byte that means nothing), or refused; never
 * wrong. */
static void
damaged(void **state)
{
	const double x[3] = { 1, 2, 3 };
	const struct st_tensor t = { .name = "x", .dtype = ST_F64, .ndim = 1, .dim = { 3 }, .n = 3,
		.data = x };
	char *p;
	size_t len, refused = 0;

	(void)state;
	assert_int_equal(npz_write(path, &t, 1), 0);
	assert_int_equal(file_read(path, 1 << 20, &p, &len), 0);
	for (size_t i = 0; i < len; i++) {
		struct npz z;
		double back[3];

		p[i] ^= 0x41;
		assert_int_equal(file_write(path, p, len), 0);
		p[i] ^= 0x41;
		if (npz_read(&z, path)) {
			refused++;
			assert_non_null(strstr(errmsg(), path));
			continue;
		}
		if (npz_find(&z, "x")) {
			assert_int_equal(npz_find(&z, "x")->n, 3);
			st_get_f64(npz_find(&z, "x"), back);
			assert_memory_equal(back, x, sizeof(x));
		}
		npz_release(&z);
	}
	assert_true(refused > len / 4);
	for (size_t i = 0; i < len - 30; i += 7) {
		struct npz z;

		assert_int_equal(file_write(path, p, i), 0);
		if (npz_read(&z, path) == 0) {
			/* the directory at the end is gone, the member is whole */
			assert_true(!npz_find(&z, "x") || npz_find(&z, "x")->n == 3);
			npz_release(&z);
		}
	}
	free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(damaged),
	};
	int fd = mkstemp(path), rc;

	if (fd < 0)
		die("%s:", path);
	close(fd);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return rc;
}
