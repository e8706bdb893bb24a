//! strided_16: -DUNIT=uvec4
//! strided_8: -DUNIT=uvec2
//! strided_4: -DUNIT=uint
//! strided_2: -DUNIT=uint16_t -DSMALL
//! strided_16_t: -DUNIT=uvec4 -DTEXEL=rgba32ui -DPART=
//! strided_8_t: -DUNIT=uvec2 -DTEXEL=rg32ui -DPART=.xy
//! strided_4_t: -DUNIT=uint -DTEXEL=r32ui -DPART=.x
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
// y[place by ys] = x[place by xs] for every index of up to six dimensions; of units of 2 to 16
// bytes, whatever is in them. Strides may be negative.
#extension GL_GOOGLE_include_directive : require
#include "flat.glsl"
layout(constant_id = 0) const uint DIMS = 1;
layout(constant_id = 1) const uint Y_FLAT = 0; // y is written in order
#ifdef TEXEL
layout(set = 0, binding = 0, TEXEL) uniform readonly uimageBuffer x;
#define LOAD(i) imageLoad(x, i) PART
#else
layout(set = 0, binding = 0, std430) readonly buffer X { UNIT x[]; };
#define LOAD(i) x[i]
#endif
layout(set = 0, binding = 1, std430) writeonly buffer Y { UNIT y[]; };
layout(push_constant) uniform P {
	uint n;
	int x0, y0;                      // where index 0 lies
	uint dim[5], magic[5], shift[5]; // dimensions 1 to 5, and how to divide by them
	int xs[6], ys[6];
};

#include "odometer.glsl"

void
main()
{
	odometer_init();
	odometer_set(FLAT_BASE);
	FLAT(i, n) {
		if (FLAT_APART > 1)
			odometer_set(i);
		if (Y_FLAT != 0)
			y[i] = LOAD(x0 + odometer.x);
		else
			y[y0 + odometer.y] = LOAD(x0 + odometer.x);
		odometer_step();
	}
}
