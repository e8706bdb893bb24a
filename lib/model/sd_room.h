/*
 * How much memory of the device generating takes: the networks are gone through with nothing but
 * counting (gpu_count), so that what is told is what it will be, whatever ops keep and copy.
 */
#ifndef MODEL_SD_ROOM_H
#define MODEL_SD_ROOM_H

#include "model/pipeline.h"

/* Bytes that are in use at most while b latents of h x w go through the U-Net (guidance: two for
 * each image); weights of all that is loaded, and the copies of them that ops keep, are counted. */
uint64_t sd_room_unet(const struct pipeline *, int64_t b, int64_t h, int64_t w);
/* The same while one image of h x w latents is decoded, in tiles (0: whole). */
uint64_t sd_room_decode(const struct pipeline *, int64_t h, int64_t w, int tile);

#endif
