/* What a record asks for, where it says so, and what the run's settings say otherwise. */
#ifndef MODEL_GEN_ASK_H
#define MODEL_GEN_ASK_H

#include "model/gen_queue.h"

struct gen_defaults {
	int64_t steps, images;
	int64_t width, height;   /* 0: the initial image's, or the model's */
	double guidance, rescale, strength;
	enum sampler_kind sampler;
	const char *negative;    /* or NULL */
	const char *label_field; /* names the class, for models of classes */
	uint64_t seed;
};

/* The job of image 0, whose strings live as long as the record (image k is the same with seed + k),
 * and how many images there are. Fields: text, negative_text, init_image, num_images, steps, width,
 * height, guidance_scale, strength, seed. Sets it->init if the record names an image. -1 with a
 * message: a value is out of bounds, or the model cannot do it. */
int gen_ask(struct gen_item *, const struct gen_defaults *, const struct sd_sample *,
    struct sd_job *, int64_t *n);

#endif
