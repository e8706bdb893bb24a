//! copy_rows_f32: -DF32
//! copy_rows_f16: -DF16
//! copy_rows_bf16: -DBF16
//! copy_rows_f32_t: -DF32 -DTEXEL
//! copy_rows_f16_t: -DF16 -DTEXEL
//! copy_rows_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
/*
 * Rows of `from` values to rows of `to`: cut off, or filled up with zeros. Value c of row r of x's
 * matrix b is x[b each + r sr + c sc], so that matrices may be turned round. Four values an
 * invocation.
 */
#include "dtype.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64;
IN4(0, x);
OUT4(1, y);
layout(push_constant) uniform P {
	uint count, from, to;     // values of y; of its rows
	uint rows, each, sr, sc;  // rows of a matrix; strides of x
	uint last;                // value of x
};

void
main()
{
	const uint i = 4 * ((gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * LOCAL +
	    gl_LocalInvocationID.x);
	uint row = i / to, col = i - row * to, batch = row / rows;
	vec4 v;

	if (i >= count)
		return;
	row -= batch * rows;
	[[unroll]] for (uint e = 0; e < 4; e++) {
		const float t =
		    PICK(x, min(batch * each + row * sr + min(col, from - 1) * sc, last));

		v[e] = col < from ? t : 0;
		col = col + 1 == to ? 0 : col + 1;
		row = col == 0 ? row + 1 : row;
		batch = row == rows ? batch + 1 : batch;
		row = row == rows ? 0 : row;
	}
	ST4(y, i / 4, v);
}
