/* What is in a model, as records: `component` for each part, with its configuration, and `tensor`
 * for each of its tensors. */
#ifndef MODEL_SD_INFO_H
#define MODEL_SD_INFO_H

#include "data/rec.h"
#include "model/sd_files.h"

void sd_info(const struct sd_files *, struct rec_out *);

#endif
