//! gemm_cpu_f32: -DF32
//! gemm_cpu_f16: -DF16
//! gemm_cpu_bf16: -DBF16
//! gemm_cpu_f16_part: -DF16 -DPART
//! gemm_cpu_bf16_part: -DBF16 -DPART
#version 450
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
/*
 * y = act(a w + bias) for software devices, where a subgroup is one vector register and a workgroup
 * one subgroup. A lane owns NC columns and all TM rows of the tile in an accumulator array; rows of a
 * are loaded one to a lane and handed out by shuffles with constant indices; w is packed so that a
 * load is contiguous: [column tile][k][NC][SG] groups of k. See gemm.glsl for what is computed.
 */
#include "dtype.glsl"
#include "gemm.glsl"
layout(constant_id = 0) const uint SG = 16; // lanes
layout(constant_id = 1) const uint TM = 32; // rows of a tile, a multiple of GR
layout(constant_id = 2) const uint NC = 4;  // columns of a lane: 1, 2 or 4
layout(local_size_x_id = 0) in;
#ifdef F32
layout(binding = 0, rgba32f) uniform readonly imageBuffer a;
layout(binding = 1, rgba32f) uniform readonly imageBuffer w;
#define GROUPS 2 // loads an iteration: eight values of k in each type
#else
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer a;
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer w;
#define GROUPS 1
#endif
IN4F(2, bias_);
#ifdef PART
OUT4F(3, y);
#else
OUT4(3, y);
#endif

// Rows that are computed together: their accumulators stay in registers over eight values of k.
const uint GR = 4, KT = 8 / GROUPS;

void
load_a(int i0, int i1, out float v[8])
{
#ifdef F32
	const vec4 x = imageLoad(a, i0), z = imageLoad(a, i1);
#else
	const uvec4 u = imageLoad(a, i0);
	const vec4 x = ld4(u.xy), z = ld4(u.zw);
#endif
	[[unroll]] for (uint j = 0; j < 4; j++) {
		v[j] = x[j];
		v[4 + j] = z[j];
	}
}

void
load_w(int i0, int i1, out float v[8])
{
#ifdef F32
	const vec4 x = imageLoad(w, i0), z = imageLoad(w, i1);
#else
	const uvec4 u = imageLoad(w, i0);
	const vec4 x = ld4(u.xy), z = ld4(u.zw);
#endif
	[[unroll]] for (uint j = 0; j < 4; j++) {
		v[j] = x[j];
		v[4 + j] = z[j];
	}
}

void
main()
{
	const uint RS = (TM + SG - 1) / SG, lane = gl_SubgroupInvocationID;
	const uint batch = gl_WorkGroupID.z / splits, split = gl_WorkGroupID.z - batch * splits;
	const uint first = row0 + gl_WorkGroupID.x * TM, kbegin = split * ksplit;
	const uint kend = min(kbegin + ksplit, k), kpad = (k + GROUPS - 1) / GROUPS * GROUPS;
	const int abase = int(batch * abatch);
	int wat = int(batch * bbatch + (gl_WorkGroupID.y * kpad + kbegin) * NC * SG + lane);
	float acc[TM * NC];
	place at[RS];
	step s = step_at(kbegin);

	[[unroll]] for (uint i = 0; i < TM * NC; i++)
		acc[i] = 0;
	[[unroll]] for (uint r = 0; r < RS; r++) {
		at[r] = place_of(first + r * SG + lane);
		at[r].base += abase;
	}
	for (uint i = kbegin; i < kend; i += GROUPS) {
		const step s0 = s, s1 = GROUPS == 2 ? step_next(s0) : s0;
		float b[NC * 8];

		[[unroll]] for (uint c = 0; c < NC; c++) {
			float v[8];

			load_w(wat + int(c * SG), wat + int((NC + c) * SG), v);
			[[unroll]] for (uint j = 0; j < 8; j++)
				b[c * 8 + j] = v[j];
		}
		wat += int(GROUPS * NC * SG);
		[[unroll]] for (uint r = 0; r < RS; r++) {
			float x[8];

			load_a(input_at(at[r], s0, kend), GROUPS == 2 ? input_at(at[r], s1, kend) : 0, x);
			[[unroll]] for (uint g = 0; g < SG; g += GR) {
				if (r * SG + g < TM) {
					[[unroll]] for (uint j = 0; j < 8; j++) {
						[[unroll]] for (uint n = 0; n < GR; n++) {
							const float one = subgroupShuffle(x[j], g + n);

							[[unroll]] for (uint c = 0; c < NC; c++)
								acc[(r * SG + g + n) * NC + c] += one * b[c * 8 + j];
						}
					}
				}
			}
		}
		s = step_next(s1);
	}

	// A store takes 4 / NC rows: lanes trade accumulators until each has four columns of one row.
	const uint RPS = 4 / NC, LPR = SG / RPS, mine = lane / LPR, quad = lane - mine * LPR;
	const uint q = q0 + gl_WorkGroupID.y * LPR + quad;
	const vec4 plus = bias != 0 ? LD4F(bias_, batch * qend + q) : vec4(0);

	[[unroll]] for (uint i = 0; i < TM; i += RPS) {
		const uint to = subgroupShuffle(at[i / SG].dst, i % SG + mine);
		vec4 v;

		[[unroll]] for (uint e = 0; e < 4; e++) {
			[[unroll]] for (uint j = 0; j < RPS; j++) {
				const float t = NC == 4 ? acc[i * 4 + e]
				    : subgroupShuffle(acc[(i + j) * NC + e % NC], quad * RPS + e / NC);

				v[e] = j == 0 || mine == j ? t : v[e];
			}
		}
		v += plus;
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
