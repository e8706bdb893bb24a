/* What the pooling kernels share. h, w: of the input; height, width: of the output. */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const int K = 2;
layout(constant_id = 2) const int STRIDE = 2;
/* windows that a value may lie in, along an axis */
const int REACH = (K + STRIDE - 1) / STRIDE;
#include "value.glsl"
#include "fastdiv.glsl"
layout(push_constant) uniform P { fastdiv cols; uint across; int h, w, height, width, pad,
    count_pad; };
#include "pixels.glsl"
