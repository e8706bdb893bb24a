/* safetensors: what is read, what is refused, what is written; half floats exhaustively; npy. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/npy.h"
#include "data/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A file in memory: length, header, data. Freed by the caller. */
static char *
make(const char *header, const void *data, size_t len, size_t *n)
{
	uint64_t h = strlen(header);
	char *p;

	*n = 8 + (size_t)h + len;
	p = xmalloc(*n);
	memcpy(p, &h, 8);
	memcpy(p + 8, header, (size_t)h);
	memcpy(p + 8 + h, data, len);
	return p;
}

static void
a_small_file_is_read(void **state)
{
	/* odd offsets, so that f32 and f64 stand unaligned */
	static const char header[] =
	    "{\"__metadata__\":{\"format\":\"pt\",\"n\\u00e4me\":\"x\"},"
	    "\"b\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[1,9]},"
	    "\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},"
	    "\"c\":{\"data_offsets\":[9,17],\"shape\":[1],\"dtype\":\"F64\"},"
	    "\"e\":{\"dtype\":\"I64\",\"shape\":[3,0],\"data_offsets\":[17,17]}}   ";
	char data[17] = { 7 };
	float f[2] = { 1.5f, -2 }, got[2];
	double d = 0.1, dgot;
	struct safetensors st;
	const struct st_tensor *t;
	size_t n;
	char *p;

	(void)state;
	memcpy(data + 1, f, 8);
	memcpy(data + 9, &d, 8);
	p = make(header, data, sizeof(data), &n);
	assert_int_equal(st_open_memory(&st, p, n, "m"), 0);
	assert_int_equal(st.n, 4);
	assert_string_equal(st.t[0].name, "b");
	assert_string_equal(st_meta(&st, "format"), "pt");
	assert_string_equal(st_meta(&st, "n\xc3\xa4me"), "x");
	assert_null(st_meta(&st, "none"));
	assert_null(st_find(&st, "none"));
	t = st_find(&st, "b");
	assert_true(t->ndim == 2 && t->dim[0] == 2 && t->dim[1] == 1 && t->n == 2);
	st_get_f32(t, got);
	assert_memory_equal(got, f, 8);
	t = st_find(&st, "a");
	assert_true(t->ndim == 0 && t->n == 1);
	st_get_f32(t, got);
	assert_true(got[0] == 7);
	st_get_f64(st_find(&st, "c"), &dgot);
	assert_true(dgot == d);
	assert_int_equal(st_find(&st, "e")->n, 0);
	st_close(&st);
	free(p);
}

#define T(name, dtype, shape, from, to) \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from "," \
	#to "]}"

