//! binary_f32: -DF32
//! binary_f16: -DF16
//! binary_bf16: -DBF16
//! binary_f32_t: -DF32 -DTEXEL
//! binary_f16_t: -DF16 -DTEXEL
//! binary_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "dtype.glsl"
#include "flat.glsl"
#include "math.glsl"
#include "../lib/tensor/opcodes.h"
// z = f(x, y), broadcast over up to six dimensions; op and way of reading are constants.
layout(constant_id = 0) const uint OP = 0;
layout(constant_id = 1) const uint X_READ = 0;
layout(constant_id = 2) const uint Y_READ = 0;
layout(constant_id = 3) const uint DIMS = 1;
IN4(0, x);
IN4(1, y);
OUT4(2, z);
layout(push_constant) uniform P {
	uint groups;              // of four values of z
	float a, b;               // the op's own numbers
	uint dim[5], magic[5], shift[5]; // dimensions 1 to 5, and how to divide by them
	int xs[6], ys[6];         // strides
};

#include "odometer.glsl"

vec4
f(vec4 u, vec4 v)
{
	switch (OP) {
	case B_ADD: return u + v;
	case B_SUB: return u - v;
	case B_MUL: return u * v;
	case B_DIV: return u / v;
	case B_MAX: return nan_of(max(u, v), u, v);
	case B_MIN: return nan_of(min(u, v), u, v);
	case B_GREATER: return vec4(greaterThan(u, v));
	case B_GREATER_EQUAL: return vec4(greaterThanEqual(u, v));
	case B_BCE: return softplus_p(u) - u * v;
	case B_FIRST: return u;
	case B_RELU_G: return mix(vec4(0), u, greaterThan(v, vec4(0)));
	case B_LRELU_G: return mix(a * u, u, greaterThan(v, vec4(0)));
	case B_ABS_G: return u * sign(v);
	case B_CLAMP_G: return mix(vec4(0), mix(vec4(0), u, lessThanEqual(v, vec4(b))),
	    greaterThanEqual(v, vec4(a)));
	case B_SIGMOID_G: return u * v * (1 - v);
	case B_TANH_G: return u * (1 - v * v);
	case B_SOFTPLUS_G: return u * sigmoid_p(v);
	case B_SILU_G: { const vec4 s = sigmoid_p(v); return u * s * (1 + v * (1 - s)); }
	case B_GELU_G: return u *
	    (cdf_p(v) + v * 0.3989422804 * exp_normal(max(-0.5 * v * v, vec4(-87))));
	case B_QUICK_GELU_G: {
		const vec4 s = sigmoid_p(1.702 * v);
		return u * s * (1 + 1.702 * v * (1 - s));
	}
	case B_SQUARE_G: return 2 * u * v;
	case B_SQRT_G: return 0.5 * u / v;
	case B_RSQRT_G: return -0.5 * u * v * v * v;
	case B_SIN_G: return u * cos_p(v);
	case B_COS_G: return -u * sin_p(v);
	case B_POW_G: return u * a * pow_p(v, a - 1);
	}
	return vec4(0);
}

void
main()
{
	// one dimension: values in order on either side, or a single one
	if (DIMS == 1) {
		const vec4 one_x = X_READ == READ_SPLAT ? vec4(PICK(x, 0)) : vec4(0);
		const vec4 one_y = Y_READ == READ_SPLAT ? vec4(PICK(y, 0)) : vec4(0);

		FLAT_AGAIN(i, groups)
			ST4(z, i, f(X_READ == READ_FLAT ? LD4(x, i) : one_x,
			    Y_READ == READ_FLAT ? LD4(y, i) : one_y));
		return;
	}
	const bool each = X_READ == READ_EACH || Y_READ == READ_EACH;

	odometer_init();
	odometer_set(each ? 4 * FLAT_BASE : FLAT_BASE);
	FLAT(i, groups) {
		uvec2 at[4];
		vec4 u, v;

		if (FLAT_APART > 1)
			odometer_set(each ? 4 * i : i);
		[[unroll]] for (uint c = 0; c < (each ? 4 : 1); c++) {
			at[c] = odometer;
			odometer_step();
		}
		switch (X_READ) {
		case READ_FLAT: u = LD4(x, i); break;
		case READ_GROUP: u = LD4(x, at[0].x); break;
		case READ_SPLAT: u = vec4(PICK(x, at[0].x)); break;
		default: u = vec4(PICK(x, at[0].x), PICK(x, at[1].x), PICK(x, at[2].x),
		    PICK(x, at[3].x));
		}
		switch (Y_READ) {
		case READ_FLAT: v = LD4(y, i); break;
		case READ_GROUP: v = LD4(y, at[0].y); break;
		case READ_SPLAT: v = vec4(PICK(y, at[0].y)); break;
		default: v = vec4(PICK(y, at[0].y), PICK(y, at[1].y), PICK(y, at[2].y),
		    PICK(y, at[3].y));
		}
		ST4(z, i, f(u, v));
	}
}
