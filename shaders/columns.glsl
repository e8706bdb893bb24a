/*
 * Kernels that go over an image [n, rows, channels] with one column (a channel, or four) an
 * invocation. Compile with a dtype of dtype.glsl, and with TEXEL, or SCALAR where the number of
 * channels is no multiple of four.
 *
 * `fold` rows are taken as one, so that narrow images fill workgroups too, and of those fold * cols
 * values an invocation works on WIDE, local size apart, in the same columns all the way down: a
 * software device then writes memory in order. Chunk y of sample z has `steps` folded rows.
 * Columns, rows and indices count values of V.
 */
#include "value.glsl"
#include "fastdiv.glsl"


layout(constant_id = 1) const uint WIDE = 1u;
layout(push_constant) uniform P { fastdiv cols; uint rows, fold, steps; };

/* Its first value in the folded row; the others follow gl_WorkGroupSize.x apart. */
#define SLOT(j) (gl_WorkGroupID.x * WIDE * gl_WorkGroupSize.x + (j) * gl_WorkGroupSize.x + \
    gl_LocalInvocationID.x)
uint column_of(uint slot) { return slot - div_by(slot, cols) * cols.d; }
/* Folded rows of this chunk. */
uint
column_steps()
{
	const uint folded = (rows + fold - 1u) / fold, from = gl_WorkGroupID.y * steps;

	return from < folded ? min(steps, folded - from) : 0u;
}
uint column_begin() { return gl_WorkGroupID.z * rows * cols.d + gl_WorkGroupID.y * steps * fold *
    cols.d; }
uint column_end() { return (gl_WorkGroupID.z + 1u) * rows * cols.d; }
/* Where part p of a [n, chunks * fold, 2, cols] array has slot s's first value. */
uint
column_part(uint s)
{
	const uint r = div_by(s, cols);

	return ((gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y) * fold + r) * 2u *
	    cols.d + s - r * cols.d;
}
