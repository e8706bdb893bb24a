/* How kernels of shaders/columns.glsl are launched; for the files of lib/tensor only. */
#ifndef TENSOR_COLUMNS_H
#define TENSOR_COLUMNS_H

#include "tensor/op.h"

/* Which build of a kernel: four values at a time through buffers or texel buffers, or one by
 * one. */
enum access { ACCESS_V, ACCESS_T, ACCESS_S };
enum access access_of(int64_t channels);
/* The kernels NAME_{f32,f16,bf16}_{v,t,s}, to be indexed [dtype][access]. */
#define KERNELS_BY_ACCESS(NAME) { \
	{ K_##NAME##_F32_V, K_##NAME##_F32_T, K_##NAME##_F32_S }, \
	{ K_##NAME##_F16_V, K_##NAME##_F16_T, K_##NAME##_F16_S }, \
	{ K_##NAME##_BF16_V, K_##NAME##_BF16_T, K_##NAME##_BF16_S } }

/* An image [n, rows, channels] cut up for one column an invocation. */
struct columns {
	struct {
		struct fastdiv cols; /* channels, or groups of four */
		uint32_t rows, fold, steps;
	} push;                      /* begins the push constants */
	enum access access;
	uint32_t local, wide;        /* spec[0], spec[1] */
	uint32_t groups[3];
	uint32_t parts;              /* chunks * fold: partial results a column */
};
/* steps: rows an invocation is to take, unless the device would be idle then. */
struct columns columns_cut(const char *op, int64_t n, int64_t rows, int64_t channels,
    uint32_t steps);

/* Invocations of a workgroup of kernels that use group_sum.glsl. */
uint32_t group_sum_local(void);
bool group_sum_texel(void); /* the _t build is to be used */

#endif
