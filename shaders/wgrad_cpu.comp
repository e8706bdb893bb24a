//! wgrad_cpu_f32: -DF32 -DTEXEL
//! wgrad_cpu_f16: -DF16 -DTEXEL
//! wgrad_cpu_bf16: -DBF16 -DTEXEL
#version 450
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
/*
 * y = a^T b over pixels, for software devices (see wgrad.glsl, and gemm_cpu.comp for the form): a
 * lane owns a quad of columns and all TM rows of the tile; eight pixels (or SG) an iteration, of
 * which each lane loads its quad of b, and of a one quad of rows of one pixel, which shuffles hand
 * out.
 */
#include "dtype.glsl"
#include "wgrad.glsl"
layout(constant_id = 0) const uint SG = 16; // lanes
layout(constant_id = 1) const uint TM = 32; // rows of a tile, a multiple of 4
layout(constant_id = 2) const bool LINES = false; // lines of the grid are multiples of KP pixels
layout(local_size_x_id = 0) in;
IN4(0, a);
IN4(1, b);
SSBO(2, writeonly, WIDE4, y);

const uint KP = SG < 8 ? SG : 8;

void
main()
{
	const uint LOADS = (TM / 4 * KP + SG - 1) / SG, lane = gl_SubgroupInvocationID;
	const uint batch = gl_WorkGroupID.z / splits, split = gl_WorkGroupID.z - batch * splits;
	const uint begin = split * psplit, end = min(begin + psplit, pixels);
	const uint row0 = gl_WorkGroupID.y * TM, col = gl_WorkGroupID.x * SG + lane;
	// load t of a: rows row0 + 4 (t SG / KP + lane / KP), pixel lane % KP
	const uint astep = as_, amine = a0 + row0 / 4 + lane / KP + batch * abatch;
	const shift s = shift_of(col);
	vec4 acc[TM];
	pixel p = pixel_at(begin);

	p.base += int(batch * bbatch);
	[[unroll]] for (uint i = 0; i < TM; i++)
		acc[i] = vec4(0);
	for (uint i = begin; i < end; i += KP) {
		const uint ap = i + lane % KP;
		vec4 v[KP], x[LOADS];

		if (LINES) {
			// one line: only the column moves
			const bool live = uint(p.iy + s.y) < p.ih;
			const int ix = p.ix + s.x, at = p.base + s.off;

			[[unroll]] for (int u = 0; u < KP; u++)
				v[u] = LD4(b, live && i + u < end && uint(ix + u * p.stride) < p.iw
				    ? at + u * p.across : -1);
			p = pixel_skip(p, KP);
		} else {
			[[unroll]] for (uint u = 0; u < KP; u++) {
				v[u] = LD4(b, b_at(p, s, i + u < end));
				p = pixel_next(p);
			}
		}
		[[unroll]] for (uint t = 0; t < LOADS; t++)
			x[t] = LD4(a, ap < end ? int(ap * astep + amine + t * (SG / KP)) : -1);
		[[unroll]] for (uint g = 0; g < TM / 4; g++) {
			[[unroll]] for (uint u = 0; u < KP; u++) {
				[[unroll]] for (uint n = 0; n < 4; n++) {
					const float one = subgroupShuffle(x[g / (SG / KP)][n],
					    g % (SG / KP) * KP + u);

					acc[g * 4 + n] += one * v[u];
				}
			}
		}
	}
	const uint to = ((split * (gl_NumWorkGroups.z / splits) + batch) * m + row0) * nq + col,
	    row = nq;
	const uint rows = col < nq ? m - row0 : 0;

	[[unroll]] for (uint i = 0; i < TM; i++)
		if (i < rows)
			y[to + i * row] = wide(acc[i]);
}
