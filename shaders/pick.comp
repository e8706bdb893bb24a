//! pick_f32: -DF32
//! pick_f16: -DF16
//! pick_bf16: -DBF16
//! pick_f32_t: -DF32 -DTEXEL
//! pick_f16_t: -DF16 -DTEXEL
//! pick_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "dtype.glsl"
#include "flat.glsl"
// y[o, i] = x[o, at[o, i], i] of the middle of [outer, len, inner]; with PLACE the transpose of
// that: y[o, r, i] = x[o, i] where r is at[o, i], 0 elsewhere.
layout(constant_id = 0) const uint PLACE = 0;
IN4(0, x);
layout(set = 0, binding = 1, std430) readonly buffer I { int at[]; };
OUT4(2, y);
layout(push_constant) uniform P { uint n, len, inner; }; // n: values of y

float
one(uint e)
{
	const uint c = e % inner, r = e / inner, o = PLACE != 0 ? r / len : r;
	uint id;

	if (e >= n)
		return 0;
	id = uint(at[o * inner + c]);
	if (PLACE != 0)
		return id == r % len ? PICK(x, o * inner + c) : 0;
	return PICK(x, (o * len + id) * inner + c);
}

void
main()
{
	FLAT_AGAIN(i, (n + 3) / 4)
		ST4(y, i, vec4(one(4 * i), one(4 * i + 1), one(4 * i + 2), one(4 * i + 3)));
}
