/* The activations that normalisation kernels end with, by a specialization constant: enum act. */
#include "math.glsl"
layout(constant_id = 2) const uint ACT = 0u;

/* 1 / (1 + e^-z) without the ends of exp_p: beyond 87 it is 0 or 1 to within 2e-38. NaN may come
 * out as a number, which z, multiplied by it, mends. */
vec4
sigmoid_short(vec4 z)
{
	const vec4 c = clamp(z, -87, 87), k = roundEven(c * -1.44269504);
	const vec4 r = k * -0.693359375 - c + k * 2.12194440e-4;
	vec4 p = vec4(1.0 / 720);

	p = p * r + 1.0 / 120;
	p = p * r + 1.0 / 24;
	p = p * r + 1.0 / 6;
	p = p * r + 0.5;
	p = p * r + 1;
	p = p * r + 1;
	return 1 / (1 + p * intBitsToFloat((ivec4(k) + 127) << 23));
}

V
act(V z)
{
	if (ACT == 1u)
		return V(nan_of(max(vec4(z), vec4(0)), vec4(z), vec4(z)));
	if (ACT == 2u)
		return V(vec4(z) * sigmoid_short(vec4(z)));
	return z;
}

/* d act(z) / dz */
V
act_slope(V z)
{
	if (ACT == 1u)
		return V(vec4(greaterThan(vec4(z), vec4(0))));
	if (ACT == 2u) {
		const V s = V(sigmoid_short(vec4(z)));

		return s * (V(1) + z * (V(1) - s));
	}
	return V(1);
}
