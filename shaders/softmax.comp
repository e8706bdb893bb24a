//! softmax_f32: -DF32
//! softmax_f16: -DF16
//! softmax_bf16: -DBF16
//! softmax_f32_t: -DF32 -DTEXEL
//! softmax_f16_t: -DF16 -DTEXEL
//! softmax_bf16_t: -DBF16 -DTEXEL
//! softmax_odd_f32: -DF32 -DODD
//! softmax_odd_f16: -DF16 -DODD
//! softmax_odd_bf16: -DBF16 -DODD
//! softmax_odd_f32_t: -DF32 -DTEXEL -DODD
//! softmax_odd_f16_t: -DF16 -DTEXEL -DODD
//! softmax_odd_bf16_t: -DBF16 -DTEXEL -DODD
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "dtype.glsl"
#include "math.glsl"
// Over rows of `len` units: four values, or one where rows do not start at multiples of four (ODD).
// A subgroup has a row, or (EACH) an invocation has.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint MODE = 0;
layout(constant_id = 2) const uint EACH = 0;
// with EACH: this is len, and rows are kept in registers
layout(constant_id = 3) const uint FEW = 0;
const uint SOFTMAX = 0;     // y = e^(x - m) / s, m the largest, s = sum e^(x - m)
const uint LOG_SOFTMAX = 1; // y = x - m - log s
const uint SOFTMAX_G = 2;   // x the output, g its gradient: y = x (g - sum g x)
const uint LOG_SOFTMAX_G = 3; // likewise: y = g - e^x sum g
IN4(0, x);
IN4(1, g);
layout(push_constant) uniform P { uint rows, len; };
#ifdef ODD
OUT1(2, y);
#define V float
#define MOST_FEW 16
#define LD(name, i) PICK(name, i)
#define ST(i, v) ST1(y, i, v)
float across_max(float v) { return v; }
float across_sum(float v) { return v; }
float e(float v) { return exp_p(vec4(v)).x; }
#else
OUT4(2, y);
#define V vec4
#define MOST_FEW 8
#define LD(name, i) LD4(name, i)
#define ST(i, v) ST4(y, i, v)
float across_max(vec4 v) { return max(max(v.x, v.y), max(v.z, v.w)); }
float across_sum(vec4 v) { return (v.x + v.y) + (v.z + v.w); }
vec4 e(vec4 v) { return exp_p(v); }
#endif

// The last step, with m and s of the row.
V
result(V v, V gv, float m, float s)
{
	return MODE == SOFTMAX ? e(v - m) * s : MODE == LOG_SOFTMAX ? (v - m) - s
	    : MODE == SOFTMAX_G ? v * (gv - s) : gv - e(v) * s;
}

V part(V v, V gv, float m) { return MODE <= LOG_SOFTMAX ? e(v - m) : MODE == SOFTMAX_G ? gv *
    v : gv; }
float whole(float s) { return MODE == SOFTMAX ? 1 / s : MODE == LOG_SOFTMAX ? log_p(vec4(s)).x : s;
    }

void
few(uint row)
{
	V v[MOST_FEW], gv[MOST_FEW], most = V(uintBitsToFloat(0xFF800000u)), sum = V(0);
	float m, s;

	[[unroll]] for (uint i = 0; i < MOST_FEW; i++)
		if (i < FEW) {
			v[i] = LD(x, row * FEW + i);
			gv[i] = MODE <= LOG_SOFTMAX ? V(0) : LD(g, row * FEW + i);
			most = max(most, v[i]);
		}
	m = across_max(most);
	[[unroll]] for (uint i = 0; i < MOST_FEW; i++)
		if (i < FEW)
			sum += part(v[i], gv[i], m);
	s = whole(across_sum(sum));
	[[unroll]] for (uint i = 0; i < MOST_FEW; i++)
		if (i < FEW)
			ST(row * FEW + i, result(v[i], gv[i], m, s));
}

void
main()
{
	const uint wg = gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
	const uint row = EACH != 0 ? wg * gl_WorkGroupSize.x + gl_LocalInvocationID.x : wg;
	const uint step = EACH != 0 ? 1 : gl_WorkGroupSize.x;
	const uint first = row * len + (EACH != 0 ? 0 : gl_LocalInvocationID.x),
	    end = row * len + len;
	V most = V(uintBitsToFloat(0xFF800000u)), sum = V(0);
	float m = 0, s;

	if (row >= rows)
		return;
	if (FEW > 0) {
		few(row);
		return;
	}
	if (MODE <= LOG_SOFTMAX) {
		for (uint i = first; i < end; i += step)
			most = max(most, LD(x, i));
		m = across_max(most);
		if (EACH == 0)
			m = subgroupMax(m);
	}
	for (uint i = first; i < end; i += step)
		sum += part(LD(x, i), LD(g, i), m);
	s = across_sum(sum);
	if (EACH == 0)
		s = subgroupAdd(s);
	s = whole(s);
	for (uint i = first; i < end; i += step)
		ST(i, result(LD(x, i), LD(g, i), m, s));
}
