//! pack_f32: -DF32
//! pack_f16: -DF16
//! pack_bf16: -DBF16
//! pack_f32_t: -DF32 -DTEXEL
//! pack_f16_t: -DF16 -DTEXEL
//! pack_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
/*
 * The second operand of a product, laid out as gemm_cpu.comp and gemm_gpu.comp read it: tiles of
 * LANES * NC columns, in each [group of k][NC][LANES] times one group: the KT values of k that one
 * 16-byte load brings. Column n of the tile is NC * lane + number. k counts taps (ty, tx), then
 * channels, each tap padded with zeros to whole groups; so are k as a whole and the columns.
 * Element (ty, tx, ch, n) is x[batch xbatch + base + ty sy + tx sx + ch sc + n sn].
 *
 * An invocation does four neighbouring columns of one group. HOW 0: value by value. 1: sc is 1 and
 * everything a multiple of four, so that four channels are one load. 2: the same for sn and
 * columns.
 */
#include "dtype.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64;
layout(constant_id = 1) const uint HOW = 0;
#ifdef F32
#define KT 4
#else
#define KT 8
#endif
IN4(0, x);
layout(binding = 1) writeonly buffer Y { uvec4 y[]; };
layout(push_constant) uniform P {
	uint count;                // invocations: groups * ceil(columns / 4) * batches
	uint cols, lanes, nc;      // columns; the layout
	uint groups, cg, ch;       // groups of k, padded; groups of one tap; channels
	uint taps, tw;             // taps, and those in one row
	int base, sy, sx, sc, sn;
	uint xbatch, ybatch;       // elements, groups
};

// Values of channel k (of KT) for columns n to n + 3.
vec4
at(int e, uint left)
{
	vec4 v = vec4(0);

	if (HOW == 2)
		return LD4(x, e >> 2);
	[[unroll]] for (int i = 0; i < 4; i++) {
		const float t = PICK(x, uint(i < left ? e + i * sn : e));

		v[i] = i < left ? t : 0;
	}
	return v;
}

void
main()
{
	const uint i = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * LOCAL +
	    gl_LocalInvocationID.x;
	const uint quads = (cols + 3) / 4, rest = i / quads, n = 4 * (i - rest * quads);
	const uint batch = rest / groups, g = rest - batch * groups;
	const uint tap = g / cg, c0 = (g - tap * cg) * KT, ty = tap / tw, tx = tap - ty * tw;
	const int from = int(batch * xbatch) + base + int(ty) * sy + int(tx) * sx + int(c0) * sc +
	    int(n) * sn;
	const uint width = lanes * nc, tile = n / width, lane = (n - tile * width) / nc;
	vec4 v[KT];

	if (i >= count)
		return;
	if (HOW == 1) {
		mat4 m[KT / 4];

		[[unroll]] for (int j = 0; j < KT / 4; j++) {
			[[unroll]] for (int k = 0; k < 4; k++)
				m[j][k] = tap < taps && n + k < cols &&
				    c0 + 4 * j < ch ? LD4(x, (from + k * sn >> 2) + j) : vec4(0);
			m[j] = transpose(m[j]);
			[[unroll]] for (int k = 0; k < 4; k++)
				v[4 * j + k] = m[j][k];
		}
	} else {
		[[unroll]] for (int k = 0; k < KT; k++)
			v[k] = tap < taps && c0 + k < ch ? at(from + k * sc, cols - n) : vec4(0);
	}
	[[unroll]] for (uint k = 0; k < 4; k++) {
		// nc is 4, 2 or 1: the four columns are of one, two or four lanes
		const uint to = batch * ybatch + ((tile * groups + g) * nc + k % nc) * lanes +
		    lane + k / nc;
#ifdef F32
		y[to] = floatBitsToUint(vec4(v[0][k], v[1][k], v[2][k], v[3][k]));
#else
		y[to] = uvec4(st4(vec4(v[0][k], v[1][k], v[2][k], v[3][k])),
		    st4(vec4(v[4][k], v[5][k], v[6][k], v[7][k])));
#endif
	}
}
