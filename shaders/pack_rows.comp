//! pack_rows:
//! pack_rows_t: -DTEXEL
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
/*
 * What pack.comp does, where the values of each 16-byte group lie side by side in the source too,
 * and groups begin at multiples of 16 bytes: whatever the type, groups are moved as they are.
 *
 * An invocation does EACH groups of k of one column, so that it reads whole cache lines. Workgroup
 * x counts columns, as the layout has them, y groups of k, z batches.
 */
#ifdef TEXEL
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer x;
#define LD(ok, i) imageLoad(x, (ok) ? (i) : -1)
#define WIDE u64vec2
u64vec2 wide(uvec4 v) { return u64vec2(packUint2x32(v.xy), packUint2x32(v.zw)); }
#else
layout(binding = 0) readonly buffer X { uvec4 x[]; };
#define LD(ok, i) ((ok) ? x[i] : uvec4(0))
#define WIDE uvec4
#define wide(v) v
#endif
layout(binding = 1) writeonly buffer Y { WIDE y[]; };
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64;
layout(push_constant) uniform P {
	uint cols, padded;         // columns; with those that fill the last tile
	uint lanes, nc;            // the layout
	uint groups, cg;           // groups of k, padded; groups of one tap
	uint taps, tw;             // taps, and those in one row
	int base, sy, sx, sn;      // in groups
	uint xbatch, ybatch;       // groups
};
const uint EACH = 8;

void
main()
{
	const uint at = gl_WorkGroupID.x * LOCAL + gl_LocalInvocationID.x, width = lanes * nc;
	const uint tile = at / width, in_tile = at - tile * width, number = in_tile / lanes;
	const uint lane = in_tile - number * lanes, n = tile * width + nc * lane + number;
	const uint first = gl_WorkGroupID.y * EACH, last = groups - 1;
	const uint to = gl_WorkGroupID.z * ybatch + (tile * groups * nc + number) * lanes + lane;
	const int from = int(gl_WorkGroupID.z * xbatch) + base + int(n) * sn;
	const uint step = width, per = cg, ntaps = taps, across = tw;
	const int down = sy, right = sx;
	uint tap = first / per, c = first - tap * per, tx = tap % across;
	int off = int(tap / across) * down + int(tx) * right;

	if (at >= padded)
		return;
	[[unroll]] for (uint i = 0; i < EACH; i++) {
		// past the end the last group is done again, which costs less than not to do it
		const bool more = first + i < last, next = more && c + 1 == per, line = next &&
		    tx + 1 == across;

		y[to + min(first + i, last) * step] =
		    wide(LD(tap < ntaps && n < cols, from + off + int(c)));
		off += next ? right : 0;
		off += line ? down - int(across) * right : 0;
		tap += next ? 1 : 0;
		tx = line ? 0 : next ? tx + 1 : tx;
		c = next ? 0 : more ? c + 1 : c;
	}
}
