//! attention_forward_v: -DFORWARD
//! attention_forward_t: -DFORWARD -DTEXEL
//! attention_dq_v: -DDQ
//! attention_dq_t: -DDQ -DTEXEL
//! attention_dk_v: -DDK
//! attention_dk_t: -DDK -DTEXEL
//! attention_dv_v: -DDV
//! attention_dv_t: -DDV -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
/*
 * Attention of one sample and head without its score matrix. An invocation owns EACH rows, B apart:
 * queries, or keys (DK, DV); it goes over the other side in blocks of B rows, of which it makes
 * scores s = own . other, then weights, then sums of weight * value, for SLICE quads of the
 * value's.
 *
 *	FORWARD  o  = sum_j p_j v_j / sum_j p_j     p = exp(s - max), running (Milakov and
 *	Gimelshein, Online
 *	                                            normalizer calculation for softmax, 2018)
 *	DV       dv = sum_i p_i do_i                p = exp(s - lse)
 *	DQ       dq = scale sum_j ds_j k_j          ds = p (do . v - delta), delta = do . o
 *	DK       dk = scale sum_i ds_i q_i          (Dao et al., FlashAttention, 2022)
 *
 * Exponents are of base 2: `factor` is scale log2(e), lse likewise. All operands are packed by
 * attention_pack.comp. The other side's values reach all invocations by shuffles of constant lanes
 * on software devices (TEXEL, local size B), and through shared memory elsewhere.
 */
layout(local_size_x_id = 0) in;
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

const float NOTHING = -1e30;

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

void
main()
{
	const uint head = gl_WorkGroupID.y, slice = gl_WorkGroupID.z * SLICE;
	const uint other_base = head * other_blocks * quads * B;
	const uint first = gl_WorkGroupID.x * gl_WorkGroupSize.x * EACH; /* row of the workgroup */
	uint row[EACH], own_at[EACH], bound[EACH];
	vec4 total[EACH][SLICE];
#ifdef FORWARD
	float top[EACH], weight[EACH];
#elif defined(DQ)
	float own_lse[EACH], own_delta[EACH];
#endif

	[[unroll]] for (uint l = 0; l < EACH; l++) {
		row[l] = first + l * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
		const uint r = min(row[l], own_blocks * B - 1u);
		own_at[l] = (head * own_blocks + r / B) * quads * B + r % B;
#ifdef OWN_KEYS
		bound[l] = causal != 0u ? row[l] : 0u;
#else
		bound[l] = causal != 0u ? min(other_rows, row[l] + 1u) : other_rows;
#endif
		[[unroll]] for (uint c = 0; c < SLICE; c++)
			total[l][c] = vec4(0);
#ifdef FORWARD
		top[l] = NOTHING;
		weight[l] = 0;
#elif defined(DQ)
		own_lse[l] = LD1(lse, head * own_blocks * B + r);
		own_delta[l] = LD1(delta, head * own_blocks * B + r);
#endif
	}

	/* causal: query i and key j count if j <= i */
	uint from = 0, to = other_blocks;
	if (causal != 0u) {
#ifdef OWN_KEYS
		from = min(first / B, other_blocks);
#else
		to = min(other_blocks, (first + gl_WorkGroupSize.x * EACH + B - 1u) / B);
#endif
	}
	for (uint block = from; block < to; block++) {
		float s[EACH][B];

		[[unroll]] for (uint l = 0; l < EACH; l++)
			[[unroll]] for (uint j = 0; j < B; j++)
				s[l][j] = 0;
		PRODUCT(s, own, other)
#ifdef TWO_PRODUCTS
		float ds[EACH][B];
		[[unroll]] for (uint l = 0; l < EACH; l++)
			[[unroll]] for (uint j = 0; j < B; j++)
				ds[l][j] = 0;
		PRODUCT(ds, own2, other2)
#endif
#if defined(OWN_KEYS) && defined(TEXEL)
		const float block_lse =
		    LD1(lse, (head * other_blocks + block) * B + gl_LocalInvocationID.x);
#ifdef DK
		const float block_delta =
		    LD1(delta, (head * other_blocks + block) * B + gl_LocalInvocationID.x);
#endif
#endif
		[[unroll]] for (uint l = 0; l < EACH; l++) {
			bool there[B]; /* the pairs that count */
			[[unroll]] for (uint j = 0; j < B; j++) {
				const uint o = block * B + j;
#ifdef OWN_KEYS
				there[j] = all(bvec2(o < other_rows, o >= bound[l]));
#else
				there[j] = o < bound[l];
#endif
				s[l][j] *= factor;
			}
#ifdef FORWARD
			float high = top[l];
			[[unroll]] for (uint j = 0; j < B; j++)
				high = max(high, mix(NOTHING, s[l][j], there[j]));
			const float shrink = exp2_p(top[l] - high);
			top[l] = high;
			weight[l] *= shrink;
			[[unroll]] for (uint j = 0; j < B; j++) {
				s[l][j] = mix(0.0, exp2_p(s[l][j] - high), there[j]);
				weight[l] += s[l][j];
			}
			[[unroll]] for (uint c = 0; c < SLICE; c++)
				total[l][c] *= shrink;
#else
			[[unroll]] for (uint j = 0; j < B; j++) {
#ifdef OWN_KEYS
				const float their_lse = OTHER(block_lse, lse, j);
#else
				const float their_lse = own_lse[l];
#endif
				s[l][j] = mix(0.0, exp2_p(s[l][j] - their_lse), there[j]);
#ifdef DQ
				s[l][j] *= ds[l][j] - own_delta[l];
#elif defined(DK)
				s[l][j] *= ds[l][j] - OTHER(block_delta, delta, j);
#endif
			}
#endif
		}
		[[unroll]] for (uint c = 0; c < SLICE; c += STAGE) {
			FETCH(value, other_base + (block * quads + slice + c) * B);
			[[unroll]] for (uint k = 0; k < STAGE; k++)
				[[unroll]] for (uint j = 0; j < B; j++) {
					const vec4 theirs = ROW(j, k);
					[[unroll]] for (uint l = 0; l < EACH; l++)
						total[l][c + k] += s[l][j] * theirs;
				}
		}
	}

	[[unroll]] for (uint l = 0; l < EACH; l++)
		if (row[l] < own_blocks * B) {
#ifdef FORWARD
			const float over = 1 / weight[l];
			if (slice == 0u)
				lse[head * own_blocks * B + row[l]] = top[l] + log2(weight[l]);
#elif defined(DV)
			const float over = 1;
#else
			const float over = scale;
#endif
			[[unroll]] for (uint c = 0; c < SLICE; c++)
				sum[own_at[l] + (slice + c) * B] = total[l][c] * over;
		}
}