static void
bad_headers_are_refused(void **state)
{
	/* each with 8 bytes of data */
	static const struct {
		const char *header, *why;
	} bad[] = {
		{ "", "header" },
		{ "[]", "no JSON object" },
		{ "{", "header" },
		{ "{\"a\":1," T("b", "U8", "[8]", 0, 8) "}", "tensor a" },
		{ "{" T("a", "U8", "[8]", 0, 8) "," T("a", "U8", "[0]", 8, 8) "}", "header" },
		{ "{" T("a", "F31", "[8]", 0, 8) "}", "dtype F31 is not known" },
		{ "{" T("a", "U8", "[7]", 0, 8) "}", "do not fit" },
		{ "{" T("a", "U8", "[9]", 0, 9) "}", "do not lie in" },
		{ "{" T("a", "F32", "[8]", 0, 8) "}", "do not fit" },
		{ "{" T("a", "U8", "[-8]", 0, 8) "}", "is not a size" },
		{ "{" T("a", "U8", "[8.5]", 0, 8) "}", "is not a size" },
		{ "{" T("a", "U8", "[[8]]", 0, 8) "}", "is not a size" },
		{ "{" T("a", "U8", "8", 0, 8) "}", "no shape" },
		{ "{" T("a", "U8", "[1,1,1,1,1,1,1,1,8]", 0, 8) "}", "9 dimensions" },
		{ "{" T("a", "U8", "[4294967296,4294967296,4294967296]", 0, 8) "}", "overflows" },
		{ "{" T("a", "F64", "[4294967296,4294967296]", 0, 0) ","
		    T("b", "U8", "[8]", 0, 8) "}", "overflows" },
		{ "{" T("a", "U8", "[4]", 0, 4) "," T("b", "U8", "[5]", 3, 8) "}", "overlaps" },
		{ "{" T("a", "U8", "[8]", 0, 8) "," T("b", "U8", "[8]", 0, 8) "}", "overlaps" },
		{ "{" T("a", "U8", "[3]", 0, 3) "," T("b", "U8", "[4]", 4, 8) "}",
		    "belong to none" },
		{ "{" T("a", "U8", "[7]", 1, 8) "}", "belong to none" },
		{ "{" T("a", "U8", "[7]", 0, 7) "}", "belong to none" },
		{ "{}", "belong to none" },
		{ "{" T("a", "U8", "[8]", 8, 0) "}", "do not lie in" },
		{ "{" T("a", "U8", "[8]", -1, 7) "}", "do not lie in" },
		{ "{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0]}}",
		    "no data_offsets" },
		{ "{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8,9]}}",
		    "no data_offsets" },
		{ "{\"a\":{\"dtype\":\"U8\",\"shape\":[8]}}", "no data_offsets" },
		{ "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,8]}}", "no shape" },
		{ "{\"a\":{\"shape\":[8],\"data_offsets\":[0,8]}}", "no dtype" },
		{ "{\"a\":{\"dtype\":8,\"shape\":[8],\"data_offsets\":[0,8]}}", "no dtype" },
		{ "{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}",
		    "NUL" },
		{ "{\"__metadata__\":[]," T("a", "U8", "[8]", 0, 8) "}", "__metadata__" },
		{ "{\"__metadata__\":{\"a\":1}," T("a", "U8", "[8]", 0, 8) "}", "__metadata__" },
		{ "{" T("\xff", "U8", "[8]", 0, 8) "}", "header" },
		{ "{" T("a", "U8", "[8]", 0, 8) "} x", "header" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct safetensors st;
		size_t n;
		char *p = make(bad[i].header, "12345678", 8, &n);

		if (st_open_memory(&st, p, n, "m") == 0)
			fail_msg("%s: was accepted", bad[i].header);
		if (strncmp(errmsg(), "m: ", 3) != 0 || !strstr(errmsg(), bad[i].why))
			fail_msg("%s: '%s' does not say '%s'", bad[i].header, errmsg(), bad[i].why);
		assert_null(st.t);
		free(p);
	}
}

static void
every_truncation_is_an_error(void **state)
{
	size_t n;
	char *p = make("{" T("a", "F32", "[2]", 0, 8) "}", "12345678", 8, &n);

	(void)state;
	for (size_t len = 0; len <= n; len++) {
		struct safetensors st;
		char *copy = xmalloc(len);
		int r;

		if (len)
			memcpy(copy, p, len);
		r = st_open_memory(&st, copy, len, "m");
		assert_int_equal(r, len == n ? 0 : -1);
		if (!r)
			st_close(&st);
		free(copy);
	}
	free(p);
}

static void
a_header_length_is_checked(void **state)
{
	/* in a file with 8 bytes after the length */
	static const uint64_t bad[] =
	    { 0, 7, 9, 100 << 20, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63 };
	char p[16];
	struct safetensors st;
	uint64_t good = 8;

	(void)state;
	memcpy(p + 8, "{}      ", 8);
	memcpy(p, &good, 8);
	assert_int_equal(st_open_memory(&st, p, sizeof(p), "m"), 0);
	st_close(&st);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(p, &bad[i], 8);
		assert_int_equal(st_open_memory(&st, p, sizeof(p), "m"), -1);
	}
}

