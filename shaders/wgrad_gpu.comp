//! wgrad_gpu_f32: -DF32
//! wgrad_gpu_f16: -DF16
//! wgrad_gpu_bf16: -DBF16
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
/*
 * y = a^T b over pixels for GPUs (see wgrad.glsl): 128 invocations make a tile of 64 rows by 16
 * column quads, each 8 rows by one quad in registers, from slices of 16 pixels in shared memory.
 */
#include "dtype.glsl"
#include "wgrad.glsl"
layout(local_size_x = 128) in;
IN4(0, a);
IN4(1, b);
OUT4F(2, y);

const uint BP = 16, QUADS = 16; // pixels of a slice; quads of a tile, both ways
shared vec4 as[BP * QUADS], bs[BP * QUADS];

void
main()
{
	const uint t = gl_LocalInvocationID.x, tx = t % QUADS, ty = t / QUADS;
	const uint batch = gl_WorkGroupID.z / splits, split = gl_WorkGroupID.z - batch * splits;
	const uint begin = split * psplit, end = min(begin + psplit, pixels);
	const uint row = gl_WorkGroupID.y * QUADS + tx, col = gl_WorkGroupID.x * QUADS + tx;
	const shift s = shift_of(col);
	vec4 acc[8];

	[[unroll]] for (uint i = 0; i < 8; i++)
		acc[i] = vec4(0);
	for (uint i = begin; i < end; i += BP) {
		[[unroll]] for (uint u = 0; u < BP; u += 8) {
			const uint p = i + u + ty;
			const int from = b_at(pixel_at(p), s, p < end && col < nq);

			as[(u + ty) * QUADS + tx] = p < end && 4 * row < m
			    ? LD4(a, batch * abatch + p * as_ + a0 + row) : vec4(0);
			bs[(u + ty) * QUADS + tx] = from >= 0 ? LD4(b, int(batch * bbatch) + from)
			    : vec4(0);
		}
		barrier();
		[[unroll]] for (uint j = 0; j < BP; j++) {
			const vec4 lo = as[j * QUADS + ty * 2], hi = as[j * QUADS + ty * 2 + 1];
			const vec4 v = bs[j * QUADS + tx];

			[[unroll]] for (uint r = 0; r < 4; r++) {
				acc[r] += lo[r] * v;
				acc[4 + r] += hi[r] * v;
			}
		}
		barrier();
	}
	[[unroll]] for (uint r = 0; r < 8; r++) {
		const uint o = (gl_WorkGroupID.y * QUADS + ty * 2) * 4 + r;

		if (o < m && col < nq)
			y[((split * (gl_NumWorkGroups.z / splits) + batch) * m + o) * nq + col] =
			    acc[r];
	}
}
