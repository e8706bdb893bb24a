/* What is written about the labels and scores of a whole stream. */
#ifndef METRIC_LABELREPORT_H
#define METRIC_LABELREPORT_H

#include "metric/labelscore.h"

#define LABEL_METRICS "accuracy,balanced_accuracy,kappa,precision,recall,f1,roc_auc,pr_auc," \
	"average_precision"
#define LABEL_AVERAGES "none,macro,weighted"

struct label_report {
	const char *metrics, *averages; /* lists with commas of the names above; NULL: all */
	double zero_division;           /* what 0/0 counts as in precision, recall and F1 */
	const char *confusion;          /* CSV file for the confusion matrix, or NULL */
	const char *nsw;                /* folder for the phase classifier's four tables, or NULL */
};

/* Whether a list with commas holds a name; NULL holds all. */
bool label_listed(const char *list, const char *name);
/* Result records are put on sb. The scores must be finished. 0, or -1 with a message: a file cannot
 * be written. */
int label_report(const struct label_scores *, const struct label_report *, struct sb *);

#endif