static void
all_types_convert(void **state)
{
	static const float want[3] = { 0, 1, -3 };
	static const double f64[3] = { 0, 1, -3 };
	static const uint16_t f16[3] = { 0, 0x3c00, 0xc200 }, bf16[3] = { 0, 0x3f80, 0xc040 };
	static const int64_t i64[3] = { 0, 1, -3 };
	static const int32_t i32[3] = { 0, 1, -3 };
	static const int16_t i16[3] = { 0, 1, -3 };
	static const int8_t i8[3] = { 0, 1, -3 };
	static const struct {
		enum st_dtype dtype;
		const void *data;
		size_t size;
	} t[] = { { ST_F64, f64, 8 }, { ST_F32, want, 4 }, { ST_F16, f16, 2 }, { ST_BF16, bf16, 2 },
		{ ST_I64, i64, 8 }, { ST_I32, i32, 4 }, { ST_I16, i16, 2 }, { ST_I8, i8, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char raw[32];
		struct st_tensor x = { .dtype = t[i].dtype, .ndim = 1, .dim = { 3 }, .n = 3,
			.data = raw + 1 };
		float f[3];
		double d[3];

		assert_int_equal(st_dtype_size(t[i].dtype), t[i].size);
		memcpy(raw + 1, t[i].data, 3 * t[i].size);
		st_get_f32(&x, f);
		st_get_f64(&x, d);
		for (int k = 0; k < 3; k++)
			assert_true(f[k] == want[k] && d[k] == want[k]);
	}
	{
		static const uint8_t u8[3] = { 0, 2, 255 };
		struct st_tensor x = { .dtype = ST_U8, .n = 3, .data = u8 };
		float f[3];

		st_get_f32(&x, f);
		assert_true(f[0] == 0 && f[1] == 2 && f[2] == 255);
		x.dtype = ST_BOOL;
		st_get_f32(&x, f);
		assert_true(f[0] == 0 && f[1] == 1 && f[2] == 1);
	}
	{
		/* one rounding: by way of double it would be 2^62 + 2^38 -> tie -> 2^62 */
		static const int64_t v = ((int64_t)1 << 62) + ((int64_t)1 << 38) + 1;
		struct st_tensor x = { .dtype = ST_I64, .n = 1, .data = &v };
		float f;

		st_get_f32(&x, &f);
		assert_true(f == 0x1p62f + 0x1p39f);
	}
}

static void
what_is_written_is_read(void **state)
{
	static const float a[6] = { 1, 2, 3, 4, 5, NAN };
	static const uint8_t b[3] = { 1, 2, 3 };
	static const struct st_tensor t[] = {
		{ .name = "w \"quoted\"", .dtype = ST_U8, .ndim = 1, .dim = { 3 }, .n = 3,
		    .data = b },
		{ .name = "a.b", .dtype = ST_F32, .ndim = 2, .dim = { 2, 3 }, .n = 6, .data = a },
		{ .name = "none", .dtype = ST_F32, .ndim = 1, .dim = { 0 }, .n = 0, .data = a },
		{ .name = "scalar", .dtype = ST_F32, .ndim = 0, .n = 1, .data = a },
	};
	static const char *const meta[] = { "format", "pt", "k", "line\nline", NULL };
	const struct st_tensor twice[] = { t[0], t[0] };
	struct st_tensor wrong = t[1];
	char path[] = "/tmp/phantom-st.XXXXXX";
	struct safetensors st;
	uint64_t header;
	char *p;
	size_t n;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(st_write(path, t, 4, meta), 0);
	assert_int_equal(st_open(&st, path), 0);
	assert_int_equal(st.n, 4);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(st.t[i].name, t[i].name);
		assert_true(st.t[i].dtype == t[i].dtype && st.t[i].ndim == t[i].ndim &&
		    st.t[i].n == t[i].n);
		if (t[i].n)
			assert_memory_equal(st.t[i].data, t[i].data,
			    (size_t)t[i].n * st_dtype_size(t[i].dtype));
	}
	assert_string_equal(st_meta(&st, "k"), "line\nline");
	st_close(&st);
	assert_int_equal(file_read(path, 1 << 20, &p, &n), 0);
	memcpy(&header, p, 8);
	assert_int_equal(header % 8, 0);
	free(p);

	/* what cannot be written leaves the file that was there */
	assert_int_equal(st_write(path, twice, 2, NULL), -1);
	wrong.n = 5;
	assert_int_equal(st_write(path, &wrong, 1, NULL), -1);
	assert_int_equal(st_open(&st, path), 0);
	assert_int_equal(st.n, 4);
	st_close(&st);
	unlink(path);

	assert_int_equal(st_write(path, NULL, 0, NULL), 0);
	assert_int_equal(st_open(&st, path), 0);
	assert_int_equal(st.n, 0);
	st_close(&st);
	unlink(path);
	assert_int_equal(st_open(&st, path), -1);
	assert_int_equal(st_open(&st, "/"), -1);
	assert_int_equal(file_write(path, "", 0), 0);
	assert_int_equal(st_open(&st, path), -1);
	assert_non_null(strstr(errmsg(), "truncated"));
	unlink(path);
}

