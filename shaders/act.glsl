/* The activations that normalisation kernels end with, by a specialization constant: enum act. */
#include "math.glsl"
layout(constant_id = 2) const uint ACT = 0u;

V
act(V z)
{
	if (ACT == 1u)
		return V(nan_of(max(vec4(z), vec4(0)), vec4(z), vec4(z)));
	if (ACT == 2u)
		return V(vec4(z) * sigmoid_p(vec4(z)));
	return z;
}

/* d act(z) / dz */
V
act_slope(V z)
{
	if (ACT == 1u)
		return V(vec4(greaterThan(vec4(z), vec4(0))));
	if (ACT == 2u) {
		const V s = V(sigmoid_p(vec4(z)));

		return s * (V(1) + z * (V(1) - s));
	}
	return V(1);
}
