//! gemm_gpu_f32: -DF32
//! gemm_gpu_f16: -DF16
//! gemm_gpu_bf16: -DBF16
//! gemm_gpu_f16_part: -DF16 -DPART
//! gemm_gpu_bf16_part: -DBF16 -DPART
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
/*
 * y = act(a w + bias) for GPUs (see gemm.glsl): 128 invocations make a tile of 64 by 64, each 8
 * rows by 4 columns in registers, from slices of 16 values of k in shared memory. w is packed as
 * [column tile][group of k][64] groups.
 */
#include "dtype.glsl"
#include "gemm.glsl"
layout(local_size_x = 128) in;
#ifdef F32
layout(binding = 0) readonly buffer A { vec4 a[]; };
layout(binding = 1) readonly buffer W { vec4 w[]; };
#define KT 4
#else
layout(binding = 0) readonly buffer A { uvec4 a[]; };
layout(binding = 1) readonly buffer W { uvec4 w[]; };
#define KT 8
#endif
IN4F(2, bias_);
#ifdef PART
OUT4F(3, y);
#else
OUT4(3, y);
#endif

const uint TILE = 64, BK = 16, SLICE = BK / KT; // groups of k in a slice
shared float as[BK * TILE], ws[BK * TILE];

#ifdef F32
#define PUT(to, v, g, col) \
	[[unroll]] for (uint j = 0; j < 4; j++) to[((g) * 4 + j) * TILE + (col)] = v[j]
#define NONE vec4(0)
#else
#define PUT(to, v, g, col) { const vec4 lo = ld4(v.xy), hi = ld4(v.zw); \
	[[unroll]] for (uint j = 0; j < 4; j++) { to[((g) * 8 + j) * TILE + (col)] = lo[j]; \
	to[((g) * 8 + 4 + j) * TILE + (col)] = hi[j]; } }
#define NONE uvec4(0)
#endif
#define FOUR(from, i) vec4(from[i], from[(i) + 1], from[(i) + 2], from[(i) + 3])

void
main()
{
	const uint t = gl_LocalInvocationID.x, line = t % TILE, tx = t % 16, ty = t / 16;
	const uint batch = gl_WorkGroupID.z / splits, split = gl_WorkGroupID.z - batch * splits;
	const tile at_tile = tile_of();
	const uint first = at_tile.row * TILE, kbegin = split * ksplit;
	const uint kend = min(kbegin + ksplit, k);
#ifdef F32
	const uint kpad = (k + 1) / 2 * 2;
#else
	const uint kpad = k;
#endif
	const uint wbase = batch * bbatch + at_tile.col * kpad * TILE + line;
	place at = place_of(first + line);
	step s = step_at(kbegin + t / TILE);
	vec4 acc[8];

	at.base += int(batch * abatch);
	[[unroll]] for (uint i = 0; i < 8; i++)
		acc[i] = vec4(0);
	for (uint i = kbegin; i < kend; i += SLICE) {
		// invocations below 64 take the even groups of the slice, the others the odd ones
		[[unroll]] for (uint g = 0; g < SLICE; g += 2) {
			const uint mine = g + t / TILE;
			const int from = input_at(at, s, kend);

			if (from >= 0) {
				PUT(as, a[from], mine, line);
			} else {
				PUT(as, NONE, mine, line);
			}
			if (i + mine < kend) {
				PUT(ws, w[wbase + (i + mine) * TILE], mine, line);
			} else {
				PUT(ws, NONE, mine, line);
			}
			s = step_next(step_next(s));
		}
		barrier();
		[[unroll]] for (uint j = 0; j < BK; j++) {
			const vec4 lo = FOUR(as, j * TILE + ty * 8),
			    hi = FOUR(as, j * TILE + ty * 8 + 4);
			const vec4 b = FOUR(ws, j * TILE + tx * 4);

			[[unroll]] for (uint r = 0; r < 4; r++) {
				acc[r] += lo[r] * b;
				acc[4 + r] += hi[r] * b;
			}
		}
		barrier();
	}

	const uint q = q0 + at_tile.col * (TILE / 4) + tx;
	const vec4 plus = bias != 0 && q < qend ? LD4F(bias_, batch * qend + q) : vec4(0);

	[[unroll]] for (uint r = 0; r < 8; r++) {
		const uint to = place_of(first + ty * 8 + r).dst;
		vec4 v = acc[r] + plus;

		v = mix(v, v * slope, lessThan(v, vec4(0)));
		if (to != NOWHERE && q < qend) {
			const uint p = (batch * ybatch + (split * psplit + to) * nq) + q;
#ifdef PART
			y[p] = v;
#else
			ST4(y, p, v);
#endif
		}
	}
}
