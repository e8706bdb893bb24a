//! optim_sgd_v: -DSGD
//! optim_sgd_t: -DSGD -DTEXEL
//! optim_adam_v: -DADAM
//! optim_adam_t: -DADAM -DTEXEL
//! ema_v: -DEMA
//! ema_t: -DEMA -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
/*
 * One step over a range of parameters p with gradients g, times *factor (clipping, loss scale).
 * SGD:  g += decay p;  m = beta1 m + g;  p -= lr (NESTEROV: g + beta1 m, else m)
 * ADAM: DECOUPLED: p -= lr decay p, else g += decay p;
 *       m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;  p -= rate m / (sqrt(v) / root + eps)
 *       with rate = lr / (1 - beta1^t), root = sqrt(1 - beta2^t)
 * EMA:  m += (1 - beta1) (p - m)
 */
#include "flat.glsl"
layout(constant_id = 0) const uint FLAG = 0u; // NESTEROV, DECOUPLED
#ifdef TEXEL
#define IN(b, name) layout(binding = b, rgba32f) uniform readonly imageBuffer name
#define LD(name, i) imageLoad(name, int(i))
#else
#define IN(b, name) layout(binding = b) readonly buffer B##b { vec4 name[]; }
#define LD(name, i) name[i]
#endif
#define OUT(b, name) layout(binding = b) writeonly buffer B##b { vec4 name[]; }

IN(0, p);
IN(1, m);
OUT(2, new_m);
#ifndef EMA
IN(3, g);
layout(binding = 4) readonly buffer B4 { float factor; };
OUT(5, new_p);
#endif
#ifdef ADAM
IN(6, v);
OUT(7, new_v);
#endif
layout(push_constant) uniform P { uint n; float lr, decay, beta1, beta2, rate, root, eps; };

void
main()
{
#ifndef EMA
	const float scale = factor;
#endif

	FLAT(i, n) {
		vec4 w = LD(p, i), a = LD(m, i);
#ifdef EMA
		a += (1 - beta1) * (w - a);
#else
		vec4 d = scale * LD(g, i);
#ifdef SGD
		d += decay * w;
		a = beta1 * a + d;
		new_p[i] = w - lr * (FLAG != 0u ? d + beta1 * a : a);
#else
		if (FLAG != 0u)
			w -= lr * decay * w;
		else
			d += decay * w;
		a += (1 - beta1) * (d - a);
		const vec4 b = beta2 * LD(v, i) + (1 - beta2) * d * d;
		new_v[i] = b;
		new_p[i] = w - rate * a / (sqrt(b) / root + eps);
#endif
#endif
		new_m[i] = a;
	}
}
