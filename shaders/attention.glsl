/*
 * What attention's kernels share: operands in blocks of B rows, the other side's values brought to
 * all invocations, and the scores of own rows with a block. Defined before: FORWARD, DQ, DK or DV.
 */
layout(constant_id = 1) const uint B = 16u;
layout(constant_id = 2) const uint EACH = 1u;
layout(constant_id = 3) const uint SLICE = 10u;
// quads of the other side at a time; divides used and SLICE
layout(constant_id = 4) const uint STAGE = 1u;

#if defined(DQ) || defined(DK)
#define TWO_PRODUCTS
#endif
#if defined(DK) || defined(DV)
#define OWN_KEYS
#endif

#ifdef TEXEL
#extension GL_KHR_shader_subgroup_shuffle : require
#define IN(b, name) layout(binding = b, rgba32f) uniform readonly imageBuffer name
#define LD(name, i) imageLoad(name, int(i))
#define IN1(b, name) layout(binding = b, r32f) uniform readonly imageBuffer name
#define LD1(name, i) imageLoad(name, int(i)).x
#else
#define IN(b, name) layout(binding = b) readonly buffer B##b { vec4 name[]; }
#define LD(name, i) name[i]
#define IN1(b, name) layout(binding = b) readonly buffer B##b { float name[]; }
#define LD1(name, i) name[i]
shared vec4 tile[STAGE * B];
#endif

IN(0, own);   // q, or k
IN(1, other); // k, or q
IN(2, value); // what is summed: FORWARD v, DV do, DQ k, DK q
layout(binding = 3) writeonly buffer B3 { vec4 sum[]; };
#ifdef FORWARD
layout(binding = 4) writeonly buffer B4 { float lse[]; };
#else
IN1(4, lse);
#endif
#ifdef TWO_PRODUCTS
IN(5, own2);   // do, or v
IN(6, other2); // v, or do
IN1(7, delta);
#endif
/* blocks of the own side; rows and blocks of the other; quads of d as packed, and without
 * filling */
layout(push_constant) uniform P {
	uint own_blocks, other_rows, other_blocks, quads, used, causal;
	float factor, scale;
};

/* 2^x for x <= 0: to 2^-126, below it the same. NaN is NaN. */
float
exp2_p(float x)
{
	const float c = mix(max(x, -126), x, isnan(x)), k = roundEven(c), r = c - k;
	float p = 1.5403530e-4;

	p = p * r + 1.33335581e-3;
	p = p * r + 9.61812911e-3;
	p = p * r + 5.55041087e-2;
	p = p * r + 0.240226507;
	p = p * r + 0.693147181;
	p = p * r + 1;
	return p * intBitsToFloat((int(max(k, -126)) + 127) << 23);
}

/* Brings the next STAGE quads of a block of the other side to all; ROW(j, k): quad k of its row
 * j. */
#ifdef TEXEL
#define FETCH(name, at) \
	vec4 fetched[STAGE]; \
	[[unroll]] for (uint f = 0; f < STAGE; f++) \
		fetched[f] = LD(name, (at) + f * B + gl_LocalInvocationID.x)
#define ROW(j, k) subgroupShuffle(fetched[k], j)
#define OTHER(mine, name, j) subgroupShuffle(mine, j)
#else
#define FETCH(name, at) \
	barrier(); \
	for (uint f = gl_LocalInvocationID.x; f < STAGE * B; f += gl_WorkGroupSize.x) \
		tile[f] = LD(name, (at) + f); \
	barrier()
#define ROW(j, k) tile[(k) * B + (j)]
#define OTHER(mine, name, j) name[(head * other_blocks + block) * B + (j)]
#endif

/* s[l][j] += a's own row l . b's row j of the block at `at` */
#define PRODUCT(s, a, b) \
	for (uint q = 0; q < used; q += STAGE) { \
		FETCH(b, other_base + (block * quads + q) * B); \
		[[unroll]] for (uint k = 0; k < STAGE; k++) { \
			vec4 mine[EACH]; \
			[[unroll]] for (uint l = 0; l < EACH; l++) \
				mine[l] = LD(a, own_at[l] + (q + k) * B); \
			[[unroll]] for (uint j = 0; j < B; j++) { \
				const vec4 theirs = ROW(j, k); \
				[[unroll]] for (uint l = 0; l < EACH; l++) \
					s[l][j] += dot(mine[l], theirs); \
			} \
		} \
	}
