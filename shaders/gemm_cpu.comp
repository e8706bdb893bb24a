//! gemm_cpu_f32: -DF32 -DTEXEL
//! gemm_cpu_f16: -DF16 -DTEXEL
//! gemm_cpu_bf16: -DBF16 -DTEXEL
//! gemm_cpu_f16_part: -DF16 -DTEXEL -DPART
//! gemm_cpu_bf16_part: -DBF16 -DTEXEL -DPART
//! gemm_cpu_f32_halves: -DF32 -DTEXEL -DHALVES
//! gemm_cpu_f32_k: -DF32 -DTEXEL -DALONG_K
//! gemm_cpu_f16_k: -DF16 -DTEXEL -DALONG_K
//! gemm_cpu_bf16_k: -DBF16 -DTEXEL -DALONG_K
//! gemm_cpu_f16_k_part: -DF16 -DTEXEL -DALONG_K -DPART
//! gemm_cpu_bf16_k_part: -DBF16 -DTEXEL -DALONG_K -DPART
//! gemm_cpu_f32_n: -DF32 -DTEXEL -DALONG_N
//! gemm_cpu_f16_n: -DF16 -DTEXEL -DALONG_N
//! gemm_cpu_bf16_n: -DBF16 -DTEXEL -DALONG_N
//! gemm_cpu_f16_n_part: -DF16 -DTEXEL -DALONG_N -DPART
//! gemm_cpu_bf16_n_part: -DBF16 -DTEXEL -DALONG_N -DPART
#version 450
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
/*
 * y = act(a w + bias) for software devices, where a subgroup is one vector register and a workgroup
 * one subgroup. A lane owns four columns and all TM rows of the tile in an accumulator array; rows
 * of a are loaded one to a lane and handed out by shuffles with constant indices; w is packed so
 * that a load is contiguous: [column tile][group of k][4][SG] groups. See gemm.glsl for what is
 * computed.
 *
 * A weight that is used once is read where it lies: ALONG_K where the k of one column lie side by
 * side, those of the next column `wnext` groups further; ALONG_N where columns do, the next channel
 * `wnext` quads further. HALVES: packed as f16, read as the floats that they are; channels come in
 * multiples of eight then.
 */
#include "gemm_cpu.glsl"
layout(constant_id = 0) const uint SG = 16; // lanes
layout(constant_id = 1) const uint TM = 32; // rows of a tile, a multiple of GR
layout(local_size_x_id = 0) in;

// Rows that are computed together: their accumulators stay in registers over eight values of k.
const uint GR = 4;

void
main()
{
	const uint RS = (TM + SG - 1) / SG, lane = gl_SubgroupInvocationID;
	const uint batch = quotient(gl_WorkGroupID.z, splits), split = gl_WorkGroupID.z - batch *
	    splits;
	const tile t = tile_of();
	const uint first = t.row * TM, kbegin = split * ksplit;
	const uint kend = min(kbegin + ksplit, k), kpad = (k + GROUPS - 1) / GROUPS * GROUPS;
	vec4 acc[TM];
	place at[RS];
	step s = step_at(kbegin);
#if defined(ALONG_K)
	const int by = wnext;
	int wat = int(4 * min(q0 + t.col * SG + lane, qend - 1)) * by + int(kbegin);
#elif defined(ALONG_N)
	const along by = along_n();
	int wat = wat_at(kbegin, by) + int(min(q0 + t.col * SG + lane, qend - 1));
#else
	int wat = int(batch * bbatch + (t.col * kpad + kbegin) * (WAT_STEP / GROUPS)) + int(lane);
#endif

	[[unroll]] for (uint i = 0; i < TM; i++)
		acc[i] = vec4(0);
	[[unroll]] for (uint r = 0; r < RS; r++) {
		at[r] = place_of(first + r * SG + lane);
		at[r].base += int(batch * abatch);
	}
	for (uint i = kbegin; i < kend; i += GROUPS) {
		const step s0 = s, s1 = GROUPS == 2 ? step_next(s0) : s0;
		vec4 b[8];

#ifdef ALONG_N
		const int wat0 = wat;

		wat = wat_next(wat, s0, by);
		[[unroll]] for (uint j = 0; j < 8; j++)
			b[j] = QUAD(w, j < 8 / GROUPS ? wat0 + int(j) * by.channel
			                              : wat + int(j - 8 / GROUPS) * by.channel);
		if (GROUPS == 2)
			wat = wat_next(wat, s1, by);
#else
		[[unroll]] for (uint c = 0; c < 4; c++) {
			float v[8];

#ifdef ALONG_K
			EIGHT(w, wat + int(c) * by, wat + int(c) * by + 1, v);
#else
			EIGHT_W(w, wat + int(c * SG), wat + int((4 + c) * SG), v);
#endif
			[[unroll]] for (uint j = 0; j < 8; j++)
				b[j][c] = v[j];
		}
		wat += WAT_STEP;
#endif
		[[unroll]] for (uint r = 0; r < RS; r++) {
			float x[8];

			EIGHT(a, input_at(at[r], s0, kend), input_at(at[r], s1, kend), x);
			[[unroll]] for (uint g = 0; g < SG; g += GR) {
				if (r * SG + g < TM) {
					[[unroll]] for (uint j = 0; j < 8; j++)
						[[unroll]] for (uint n = 0; n < GR; n++)
							acc[r * SG + g + n] += subgroupShuffle(x[j],
							    g + n) * b[j];
				}
			}
		}
		s = step_next(s1);
	}

	const uint q = q0 + t.col * SG + lane;
	const vec4 plus = LD4F(bias_, bias != 0 ? int(batch * qend + q) : -1);
	const uint ybase = batch * ybatch + split * psplit * nq + q, row = nq;
	const bool live = q < qend;
	const float below = slope;

	[[unroll]] for (uint i = 0; i < TM; i++) {
		const uint to = subgroupShuffle(at[i / SG].dst, i % SG);
		vec4 v = acc[i] + plus;

		v = mix(v, v * below, lessThan(v, vec4(0)));
		if (live && to != NOWHERE)
			PUT(ybase + to * row, v);
	}
}
