//! gemm_coop_f16: -DF16 @GL_KHR_cooperative_matrix
//! gemm_coop_f16_part: -DF16 -DPART @GL_KHR_cooperative_matrix
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
/*
 * y = act(a w + bias) for GPUs with cooperative matrices (see gemm.glsl and coopmat.glsl), from
 * slices of 32 values of k in shared memory. w is packed as for gemm_gpu.comp.
 */
#include "coopmat.glsl"
#include "dtype.glsl"
#include "gemm.glsl"
layout(binding = 0) readonly buffer A { uvec4 a[]; };
layout(binding = 1) readonly buffer W { uvec4 w[]; };
IN4F(2, bias_);
#ifdef PART
OUT4F(3, y);
#else
OUT4(3, y);
#endif

const uint SLICE = 4, LINE = SLICE + 1; // groups of eight halves; with filling, for the banks
const uint EACH = TILE * SLICE / gl_WorkGroupSize.x; // groups that an invocation brings
shared uvec4 as[TILE * LINE], ws[TILE * LINE];

void
main()
{
	const uint t = gl_LocalInvocationID.x, mine = t % SLICE, line = t / SLICE;
	const uint lines = gl_WorkGroupSize.x / SLICE;
	const uint batch = gl_WorkGroupID.z / splits, split = gl_WorkGroupID.z - batch * splits;
	const tile at_tile = tile_of();
	const uint first = at_tile.row * TILE, kbegin = split * ksplit;
	const uint kend = min(kbegin + ksplit, k);
	const uint wbase = batch * bbatch + at_tile.col * k * TILE;
	const uint row = gl_SubgroupID / 2 * QUARTER, col = gl_SubgroupID % 2 * QUARTER;
	place at[EACH];
	step s = step_at(kbegin + mine);
	SUM sum[DOWN * ACROSS];

	[[unroll]] for (uint i = 0; i < EACH; i++) {
		at[i] = place_of(first + line + i * lines);
		at[i].base += int(batch * abatch);
	}
	[[unroll]] for (uint i = 0; i < DOWN * ACROSS; i++)
		sum[i] = SUM(0);
	for (uint i = kbegin; i < kend; i += SLICE) {
		[[unroll]] for (uint e = 0; e < EACH; e++) {
			const int from = input_at(at[e], s, kend);
			const uint n = t + e * gl_WorkGroupSize.x, g = n / TILE, c = n % TILE;

			as[(line + e * lines) * LINE + mine] = from >= 0 ? a[from] : uvec4(0);
			ws[c * LINE + g] = i + g < kend ? w[wbase + (i + g) * TILE + c] : uvec4(0);
		}
		[[unroll]] for (uint j = 0; j < SLICE; j++)
			s = step_next(s);
		barrier();
		[[unroll]] for (uint j = 0; j < SLICE; j += KK / 8) {
			RIGHT from_right[ACROSS];

			[[unroll]] for (uint c = 0; c < ACROSS; c++)
				coopMatLoad(from_right[c], ws, (col + c * NN) * LINE + j, LINE,
				    gl_CooperativeMatrixLayoutColumnMajor);
			[[unroll]] for (uint r = 0; r < DOWN; r++) {
				LEFT from_left;

				coopMatLoad(from_left, as, (row + r * MM) * LINE + j, LINE,
				    gl_CooperativeMatrixLayoutRowMajor);
				[[unroll]] for (uint c = 0; c < ACROSS; c++)
					sum[r * ACROSS + c] = coopMatMulAdd(from_left,
					    from_right[c], sum[r * ACROSS + c]);
			}
		}
		barrier();
	}

	const uint quad = q0 + at_tile.col * (TILE / 4);

#define PUT(its_row, its_quad, value) { \
		const uint to = place_of(first + (its_row)).dst, q = quad + (its_quad); \
		vec4 v = value; \
		if (to != NOWHERE && q < qend) { \
			v += bias != 0 ? LD4F(bias_, batch * qend + q) : vec4(0); \
			v = mix(v, v * slope, lessThan(v, vec4(0))); \
			const uint p = (batch * ybatch + (split * psplit + to) * nq) + q; \
			RESULT; \
		} \
	}
#ifdef PART
#define RESULT y[p] = v
#else
#define RESULT ST4(y, p, v)
#endif
	STORE_SUMS(sum, PUT)
}
