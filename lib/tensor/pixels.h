/* How kernels of shaders/pixels.glsl are launched; for the files of lib/tensor only. */
#ifndef TENSOR_PIXELS_H
#define TENSOR_PIXELS_H

#include "tensor/columns.h"

/* Begins the push constants: the output's columns, and values of a row. */
struct pixel_push {
	struct fastdiv cols;
	uint32_t across;
};
/* Ends the program unless x is [N,H,W,C] of floats. */
void want_image(const char *op, const struct tensor *x);
/* Cuts the output y up. The call lacks kernel, arguments and push constants yet. */
struct gpu_call pixel_call(const char *op, const struct tensor *y, struct pixel_push *);

#endif
