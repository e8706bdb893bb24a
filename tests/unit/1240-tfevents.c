/* TensorBoard's event files: known checksums, and a file read back field by field. */
#include "scratch.h"

#include "base/mem.h"
#include "data/tfevents.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* RFC 3720, appendix B.4, and the check value of the parameter catalogues. */
static void
checksums(void **state)
{
	uint8_t b[32];

	(void)state;
	assert_int_equal(crc32c("", 0), 0);
	assert_int_equal(crc32c("123456789", 9), 0xe3069283);
	memset(b, 0, 32);
	assert_int_equal(crc32c(b, 32), 0x8a9136aa);
	memset(b, 0xff, 32);
	assert_int_equal(crc32c(b, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		b[i] = (uint8_t)i;
	assert_int_equal(crc32c(b, 32), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		b[i] = (uint8_t)(31 - i);
	assert_int_equal(crc32c(b, 32), 0x113fdb5c);
	/* 0xe3069283 rotated right by 15, plus 0xa282ead8 */
	assert_int_equal(crc32c_masked("123456789", 9), 0xc78ab0e5);
}

/* ---- a reader -------------------------------------------------------------------------------- */

struct field {
	unsigned number, wire;
	uint64_t value;      /* varint, or the bits of a fixed number */
	const uint8_t *p;    /* bytes */
	size_t n;
};

static uint64_t
varint(const uint8_t **p, const uint8_t *end)
{
	uint64_t v = 0;

	for (int shift = 0;; shift += 7) {
		assert_true(*p < end && shift < 64);
		v |= (uint64_t)(**p & 0x7f) << shift;
		if (!(*(*p)++ & 0x80))
			return v;
	}
}

/* The next field of a message; false at its end. */
static bool
next_field(const uint8_t **p, const uint8_t *end, struct field *f)
{
	uint64_t key;

	if (*p == end)
		return false;
	key = varint(p, end);
	*f = (struct field){ .number = (unsigned)(key >> 3), .wire = key & 7 };
	if (f->wire == 0) {
		f->value = varint(p, end);
	} else if (f->wire == 2) {
		f->n = varint(p, end);
		assert_true(f->n <= (size_t)(end - *p));
		f->p = *p;
		*p += f->n;
	} else {
		size_t n = f->wire == 1 ? 8 : 4;

		assert_true(f->wire == 1 || f->wire == 5);
		assert_true(n <= (size_t)(end - *p));
		memcpy(&f->value, *p, n);
		*p += n;
	}
	return true;
}

/* Field `number` of the message, which must be there once. */
static struct field
only(const uint8_t *p, size_t n, unsigned number)
{
	const uint8_t *end = p + n;
	struct field f, found = { 0 };

	while (next_field(&p, end, &f))
		if (f.number == number) {
			assert_int_equal(found.number, 0);
			found = f;
		}
	assert_int_equal(found.number, number);
	return found;
}

/* The bytes of the record at *at, whose checksums are looked at. */
static struct field
record(const uint8_t *p, size_t n, size_t *at)
{
	struct field f = { 0 };
	uint64_t len;
	uint32_t crc;

	assert_true(n - *at >= 16);
	memcpy(&len, p + *at, 8);
	memcpy(&crc, p + *at + 8, 4);
	assert_int_equal(crc, crc32c_masked(p + *at, 8));
	assert_true(len <= n - *at - 16);
	f.p = p + *at + 12;
	f.n = (size_t)len;
	memcpy(&crc, f.p + len, 4);
	assert_int_equal(crc, crc32c_masked(f.p, f.n));
	*at += f.n + 16;
	return f;
}

static double
wall_of(const struct field *e)
{
	struct field f = only(e->p, e->n, 1);
	double t;

	assert_int_equal(f.wire, 1);
	memcpy(&t, &f.value, 8);
	return t;
}

/* The one value of an event's summary; its tag and step are as said. */
static struct field
value_of(const struct field *e, const char *tag, int64_t step)
{
	struct field s = only(e->p, e->n, 5), v = only(s.p, s.n, 1), t = only(v.p, v.n, 1);

	assert_int_equal((int64_t)only(e->p, e->n, 2).value, step);
	assert_int_equal(t.n, strlen(tag));
	assert_memory_equal(t.p, tag, t.n);
	return v;
}

static void
read_back(void **state)
{
	struct tfevents e;
	struct image im = { 0 }, back = { 0 };
	char *data, *path;
	char longest[TFEVENTS_TAG + 2];
	size_t n, at = 0;
	struct field r, v, f;
	float x;

	(void)state;
	image_alloc(&im, 300, 7, 3, 8);
	for (int i = 0; i < 300 * 7 * 3; i++)
		((uint8_t *)im.data)[i] = (uint8_t)(i * 37);
	assert_int_equal(tfevents_open(&e, scratch), 0);
	path = xstrdup(e.path);
	assert_non_null(strstr(path, "/events.out.tfevents."));
	assert_int_equal(tfevents_scalar(&e, "train/loss", 1, 0.25), 0);
	assert_int_equal(tfevents_scalar(&e, "lr", (int64_t)1 << 40, -1e-4), 0);
	assert_int_equal(tfevents_scalar(&e, "gone", 3, NAN), 0);
	assert_int_equal(tfevents_image(&e, "sheet", 300, &im), 0);
	memset(longest, 'a', sizeof(longest));
	longest[TFEVENTS_TAG + 1] = '\0';
	assert_int_equal(tfevents_scalar(&e, longest, 1, 1), -1);
	/* what is written is there before the file is closed */
	assert_int_equal(file_read(path, 1 << 20, &data, &n), 0);
	assert_int_equal(tfevents_close(&e), 0);

	r = record((uint8_t *)data, n, &at);
	f = only(r.p, r.n, 3);
	assert_int_equal(f.n, 13);
	assert_memory_equal(f.p, "brain.Event:2", 13);
	assert_true(fabs(wall_of(&r) - (double)time(NULL)) < 600);
	r = record((uint8_t *)data, n, &at);
	v = value_of(&r, "train/loss", 1);
	f = only(v.p, v.n, 2);
	memcpy(&x, &f.value, 4);
	assert_int_equal(f.wire, 5);
	assert_true(x == 0.25f);
	r = record((uint8_t *)data, n, &at);
	v = value_of(&r, "lr", (int64_t)1 << 40);
	f = only(v.p, v.n, 2);
	memcpy(&x, &f.value, 4);
	assert_true(x == (float)-1e-4);
	r = record((uint8_t *)data, n, &at);
	v = value_of(&r, "gone", 3);
	f = only(v.p, v.n, 2);
	memcpy(&x, &f.value, 4);
	assert_true(isnan(x));
	r = record((uint8_t *)data, n, &at);
	v = value_of(&r, "sheet", 300);
	f = only(v.p, v.n, 4);
	assert_int_equal(only(f.p, f.n, 1).value, 7);
	assert_int_equal(only(f.p, f.n, 2).value, 300);
	assert_int_equal(only(f.p, f.n, 3).value, 3);
	f = only(f.p, f.n, 4);
	assert_int_equal(image_decode(&back, f.p, f.n, 0, 0, "png"), 0);
	assert_int_equal(back.w, 300);
	assert_memory_equal(back.data, im.data, 300 * 7 * 3);
	assert_int_equal(at, n);
	free(data);
	free(path);
	image_release(&im);
	image_release(&back);
}

/* Two of a second stand beside each other; a folder that cannot be made is told. */
static void
files(void **state)
{
	struct tfevents a, b;
	char *sub = path_join(scratch, "x/y"), *bad;

	(void)state;
	assert_int_equal(tfevents_open(&a, sub), 0);
	assert_int_equal(tfevents_open(&b, sub), 0);
	assert_string_not_equal(a.path, b.path);
	bad = path_join(a.path, "z");
	assert_int_equal(tfevents_close(&a), 0);
	assert_int_equal(tfevents_close(&b), 0);
	assert_int_equal(tfevents_open(&a, bad), -1);
	free(bad);
	free(sub);
}

static void
full_disk(void **state)
{
	struct tfevents e = { 0 };

	(void)state;
	e.fp = fopen("/dev/full", "wb");
	if (!e.fp)
		return;
	e.path = xstrdup("/dev/full");
	assert_int_equal(tfevents_scalar(&e, "x", 1, 1), -1);
	assert_non_null(strstr(errmsg(), "/dev/full: "));
	tfevents_close(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums),
		cmocka_unit_test(read_back),
		cmocka_unit_test(files),
		cmocka_unit_test(full_disk),
	};

	prog_init("1240-tfevents");
	scratch_make();
	return cmocka_run_group_tests(tests, NULL, scratch_remove);
}
