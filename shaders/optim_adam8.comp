//! optim_adam8_v:
//! optim_adam8_t: -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
/*
 * AdamW as in optim.comp with both moments kept in 8 bits, by blocks of 256 values that share a
 * scale (Dettmers et al., 8-bit Optimizers via Block-wise Quantization, 2021; its dynamic
 * quantisation). A block is 132 words of `state`: 64 of m, 64 of v, the largest |m| and v. Blocks
 * of small tensors keep floats: 256 words of m, 256 of v. A workgroup does one block; table: its
 * first quad of the slab, values, first word of the state, 1 if 8-bit; the buffers begin at `quad`
 * and `word`.
 *
 * A code stands for x in [-1, 1]: 0, or with q = 2^e + j, 0 <= j < 2^e, the middle of the j-th of
 * 2^e equal pieces of [0.1, 1] 10^d. m: q is the low 7 bits (0: zero), d = e - 6, the top bit the
 * sign, and
 * 128 is 1. v: q = code + 1 (code 0: zero), d = e - 7, 255 is 1.
 */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint EACH = 4u; // quads of an invocation: 64 / local size
#include "group_sum.glsl"
#ifdef TEXEL
layout(binding = 0, rgba32f) uniform readonly imageBuffer p;
layout(binding = 1, rgba32f) uniform readonly imageBuffer g;
layout(binding = 2, r32ui) uniform readonly uimageBuffer state;
#define LD4(name, i) imageLoad(name, int(i))
#define LDU(name, i) imageLoad(name, int(i)).x
#else
layout(binding = 0) readonly buffer B0 { vec4 p[]; };
layout(binding = 1) readonly buffer B1 { vec4 g[]; };
layout(binding = 2) readonly buffer B2 { uint state[]; };
#define LD4(name, i) name[i]
#define LDU(name, i) name[i]
#endif
layout(binding = 3) readonly buffer B3 { float factor; };
layout(binding = 4) readonly buffer B4 { uvec4 table[]; };
layout(binding = 5) writeonly buffer B5 { vec4 new_p[]; };
layout(binding = 6) writeonly buffer B6 { uint new_state[]; };
layout(push_constant) uniform P { uint first, blocks, quad, word; float lr, decay, beta1, beta2,
    rate, root, eps; };

float max4(vec4 v) { return max(max(v.x, v.y), max(v.z, v.w)); }

// 10^(e - off), e - off from -6 to 0
vec4
power(uvec4 e, uint off)
{
	vec4 t = vec4(1);

	[[unroll]] for (uint k = 0; k < 6u; k++)
		t = mix(t, t * 0.1, lessThan(e, uvec4(off - k)));
	return t;
}

vec4
value(uvec4 q, uint off)
{
	const uvec4 f = floatBitsToUint(vec4(q)), e = (f >> 23) - 127u;
	/* q / 2^e - 1, and half of 1 / 2^e */
	const vec4 j = uintBitsToFloat((f & 0x7FFFFFu) | 0x3F800000u) - 1;
	const vec4 half_ = uintBitsToFloat((126u - e) << 23);

	return mix(power(e, off) * (0.1 + 0.9 * (j + half_)), vec4(0),
	    lessThan(q, uvec4(off - 5u)));
}

// The q whose value is nearest to x in [0, 1]; `least`: the smallest e.
uvec4
nearest(vec4 x, uint least, uint off)
{
	uvec4 e = uvec4(least);
	/* 10^-d; where decade d begins, were it not for pieces */
	vec4 t = vec4(1e6), edge = vec4(1e-6);

	[[unroll]] for (uint k = 1u; k < 7u; k++) {
		edge *= 10;
		const bvec4 up = greaterThan(x, 0.1 * edge * (1 + 1.8 / float(1u << (least + k))));
		e = mix(e, uvec4(least + k), up);
		t = mix(t, 1 / edge, up);
	}
	const vec4 n = vec4(uvec4(1) << e);
	const uvec4 q = uvec4(n + clamp(floor((x * t - 0.1) * (n / 0.9)), vec4(0), n - 1));
	const float half_least = 0.5e-6 * (0.1 + 0.45 / float(1u << least));

	return mix(q, uvec4(off - 6u), lessThan(x, vec4(half_least)));
}