static void
halves_of(const void *src, float *out)
{
	for (int i = 0; i < 3; i++)
		out[i] = ((const float *)src)[i] / 2;
}

/* Values that are made when they are wanted; pages that are given back and come again. */
static void
made_and_done(void **state)
{
	enum { MANY = 5000 };
	static const float a[3] = { 1, 2, 65520 };
	static float many[MANY];
	struct st_tensor t[] = {
		{ .name = "f32", .dtype = ST_F32, .ndim = 1, .dim = { 3 }, .n = 3, .get = halves_of,
		    .src = a },
		{ .name = "many", .dtype = ST_F32, .ndim = 1, .dim = { MANY }, .n = MANY,
		    .data = many },
		{ .name = "f16", .dtype = ST_F16, .ndim = 1, .dim = { 3 }, .n = 3, .get = halves_of,
		    .src = a },
		{ .name = "bf16", .dtype = ST_BF16, .ndim = 1, .dim = { 3 }, .n = 3,
		    .get = halves_of, .src = a },
	};
	static const uint16_t f16[] = { 0x3800, 0x3c00, 0x7800 }, bf16[] =
	    { 0x3f00, 0x3f80, 0x4700 };
	char path[] = "/tmp/phantom-st.XXXXXX";
	struct safetensors st;
	double d[3];
	float f[3];

	(void)state;
	for (int i = 0; i < MANY; i++)
		many[i] = (float)i;
	close(mkstemp(path));
	assert_int_equal(st_write(path, t, 4, NULL), 0);
	st_get_f64(&t[0], d);
	assert_true(d[0] == 0.5 && d[2] == 32760);
	assert_int_equal(st_open(&st, path), 0);
	for (int k = 0; k < 3; k++) {
		struct st_tensor copy = *st_find(&st, "many");

		st_get_f32(st_find(&st, "f32"), f);
		assert_true(f[0] == 0.5f && f[1] == 1 && f[2] == 32760);
		assert_memory_equal(st_find(&st, "f16")->data, f16, sizeof(f16));
		assert_memory_equal(st_find(&st, "bf16")->data, bf16, sizeof(bf16));
		assert_memory_equal(copy.data, many, sizeof(many));
		for (int i = 0; i < st.n; i++)
			st_done(&st.t[i]);
		copy.data = many; /* not of the file: left alone */
		st_done(&copy);
		assert_true(many[MANY - 1] == MANY - 1);
	}
	st_close(&st);
	t[0].dtype = ST_I64;
	assert_int_equal(st_write(path, t, 1, NULL), -1);
	unlink(path);
}

/* The nearest half to x by search over all finite ones, ties to the even pattern. */
static uint16_t
nearest_half(double x)
{
	/* halves rise with their patterns; 0x7c00 stands for 65536 here, as IEEE rounding has it */
	unsigned lo = 0, hi = 0x7c00;
	double m = fabs(x), a, b;

	while (hi - lo > 1) {
		unsigned mid = (lo + hi) / 2;

		if ((double)f16_to_f32((uint16_t)mid) <= m)
			lo = mid;
		else
			hi = mid;
	}
	a = f16_to_f32((uint16_t)lo);
	b = hi == 0x7c00 ? 65536 : (double)f16_to_f32((uint16_t)hi);
	if (m - a > b - m || (m - a == b - m && (lo & 1)))
		lo = hi;
	return (uint16_t)(lo | (signbit(x) ? 0x8000 : 0));
}

