/*
 * Buffers of the product kernels for software devices, gemm_cpu.comp and gemm_thin.comp, and their
 * loads: eight values of k at a time, two texels of floats or one of 16-bit numbers.
 */
#include "dtype.glsl"
#include "gemm.glsl"
#ifdef F32
layout(binding = 0, rgba32f) uniform readonly imageBuffer a;
#ifdef HALVES
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer w;
#define EIGHT_W(buf, i0, i1, v) { const uvec4 u = imageLoad(buf, i0); \
	const vec4 lo = ld4_f16(u.xy), hi = ld4_f16(u.zw); \
	[[unroll]] for (uint j = 0; j < 4; j++) { v[j] = lo[j]; v[4 + j] = hi[j]; } }
#else
layout(binding = 1, rgba32f) uniform readonly imageBuffer w;
#define EIGHT_W EIGHT
#endif
#define QUAD(buf, i) imageLoad(buf, i)
#define GROUPS 2
#define EIGHT(buf, i0, i1, v) { const vec4 lo = imageLoad(buf, i0), hi = imageLoad(buf, i1); \
	[[unroll]] for (uint j = 0; j < 4; j++) { v[j] = lo[j]; v[4 + j] = hi[j]; } }
#else
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer a;
#ifdef ALONG_N
layout(binding = 1, rg32ui) uniform readonly uimageBuffer w;
#define QUAD(buf, i) ld4(imageLoad(buf, i).xy)
#else
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer w;
#endif
#define GROUPS 1
#define EIGHT_W EIGHT
#define EIGHT(buf, i0, i1, v) { const uvec4 u = imageLoad(buf, i0); \
	const vec4 lo = ld4(u.xy), hi = ld4(u.zw); \
	[[unroll]] for (uint j = 0; j < 4; j++) { v[j] = lo[j]; v[4 + j] = hi[j]; } }
#endif
IN4F(2, bias_);

#if defined(ALONG_K)
#define WAT_STEP int(GROUPS)
#elif defined(HALVES)
#define WAT_STEP int(4 * SG)
#else
#define WAT_STEP int(GROUPS * 4 * SG)
#endif

#ifdef ALONG_N
// Weights that have no batches, in quads: from one channel to the next, to that of the next tap
// from where a tap's channels end, and to that of the next row of taps from there. Kept in
// variables, as in `step`.
struct along {
	int channel, tap, line;
};

along
along_n()
{
	const int down = int(abatch), right = int(ybatch);

	return along(wnext, right - int(c) * (8 / GROUPS) * wnext, down - int(kw) * right);
}

// Where the weights of group `at` of k begin; and of the next, s being this one.
int
wat_at(uint at, along n)
{
	const uint tap = quotient(at, c), row = quotient(tap, kw);

	return int(bbatch) + int(row) * int(abatch) + int(tap - row * kw) * int(ybatch) +
	    int(at - tap * c) * (8 / GROUPS) * n.channel;
}

int
wat_next(int wat, step s, along n)
{
	const bool tap = s.q + 1 == s.c, line = tap && s.kx + s.dil == s.line;

	return wat + 8 / GROUPS * n.channel + (tap ? n.tap : 0) + (line ? n.line : 0);
}
#endif

#ifdef PART
SSBO(3, writeonly, WIDE4, y);
#define PUT(i, v) y[i] = wide(v)
#else
OUT4(3, y);
#define PUT(i, v) ST4(y, i, v)
#endif
