//! wgrad_coop_f16: -DF16 @GL_KHR_cooperative_matrix
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
/*
 * y = a^T b over pixels for GPUs with cooperative matrices (see wgrad.glsl and coopmat.glsl): a
 * tile of 64 rows by 16 column quads, from slices of 32 pixels in shared memory.
 */
#include "coopmat.glsl"
#include "dtype.glsl"
#include "wgrad.glsl"
layout(binding = 0) readonly buffer A { uvec2 a[]; };
layout(binding = 1) readonly buffer B { uvec2 b[]; };
OUT4F(2, y);

const uint BP = 32, QUADS = TILE / 4, LINE = QUADS + 2; // pixels of a slice; quads; with filling
shared uvec2 as[BP * LINE], bs[BP * LINE];

void
main()
{
	const uint t = gl_LocalInvocationID.x, tx = t % QUADS, ty = t / QUADS;
	const uint lines = gl_WorkGroupSize.x / QUADS;
	const uint batch = gl_WorkGroupID.z / splits, split = gl_WorkGroupID.z - batch * splits;
	const uint begin = split * psplit, end = min(begin + psplit, pixels);
	const uint row = gl_WorkGroupID.y * QUADS, col = gl_WorkGroupID.x * QUADS;
	const uint down = gl_SubgroupID / 2 * QUARTER, across = gl_SubgroupID % 2 * QUARTER;
	const shift s = shift_of(col + tx);
	SUM sum[DOWN * ACROSS];

	[[unroll]] for (uint i = 0; i < DOWN * ACROSS; i++)
		sum[i] = SUM(0);
	for (uint i = begin; i < end; i += BP) {
		for (uint u = ty; u < BP; u += lines) {
			const uint p = i + u;
			const int from = b_at(pixel_at(p), s, p < end && col + tx < nq);

			as[u * LINE + tx] = p < end && 4 * (row + tx) < m
			    ? a[batch * abatch + p * as_ + a0 + row + tx] : uvec2(0);
			bs[u * LINE + tx] = from >= 0 ? b[int(batch * bbatch) + from] : uvec2(0);
		}
		barrier();
		[[unroll]] for (uint j = 0; j < BP; j += KK) {
			RIGHT from_right[ACROSS];

			[[unroll]] for (uint c = 0; c < ACROSS; c++)
				coopMatLoad(from_right[c], bs, j * LINE + (across + c * NN) / 4,
				    LINE, gl_CooperativeMatrixLayoutRowMajor);
			[[unroll]] for (uint r = 0; r < DOWN; r++) {
				LEFT from_left;

				coopMatLoad(from_left, as, j * LINE + (down + r * MM) / 4, LINE,
				    gl_CooperativeMatrixLayoutColumnMajor);
				[[unroll]] for (uint c = 0; c < ACROSS; c++)
					sum[r * ACROSS + c] = coopMatMulAdd(from_left,
					    from_right[c], sum[r * ACROSS + c]);
			}
		}
		barrier();
	}

	const uint part = (split * (gl_NumWorkGroups.z / splits) + batch) * m;

#define PUT(its_row, its_quad, value) { \
		const uint o = row * 4 + (its_row), q = col + (its_quad); \
		if (o < m && q < nq) \
			y[(part + o) * nq + q] = value; \
	}
	STORE_SUMS(sum, PUT)
}
