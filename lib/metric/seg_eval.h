/* A segmentation model judged on a split: mean loss, and counts for the scores of seg.h. */
#ifndef METRIC_SEG_EVAL_H
#define METRIC_SEG_EVAL_H

#include "metric/seg.h"
#include "model/seg_loss.h"
#include "model/seg_model.h"
#include "nn/loader.h"

/* Counts the n samples of a batch whose probabilities [N,H,W,C] stand on the device (waits). Nets
 * of softmax are judged by the likeliest class; others by the threshold, each class on its own,
 * soft masks counting where they are 1. Pixels of no class are left out (soft masks: negatives of
 * all). */
void seg_count(const struct seg_model *, const struct seg_view *, struct tensor *prob, size_t n,
    const void *samples, struct seg_stats *);

/* Runs the split of `view` through the net in evaluation mode. stats gets its images; *loss is the
 * mean over batches weighted by their images. 0; 1 when stop() (may be NULL) said so; -1 with a
 * message. weight: class weights for the loss, or NULL. */
int seg_evaluate(const struct seg_model *, struct seg_view *, struct loader *,
    const struct seg_loss *, struct tensor *weight, int (*stop)(void), struct seg_stats *,
    double *loss);

/* The fields that records carry: iou, f1, accuracy, recall (micro), the same with _macro,
 * recall_imagewise, and the arrays class, class_iou, class_f1, class_accuracy, class_recall when
 * there are several classes. Each with a comma before it. 0/0 counts as 1. */
void seg_put_scores(const struct seg_model *, const struct seg_stats *, struct sb *);

#endif
