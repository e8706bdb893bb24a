//! unary_f32: -DF32
//! unary_f16: -DF16
//! unary_bf16: -DBF16
//! unary_f32_t: -DF32 -DTEXEL
//! unary_f16_t: -DF16 -DTEXEL
//! unary_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "dtype.glsl"
#include "flat.glsl"
#include "math.glsl"
#include "../lib/tensor/opcodes.h"
// y = f(x; a, b)
layout(constant_id = 0) const uint OP = 0;
IN4(0, x);
OUT4(1, y);
layout(push_constant) uniform P { uint groups; float a, b; };

vec4
f(vec4 v)
{
	switch (OP) {
	case U_AFFINE: return a * v + b;
	case U_POW: return pow_p(v, a);
	case U_SQUARE: return v * v;
	case U_SQRT: return sqrt(v);
	case U_RSQRT: return 1 / sqrt(v);
	case U_EXP: return exp_p(v);
	case U_LOG: return log_p(v);
	case U_ABS: return abs(v);
	case U_SIN: return sin_p(v);
	case U_COS: return cos_p(v);
	case U_TANH: return tanh_p(v);
	case U_SIGMOID: return sigmoid_p(v);
	case U_SOFTPLUS: return softplus_p(v);
	case U_RELU: return nan_of(max(v, vec4(0)), v, v);
	case U_LRELU: return mix(a * v, v, greaterThan(v, vec4(0)));
	case U_SILU: return v * sigmoid_p(v);
	case U_GELU: return v * cdf_p(v);
	case U_QUICK_GELU: return v * sigmoid_p(1.702 * v);
	case U_CLAMP: return nan_of(clamp(v, a, b), v, v);
	case U_GREATER: return vec4(greaterThan(v, vec4(a)));
	case U_EQUAL: return vec4(equal(v, vec4(a)));
	case U_CDF: return cdf_p(v);
	}
	return vec4(0);
}

void
main()
{
	FLAT_AGAIN(i, groups)
		ST4(y, i, f(LD4(x, i)));
}
