/* The values of fidscore.h as records, and as the tables of other programs. */
#ifndef METRIC_FIDREPORT_H
#define METRIC_FIDREPORT_H

#include "metric/fidscore.h"

/* {"kind": "result", "tool": .., "metric": .., "by": the field that groups, "label": the group,
 * "value": .., ..., "embedding_network": .., "embedding_preprocess": .., "embedding_weights": ..}:
 * a line for each value. What is not known is left out. */
void fidreport_records(struct sb *, const struct fid_list *, const struct fset *real,
    const struct fset *gen, const char *by);

/* metric,reference_ds,target_ds,split,value: fid_based_on_latents, precision and recall of those
 * there are. */
void fidreport_mep(struct sb *, const struct fid_list *, const struct fset *real,
    const struct fset *gen);

/* A line for each group: model_name,orig_data,synth_data,label,entropy_orig,entropy_synth,
 * accuracy_orig,accuracy_synth,fid. by: the group's number for each name, as rows have it. Entropy
 * is that of the shares of classes, accuracy the share of rows whose `pred_label` is their `label`;
 * empty where there is none. */
extern const char fidreport_nsw_header[];
void fidreport_nsw(struct sb *, const struct fid_list *, const struct fset *real,
    const struct fset *gen, const struct intern *groups, const char *model);

/* A data set's name from its path: the last part that says something ("a/pcam/image" is pcam).
 * Caller frees. */
char *fidreport_name(const char *path);

#endif
