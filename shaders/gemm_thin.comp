//! gemm_thin_f32: -DF32 -DTEXEL
//! gemm_thin_f16: -DF16 -DTEXEL
//! gemm_thin_bf16: -DBF16 -DTEXEL
//! gemm_thin_f16_part: -DF16 -DTEXEL -DPART
//! gemm_thin_bf16_part: -DBF16 -DTEXEL -DPART
#version 450
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
/*
 * y = act(a w + bias) for software devices and few columns: gemm_cpu.comp turned round. A lane owns
 * RS rows and all 4 CQ columns of the tile; rows of a are used as they are loaded, one to a lane,
 * and it is w that shuffles hand out: [column tile][group of k][4 CQ] groups.
 */
#include "gemm_cpu.glsl"
layout(constant_id = 0) const uint SG = 16; // lanes
layout(constant_id = 1) const uint RS = 8;  // rows of a lane
layout(constant_id = 2) const uint CQ = 4;  // column quads of a tile
layout(local_size_x_id = 0) in;

// Columns that are computed together: with RS rows about as many accumulators as stay in registers.
const uint GC = RS > 4 ? 2 : 4;

void
main()
{
	const uint lane = gl_SubgroupInvocationID, COLS = 4 * CQ, LOADS = (GROUPS * COLS + SG - 1) /
	    SG;
	const uint batch = quotient(gl_WorkGroupID.z, splits), split = gl_WorkGroupID.z - batch *
	    splits;
	const tile at_tile = tile_of();
	const uint first = at_tile.row * SG * RS, kbegin = split * ksplit;
	const uint kend = min(kbegin + ksplit, k), kpad = (k + GROUPS - 1) / GROUPS * GROUPS;
	int wat = int(batch * bbatch + (at_tile.col * kpad + kbegin) * COLS + lane);
	float acc[RS * COLS];
	place at[RS];
	step s = step_at(kbegin);

	[[unroll]] for (uint i = 0; i < RS * COLS; i++)
		acc[i] = 0;
	[[unroll]] for (uint r = 0; r < RS; r++) {
		at[r] = place_of(first + r * SG + lane);
		at[r].base += int(batch * abatch);
	}
	for (uint i = kbegin; i < kend; i += GROUPS) {
		const step s0 = s, s1 = GROUPS == 2 ? step_next(s0) : s0;
		float x[RS * 8];
#ifdef F32
		vec4 b[LOADS];

		[[unroll]] for (uint t = 0; t < LOADS; t++)
			b[t] = imageLoad(w, wat + int(t * SG));
#define W(j, n) \
	subgroupShuffle(b[((j) / 4 * COLS + (n)) / SG][(j) % 4], ((j) / 4 * COLS + (n)) % SG)
#else
		float b[LOADS * 8];

		[[unroll]] for (uint t = 0; t < LOADS; t++) {
			float v[8];

			EIGHT(w, wat + int(t * SG), 0, v);
			[[unroll]] for (uint j = 0; j < 8; j++)
				b[t * 8 + j] = v[j];
		}
#define W(j, n) subgroupShuffle(b[(n) / SG * 8 + (j)], (n) % SG)
#endif
		wat += int(GROUPS * COLS);
		[[unroll]] for (uint r = 0; r < RS; r++) {
			float v[8];

			EIGHT(a, input_at(at[r], s0, kend), input_at(at[r], s1, kend), v);
			[[unroll]] for (uint j = 0; j < 8; j++)
				x[r * 8 + j] = v[j];
		}
		[[unroll]] for (uint g = 0; g < COLS; g += GC)
			[[unroll]] for (uint j = 0; j < 8; j++)
				[[unroll]] for (uint n = 0; n < GC; n++) {
					const float one = W(j, g + n);

					[[unroll]] for (uint r = 0; r < RS; r++)
						acc[r * COLS + g + n] += x[r * 8 + j] * one;
				}
		s = step_next(s1);
	}

	const uint q1 = q0 + at_tile.col * CQ, row = nq, end = qend;
	const uint ybase = batch * ybatch + split * psplit * nq + q1;
	const int from = bias != 0 ? int(batch * qend + q1) : -1 - int(CQ);
	const float below = slope;

	[[unroll]] for (uint c = 0; c < CQ; c++) {
		const vec4 plus = LD4F(bias_, from + int(c));

		[[unroll]] for (uint r = 0; r < RS; r++) {
			const uint i = r * COLS + 4 * c;
			vec4 v = vec4(acc[i], acc[i + 1], acc[i + 2], acc[i + 3]) + plus;

			v = mix(v, v * below, lessThan(v, vec4(0)));
			if (at[r].dst != NOWHERE && q1 + c < end)
				PUT(ybase + c + at[r].dst * row, v);
		}
	}
}
