//! optim_sgd_v: -DSGD
//! optim_sgd_t: -DSGD -DTEXEL
//! optim_adam_v: -DADAM
//! optim_adam_t: -DADAM -DTEXEL
//! ema_v: -DEMA
//! ema_t: -DEMA -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
/*
 * One step over a range of parameters p with gradients g, times *factor (clipping, loss scale).
 * SGD:  g += decay p;  m = beta1 m + g;  p -= lr (NESTEROV: g + beta1 m, else m)
 * ADAM: DECOUPLED: p -= lr decay p, else g += decay p;
 *       m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;  p -= rate m / (sqrt(v) / root +
 *       eps)
 *       with rate = lr / (1 - beta1^t), root = sqrt(1 - beta2^t)
 * EMA:  m += (1 - beta1) (p - m)
 */
#include "flat.glsl"
#include "dtype.glsl"
layout(constant_id = 0) const uint FLAG = 0u; // NESTEROV, DECOUPLED
IN4F(0, p);
IN4F(1, m);
OUT4(2, new_m);
#ifndef EMA
IN4F(3, g);
layout(binding = 4) readonly buffer B4 { float factor; };
OUT4(5, new_p);
#endif
#ifdef ADAM
IN4F(6, v);
OUT4(7, new_v);
#endif
layout(push_constant) uniform P { uint n; float lr, decay, beta1, beta2, rate, root, eps; };

void
main()
{
#ifndef EMA
	const float scale = factor;
#endif

	FLAT(i, n) {
		vec4 w = LD4F(p, i), a = LD4F(m, i);
#ifdef EMA
		a += (1 - beta1) * (w - a);
#else
		vec4 d = scale * LD4F(g, i);
#ifdef SGD
		d += decay * w;
		a = beta1 * a + d;
		ST4(new_p, i, w - lr * (FLAG != 0u ? d + beta1 * a : a));
#else
		if (FLAG != 0u)
			w -= lr * decay * w;
		else
			d += decay * w;
		a += (1 - beta1) * (d - a);
		const vec4 b = beta2 * LD4F(v, i) + (1 - beta2) * d * d;
		ST4(new_v, i, b);
		ST4(new_p, i, w - rate * a / (sqrt(b) / root + eps));
#endif
#endif
		ST4(new_m, i, a);
	}
}
