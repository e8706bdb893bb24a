/*
 * Cooperative matrices of MM by NN sums over KK products at a time, spread over a subgroup
 * (GL_KHR_cooperative_matrix): halves in, floats summed. A workgroup of four subgroups makes a
 * tile of 64 by 64, each a quarter of 32 by 32.
 */
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
layout(local_size_x_id = 0) in; // four subgroups
layout(constant_id = 1) const uint MM = 16;
layout(constant_id = 2) const uint NN = 16;
layout(constant_id = 3) const uint KK = 16;

const uint TILE = 64, QUARTER = 32;
const uint DOWN = QUARTER / MM, ACROSS = QUARTER / NN; // matrices of a quarter

#define LEFT coopmat<float16_t, gl_ScopeSubgroup, MM, KK, gl_MatrixUseA>
#define RIGHT coopmat<float16_t, gl_ScopeSubgroup, KK, NN, gl_MatrixUseB>
#define SUM coopmat<float, gl_ScopeSubgroup, MM, NN, gl_MatrixUseAccumulator>

shared vec4 stage[MM * NN]; // one matrix of sums of each of the four subgroups

/*
 * Stores the sums: PUT(row, quad, v) for each quad of columns of the tile, row and quad counted in
 * the tile. To be called by the whole workgroup.
 */
#define STORE_SUMS(sum, PUT) \
	[[unroll]] for (uint si = 0; si < DOWN; si++) \
		[[unroll]] for (uint sj = 0; sj < ACROSS; sj++) { \
			const uint own = gl_SubgroupID * MM * NN / 4; \
			barrier(); \
			coopMatStore(sum[si * ACROSS + sj], stage, own, NN / 4, \
			    gl_CooperativeMatrixLayoutRowMajor); \
			barrier(); \
			for (uint e = gl_SubgroupInvocationID; e < MM * NN / 4; \
			    e += gl_SubgroupSize) \
				PUT(gl_SubgroupID / 2 * QUARTER + si * MM + e / (NN / 4), \
				    (gl_SubgroupID % 2 * QUARTER + sj * NN) / 4 + e % (NN / 4), \
				    stage[own + e]); \
		}
