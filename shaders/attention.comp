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
 *	FORWARD  o  = sum_j p_j v_j / sum_j p_j     p = exp(s - max), running
 *	         (Milakov and Gimelshein, Online normalizer calculation for softmax, 2018)
 *	DV       dv = sum_i p_i do_i                p = exp(s - lse)
 *	DQ       dq = scale sum_j ds_j k_j          ds = p (do . v - delta), delta = do . o
 *	DK       dk = scale sum_i ds_i q_i          (Dao et al., FlashAttention, 2022)
 *
 * Exponents are of base 2: `factor` is scale log2(e), lse likewise. All operands are packed by
 * attention_pack.comp. The other side's values reach all invocations by shuffles of constant lanes
 * on software devices (TEXEL, local size B), and through shared memory elsewhere.
 */
layout(local_size_x_id = 0) in;
#include "attention.glsl"

const float NOTHING = -1e30;

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