static void
halves_convert(void **state)
{
	(void)state;
	/* all 65536 against the definition, and back */
	for (unsigned h = 0; h < 65536; h++) {
		int e = h >> 10 & 31, m = h & 1023;
		float x = f16_to_f32((uint16_t)h), want =
		    ldexpf((float)m / 1024 + (e > 0), (e ? e : 1) - 15);

		if (e == 31) {
			assert_true(m ? isnan(x) : isinf(x));
			assert_true(isnan(f16_to_f32(f32_to_f16(x))) == (m != 0));
			assert_int_equal(f32_to_f16(x) & 0xfc00, h & 0xfc00);
		} else {
			assert_true(fabsf(x) == want);
			assert_int_equal(f32_to_f16(x), h);
		}
		assert_int_equal(!!signbit(x), h >> 15);
	}
	/* between each two neighbours: a quarter, the middle, and just beside the middle */
	for (unsigned h = 0; h < 0x7c00; h++) {
		double a = f16_to_f32((uint16_t)h),
		       b = h == 0x7bff ? 65536 : (double)f16_to_f32((uint16_t)(h + 1));
		float mid = (float)((a + b) / 2);
		float at[] = { (float)(a + (b - a) / 4), mid, nextafterf(mid, 0),
		    nextafterf(mid, INFINITY),
			(float)(b - (b - a) / 4) };

		for (int k = 0; k < 5; k++) {
			assert_int_equal(f32_to_f16(at[k]), nearest_half(at[k]));
			assert_int_equal(f32_to_f16(-at[k]), nearest_half(-at[k]));
		}
	}
	assert_int_equal(f32_to_f16(65519.996f), 0x7bff);
	assert_int_equal(f32_to_f16(65520), 0x7c00);
	assert_int_equal(f32_to_f16(1e30f), 0x7c00);
	assert_int_equal(f32_to_f16(-INFINITY), 0xfc00);
	assert_int_equal(f32_to_f16(0x1p-25f), 0);
	assert_int_equal(f32_to_f16(-0x1p-140f), 0x8000);
}

static void
brain_floats_convert(void **state)
{
	(void)state;
	for (unsigned h = 0; h < 65536; h++) {
		float x = bf16_to_f32((uint16_t)h);
		uint32_t u = (uint32_t)h << 16;
		float next;

		assert_memory_equal(&x, &u, 4);
		if (isnan(x)) {
			assert_true(isnan(bf16_to_f32(f32_to_bf16(x))));
			continue;
		}
		assert_int_equal(f32_to_bf16(x), h);
		if (isinf(x))
			continue;
		/* half way to the next: to even; beside it: to the nearer */
		u |= 0x8000;
		memcpy(&next, &u, 4);
		assert_int_equal(f32_to_bf16(next), h + (h & 1));
		u += 1;
		memcpy(&next, &u, 4);
		assert_int_equal(f32_to_bf16(next), h + 1);
		u -= 2;
		memcpy(&next, &u, 4);
		assert_int_equal(f32_to_bf16(next), h);
	}
	{
		uint32_t u = 0x7f800001; /* a NaN whose payload is lost must not become infinity */
		float x;

		memcpy(&x, &u, 4);
		assert_true(isnan(bf16_to_f32(f32_to_bf16(x))));
		assert_true(isnan(f16_to_f32(f32_to_f16(x))));
	}
}

/* The bytes that numpy.save writes of np.arange(6, dtype="i2").reshape(2, 3). */
static const char npy_file[] = "\x93NUMPY\1\0v\0{'descr': '<i2', 'fortran_order': False, "
                               "'shape': (2, 3), }"
                               "                                                          \n"
                               "\0\0\1\0\2\0\3\0\4\0\5";

