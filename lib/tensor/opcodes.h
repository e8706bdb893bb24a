/* Numbers of the elementwise operations: this file is read by C and by the shaders. */
#ifndef TENSOR_OPCODES_H
#define TENSOR_OPCODES_H

/* binary.comp: z = f(x, y). In the gradients x is the incoming one; y is f's input or, where the
 * comment says so, its output. */
#define B_ADD 0
#define B_SUB 1
#define B_MUL 2
#define B_DIV 3
#define B_MAX 4
#define B_MIN 5
#define B_GREATER 6
#define B_GREATER_EQUAL 7
#define B_BCE 8            /* softplus(x) - x y */
#define B_FIRST 9          /* x */
#define B_RELU_G 16
#define B_LRELU_G 17       /* a: slope */
#define B_ABS_G 18
#define B_CLAMP_G 19       /* a, b: limits */
#define B_SIGMOID_G 20     /* y: output */
#define B_TANH_G 21        /* y: output */
#define B_SOFTPLUS_G 22
#define B_SILU_G 23
#define B_GELU_G 24
#define B_QUICK_GELU_G 25
#define B_SQUARE_G 26
#define B_SQRT_G 27        /* y: output */
#define B_RSQRT_G 28       /* y: output */
#define B_SIN_G 29
#define B_COS_G 30
#define B_POW_G 31         /* a: exponent */

/* unary.comp: y = f(x; a, b) */
#define U_AFFINE 0         /* a x + b */
#define U_POW 1            /* x^a */
#define U_SQUARE 2
#define U_SQRT 3
#define U_RSQRT 4
#define U_EXP 5
#define U_LOG 6
#define U_ABS 7
#define U_SIN 8
#define U_COS 9
#define U_TANH 10
#define U_SIGMOID 11
#define U_SOFTPLUS 12
#define U_RELU 13
#define U_LRELU 14         /* a: slope */
#define U_SILU 15
#define U_GELU 16
#define U_QUICK_GELU 17
#define U_CLAMP 18         /* a, b: limits */
#define U_GREATER 19       /* x > a */
#define U_EQUAL 20         /* x == a */
#define U_CDF 21           /* of the standard normal distribution */

/* How an input of binary.comp is read. */
#define READ_FLAT 0        /* group i */
#define READ_GROUP 1       /* group at a place given by strides, in groups of four */
#define READ_SPLAT 2       /* one value for all four, strides in values */
#define READ_EACH 3        /* four values each at a place of its own, strides in values */

#endif
