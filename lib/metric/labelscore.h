/* Predicted labels and scores of records against the truth. */
#ifndef METRIC_LABELSCORE_H
#define METRIC_LABELSCORE_H

#include "base/intern.h"
#include "data/rec.h"

/* Which fields are read. */
struct label_how {
	const char *truth;     /* label */
	const char *pred;      /* predicted label; NULL: the class of the highest score */
	const char *scores;    /* NULL: none. A number: of the second class of two. An array: of all
	                        * classes. Else the beginning of the names of number fields: p_ for
	                        * p_0, p_1 ... or p_CLASS. */
};

struct label_scores {
	struct intern classes;  /* given ones first; then as they come, unless closed */
	bool closed;            /* labels that are no class are errors */
	int nscores;            /* scores of each record: 0, 1 or as many as there are classes */
	struct label_item {
		size_t file;
		uint64_t line;
		int truth, pred; /* pred -1: by scores */
		double *score;   /* [nscores] in the arena */
	} *v;
	size_t n, cap;
	struct arena mem;
};

/* Adds a record. -1 with a message: a field is absent or of another kind than in the records
 * before, or a label that is no class. */
int label_scores_add(struct label_scores *, struct rec *, const struct label_how *, size_t file);
/* When all are there: orders them as the input was, sorts the classes by name (numbers by value) if
 * none were given, and finds the predictions that come from scores
 * (a single one: the second class from threshold on). -1 with a message if the scores do
 * not fit the classes. */
int label_scores_finish(struct label_scores *, bool given, double threshold);
void label_scores_release(struct label_scores *);

#endif