static void
npy_is_numpys(void **state)
{
	static const struct {
		const char *header, *why;
	} bad[] = {
		{ "{'descr': '>i2', 'fortran_order': False, 'shape': (1,), }", "type" },
		{ "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "type" },
		{ "{'descr': [('a', '<i2')], 'fortran_order': False, 'shape': (1,), }",
		    "structured" },
		{ "{'descr': '<i2', 'fortran_order': True, 'shape': (1,), }", "Fortran" },
		{ "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }", "do not fit" },
		{ "{'descr': '<i2', 'fortran_order': False, 'shape': (-1,), }", "bad header" },
		{ "{'descr': '<i2', 'fortran_order': False}", "bad header" },
		{ "{'descr': '<i2', 'fortran_order': False, 'shape': (1,), 'x': 1}", "bad header" },
		{ "{'descr': '<i2', 'fortran_order': False, 'shape': (1,)", "bad header" },
		{ "{'descr': '<i2', 'fortran_order': False, 'shape': (99999999999999999999,), }",
		    "overflow" },
		{ "{'descr': '<i2', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }",
		    "dimensions" },
		{ "", "bad header" },
	};
	char path[] = "/tmp/phantom-npy.XXXXXX";
	struct st_tensor t;
	char *p;
	size_t n;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(file_write(path, npy_file, sizeof(npy_file)), 0);
	if (npy_read(&t, path))
		fail_msg("%s", errmsg());
	assert_true(t.dtype == ST_I16 && t.ndim == 2 && t.dim[0] == 2 && t.dim[1] == 3 && t.n == 6);
	for (int i = 0; i < 6; i++)
		assert_int_equal(((const int16_t *)t.data)[i], i);
	assert_int_equal(npy_write(&t, path), 0);
	free((void *)(uintptr_t)t.data);
	assert_int_equal(file_read(path, 1 << 20, &p, &n), 0);
	assert_int_equal(n, sizeof(npy_file));
	assert_memory_equal(p, npy_file, n);
	for (size_t len = 0; len < n; len++) {
		assert_int_equal(file_write(path, p, len), 0);
		assert_int_equal(npy_read(&t, path), -1);
	}
	free(p);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t len = strlen(bad[i].header);
		struct sb sb = { 0 };

		sb_put(&sb, "\x93NUMPY\2\0", 8);
		sb_putc(&sb, (char)len);
		sb_put(&sb, "\0\0\0", 3);
		sb_puts(&sb, bad[i].header);
		sb_put(&sb, "\1", 2);
		assert_int_equal(file_write(path, sb.s, sb.len), 0);
		if (npy_read(&t, path) == 0 || !strstr(errmsg(), bad[i].why))
			fail_msg("%s: '%s' does not say '%s'", bad[i].header, errmsg(), bad[i].why);
		sb_release(&sb);
	}
	t = (struct st_tensor){ .dtype = ST_BF16 };
	assert_int_equal(npy_write(&t, path), -1);
	for (int ndim = 0; ndim < 3; ndim++) {
		static const double v[4] = { 1, 2, 3, 4 };
		struct st_tensor w = { .dtype = ST_F64, .ndim = ndim, .dim = { 1, 1 }, .n = 1,
			.data = v };

		assert_int_equal(npy_write(&w, path), 0);
		assert_int_equal(npy_read(&t, path), 0);
		assert_true(t.ndim == ndim && t.n == 1 && *(const double *)t.data == 1);
		free((void *)(uintptr_t)t.data);
	}
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_file_is_read),
		cmocka_unit_test(bad_headers_are_refused),
		cmocka_unit_test(every_truncation_is_an_error),
		cmocka_unit_test(a_header_length_is_checked),
		cmocka_unit_test(all_types_convert),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(made_and_done),
		cmocka_unit_test(halves_convert),
		cmocka_unit_test(brain_floats_convert),
		cmocka_unit_test(npy_is_numpys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
