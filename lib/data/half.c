/* IEEE 754 binary16 and bfloat16, converted in integer arithmetic: the same on every machine. */
#include "data/safetensors.h"

#include <string.h>

static uint32_t
bits_of(float x)
{
	uint32_t u;

	memcpy(&u, &x, sizeof(u));
	return u;
}

static float
float_of(uint32_t u)
{
	float x;

	memcpy(&x, &u, sizeof(x));
	return x;
}

/* u without its low `shift` bits (1 to 31), rounded to nearest, ties to even. */
static uint32_t
round_shift(uint32_t u, int shift)
{
	uint32_t half = 1u << (shift - 1), rest = u & ((half << 1) - 1), q = u >> shift;

	return q + (rest > half || (rest == half && (q & 1)));
}

uint16_t
f32_to_f16(float x)
{
	uint32_t u = bits_of(x), sign = u >> 16 & 0x8000, mag = u & 0x7fffffff;

	if (mag > 0x7f800000) /* NaN stays NaN: quiet, the top of its payload kept */
		return (uint16_t)(sign | 0x7e00 | (mag >> 13 & 0x1ff));
	if (mag >= 0x47800000) /* 2^16 and more, infinity too */
		return (uint16_t)(sign | 0x7c00);
	if (mag >= 0x38800000) /* 2^-14: normal; a carry may round up to infinity, rightly */
		return (uint16_t)(sign | round_shift(mag - 0x38000000, 13));
	if (mag < 0x33000000) /* below 2^-25, half of the least subnormal */
		return (uint16_t)sign;
	/* subnormal: the significand in units of 2^-24 */
	return (uint16_t)(sign |
	    round_shift((mag & 0x7fffff) | 0x800000, 126 - (int)(mag >> 23)));
}

float
f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 0x1f, m = h & 0x3ff;

	if (e == 0x1f)
		return float_of(sign | 0x7f800000 | m << 13);
	if (e)
		return float_of(sign | (e + 112) << 23 | m << 13);
	return float_of(sign | bits_of((float)m * 0x1p-24f)); /* exact */
}

uint16_t
f32_to_bf16(float x)
{
	uint32_t u = bits_of(x);

	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)round_shift(u, 16);
}

float
bf16_to_f32(uint16_t h)
{
	return float_of((uint32_t)h << 16);
}