vec4
decode_m(uint w)
{
	const uvec4 c = uvec4(w) >> uvec4(0, 8, 16, 24) & 255u;
	const vec4 x = value(c & 127u, 6u);

	return mix(mix(x, -x, greaterThan(c, uvec4(127))), vec4(1), equal(c, uvec4(128)));
}

uint
encode_m(vec4 x)
{
	uvec4 c = nearest(abs(x), 0u, 6u);

	c |= mix(uvec4(0), uvec4(128), lessThan(x, vec4(0)));
	c = mix(c, uvec4(0), equal(c, uvec4(128)));
	c = mix(c, uvec4(128), greaterThan(x, vec4(1 - 0.225 / 64)));
	return c.x | c.y << 8 | c.z << 16 | c.w << 24;
}

vec4
decode_v(uint w)
{
	const uvec4 c = uvec4(w) >> uvec4(0, 8, 16, 24) & 255u;

	return mix(value(c + 1u, 7u), vec4(1), equal(c, uvec4(255)));
}

uint
encode_v(vec4 x)
{
	uvec4 c = mix(nearest(x, 1u, 7u) - 1u, uvec4(255), greaterThan(x, vec4(1 - 0.225 / 128)));

	/* not even a small one becomes 0, where a step would be m / eps */
	c = max(c, uvec4(greaterThan(x, vec4(0))));
	return c.x | c.y << 8 | c.z << 16 | c.w << 24;
}

void
main()
{
	const uint wg = gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
	const uvec4 t = table[first + min(wg, blocks - 1u)];
	const bool bytes = t.w != 0u;
	const uint lane = gl_LocalInvocationID.x, s = t.z - word, at = t.x - quad;
	const float scale = factor, top_m = uintBitsToFloat(LDU(state, s + 128u));
	const float top_v = uintBitsToFloat(LDU(state, s + 129u));
	vec4 m[EACH], v[EACH];
	vec2 top = vec2(0);

	if (wg >= blocks)
		return;
	[[unroll]] for (uint k = 0; k < EACH; k++) {
		const uint q = lane + k * gl_WorkGroupSize.x, i = min(q, (t.y - 1u) >> 2),
		    o = s + 4u * i;
		const vec4 d = scale * LD4(g, at + i);
		vec4 w = LD4(p, at + i);
		if (bytes) {
			m[k] = top_m * decode_m(LDU(state, s + i));
			v[k] = top_v * decode_v(LDU(state, s + 64u + i));
		} else {
			m[k] = uintBitsToFloat(uvec4(LDU(state, o), LDU(state, o + 1u),
			    LDU(state, o + 2u), LDU(state, o + 3u)));
			v[k] = uintBitsToFloat(uvec4(LDU(state, o + 256u), LDU(state, o + 257u),
			    LDU(state, o + 258u), LDU(state, o + 259u)));
		}
		m[k] += (1 - beta1) * (d - m[k]);
		v[k] = beta2 * v[k] + (1 - beta2) * d * d;
		w -= lr * decay * w;
		if (q == i) {
			new_p[at + i] = w - rate * m[k] / (sqrt(v[k]) / root + eps);
			top = max(top, vec2(max4(abs(m[k])), max4(v[k])));
		}
	}
	top = group_max(top);
	const vec2 inverse = 1 / max(top, vec2(1e-38));
	[[unroll]] for (uint k = 0; k < EACH; k++) {
		const uint i = lane + k * gl_WorkGroupSize.x, o = s + 4u * i;
		if (4u * i < t.y) {
			if (bytes) {
				new_state[s + i] = encode_m(m[k] * inverse.x);
				new_state[s + 64u + i] = encode_v(v[k] * inverse.y);
			} else {
				[[unroll]] for (uint c = 0; c < 4u; c++) {
					new_state[o + c] = floatBitsToUint(m[k][c]);
					new_state[o + 256u + c] = floatBitsToUint(v[k][c]);
				}
			}
		}
	}
	if (bytes && lane == 0u) {
		new_state[s + 128u] = floatBitsToUint(top.x);
		new_state[s + 129u] = floatBitsToUint(top.y);
	}
}
