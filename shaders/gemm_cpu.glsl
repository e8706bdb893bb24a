/*
 * Buffers of the product kernels for software devices, gemm_cpu.comp and gemm_thin.comp, and their
 * loads: eight values of k at a time, two texels of floats or one of 16-bit numbers.
 */
#include "dtype.glsl"
#include "gemm.glsl"
#ifdef F32
layout(binding = 0, rgba32f) uniform readonly imageBuffer a;
layout(binding = 1, rgba32f) uniform readonly imageBuffer w;
#define GROUPS 2
#define EIGHT(buf, i0, i1, v) { const vec4 lo = imageLoad(buf, i0), hi = imageLoad(buf, i1); \
	[[unroll]] for (uint j = 0; j < 4; j++) { v[j] = lo[j]; v[4 + j] = hi[j]; } }
#else
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer a;
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer w;
#define GROUPS 1
#define EIGHT(buf, i0, i1, v) { const uvec4 u = imageLoad(buf, i0); \
	const vec4 lo = ld4(u.xy), hi = ld4(u.zw); \
	[[unroll]] for (uint j = 0; j < 4; j++) { v[j] = lo[j]; v[4 + j] = hi[j]; } }
#endif
IN4F(2, bias_);

#ifdef PART
SSBO(3, writeonly, WIDE4, y);
#define PUT(i, v) y[i] = wide(v)
#else
OUT4(3, y);
#define PUT(i, v) ST4(y, i, v)
#endif
