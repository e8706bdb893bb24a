/* Random tensors: Philox to the bit, normals to the bit of the same steps done here, and
 * dropout. */
#include "grad_check.h"

static void
words(uint64_t seed, uint32_t block, uint32_t third, uint32_t out[4])
{
	const uint32_t ctr[4] = { block, 0, third, 0 }, key[2] =
	    { (uint32_t)seed, (uint32_t)(seed >> 32) };

	philox4x32(out, ctr, key);
}

static int32_t
bits(float f)
{
	int32_t i;

	memcpy(&i, &f, sizeof(i));
	return i;
}

static float
from_bits(int32_t i)
{
	float f;

	memcpy(&f, &i, sizeof(f));
	return f;
}

/* The steps of philox.glsl's normal_pair, in the same order. */
static void
normal_pair(const uint32_t w[2], float out[2])
{
	static const float log_c[] = { -0.0763304722f, 0.129234833f, -0.132480572f, 0.141793712f,
		-0.166082157f, 0.200020633f, -0.250016195f, 0.333333249f, -0.49999988f, 1 };
	int32_t u = bits((float)((w[0] >> 8) + 1) * 0x1p-24f), e = (u - 0x3F3504F3) >> 23;
	float f = from_bits(u - e * (1 << 23)) - 1, p = log_c[0], l, y, q, s, c, a;

	for (int i = 1; i < 10; i++)
		p = p * f + log_c[i];
	l = (f * p + (float)e * 0.693147181f) * -2;
	l = l > 1e-20f ? l : 1e-20f;
	y = from_bits(0x5F3759DF - (bits(l) >> 1));
	for (int k = 0; k < 4; k++) {
		q = l * y;
		q = q * y;
		q = q * -0.5f;
		q = q + 1.5f;
		y = y * q;
	}
	l = l * y;
	a = (float)((int32_t)(w[1] >> 6 & 0xFFFFFF) - 0x800000) * 9.36267571e-8f;
	q = a * a;
	s = (((q * 2.75573192e-6f - 1.98412698e-4f) * q + 8.33333333e-3f) * q - 0.166666667f) * q;
	s = (s * a + a) * l;
	c = (((q * 2.48015873e-5f - 1.38888889e-3f) * q + 4.16666667e-2f) * q - 0.5f) * q;
	c = (c + 1) * l;
	out[0] = (float[]){ c, -s, -c, s }[w[1] >> 30];
	out[1] = (float[]){ s, c, -s, -c }[w[1] >> 30];
}

static void
random_tensors_are_exact(void **state)
{
	const uint64_t seed = 0x123456789abcdefu;

	(void)state;
	for (int64_t n = 1; n < 200000; n = n * 7 + 3) {
		float *u = xmalloc((size_t)n * sizeof(*u)), *z = xmalloc((size_t)n * sizeof(*z));

		scope_open();
		tensor_get(op_uniform(1, &n, seed), u);
		tensor_get(op_normal(1, &n, seed), z);
		for (int64_t i = 0; i < n; i++) {
			uint32_t w[4];
			float pair[2];

			words(seed, (uint32_t)(i / 4), 0, w);
			normal_pair(w + i % 4 / 2 * 2, pair);
			assert_true(u[i] == (float)(w[i % 4] >> 8) * 0x1p-24f);
			assert_true(z[i] == pair[i % 2]);
		}
		free(u);
		free(z);
		scope_close();
	}
}

/* How far normal_pair's steps are from the same numbers in double precision. */
static void
normals_are_precise(void **state)
{
	double worst = 0, sum = 0, square = 0, fourth = 0;
	enum { N = 400000 };

	(void)state;
	for (uint32_t i = 0; i < N / 2; i++) {
		uint32_t w[4];
		float z[2];
		double r, a;

		words(5, i, 0, w);
		normal_pair(w, z);
		r = sqrt(-2 * log(((w[0] >> 8) + 1) * 0x1p-24));
		a = ((double)(w[1] >> 6 & 0xFFFFFF) - 0x800000) * 0x1p-24 * 1.5707963267948966 +
		    (w[1] >> 30) * 1.5707963267948966;
		worst = fmax(worst, fmax(fabs(z[0] - r * cos(a)), fabs(z[1] - r * sin(a))));
		for (int k = 0; k < 2; k++) {
			sum += (double)z[k];
			square += (double)z[k] * z[k];
			fourth += pow((double)z[k], 4);
		}
	}
	print_message("# normals: off by %.2g of 2e-6; mean %.2g, variance %.4f, kurtosis %.3f\n",
	    worst, sum / N, square / N, fourth / N);
	assert_true(worst < 2e-6);
	/* four standard errors */
	assert_true(fabs(sum / N) < 4 / sqrt(N));
	assert_true(fabs(square / N - 1) < 4 * sqrt(2.0 / N));
	assert_true(fabs(fourth / N - 3) < 4 * sqrt(96.0 / N));
}

static struct tensor *
call_dropout(void *ctx, struct tensor **in, int n)
{
	(void)ctx;
	(void)n;
	return op_square(op_dropout(in[0], 0.4, 77));
}

static void
dropout(void **state)
{
	enum { N = 1031 };
	double want[N];

	(void)state;
	for (enum dtype d = F32; d <= BF16; d++) {
		struct tensor *x;
		float *v;

		scope_open();
		x = random_tensor(d, 1, 1, 2, N);
		v = values(x);
		for (int i = 0; i < N; i++) {
			uint32_t w[4];

			words(99, (uint32_t)i / 4, 1, w);
			want[i] = w[i % 4] >= (uint32_t)(0.25 * 4294967296.0) ? v[i] / 0.75 : 0;
		}
		near_above("op_dropout", op_dropout(x, 0.25, 99), want, 1.2e-7 + dtype_eps(d), 1);
		for (int i = 0; i < N; i++)
			want[i] = v[i];
		near_above("op_dropout of 0", op_dropout(x, 0, 99), want, 0, 1);
		free(v);
		if (d == F32) {
			x = random_tensor(F32, 1, 1, 2, 5, 7);
			check_grad("op_dropout", call_dropout, NULL, &x, 1, 2e-3);
			check_grad_twice("op_dropout", call_dropout, NULL, &x, 1, 2e-3);
		}
		scope_close();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_tensors_are_exact),
		cmocka_unit_test(normals_are_precise),
		cmocka_unit_test(dropout),
	};

	return cmocka_run_group_tests(tests, check_setup, NULL);
}
