#include "metric/confusion.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/csv.h"
#include "data/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void
confusion_init(struct confusion *m, int classes)
{
	m->c = classes;
	m->n = xcalloc((size_t)classes * (size_t)classes, sizeof(*m->n));
}

void
confusion_release(struct confusion *m)
{
	free(m->n);
	m->n = NULL;
}

void
confusion_add(struct confusion *m, int truth, int pred)
{
	if (truth < 0 || truth >= m->c || pred < 0 || pred >= m->c)
		die("confusion_add: (%d, %d) of %d classes", truth, pred, m->c);
	m->n[truth * m->c + pred]++;
}

static int64_t
row_sum(const struct confusion *m, int t)
{
	int64_t sum = 0;

	for (int p = 0; p < m->c; p++)
		sum += m->n[t * m->c + p];
	return sum;
}

double
confusion_share(const struct confusion *m, int truth, int pred)
{
	int64_t sum = row_sum(m, truth);

	return sum ? (double)m->n[truth * m->c + pred] / (double)sum : 0;
}

struct confusion_scores
confusion_scores(const struct confusion *m, int k, int normalised)
{
	struct confusion_scores s = { .support = row_sum(m, k) };
	double tp = 0, fp = 0, fn = 0;

	for (int i = 0; i < m->c; i++) {
		double col = normalised ? confusion_share(m, i, k) : (double)m->n[i * m->c + k];
		double row = normalised ? confusion_share(m, k, i) : (double)m->n[k * m->c + i];

		if (i == k) {
			tp = col;
		} else {
			fp += col;
			fn += row;
		}
	}
	s.precision = tp / (tp + fp);
	s.recall = tp / (tp + fn);
	s.f1 = tp / (tp + fp / 2 + fn / 2);
	return s;
}

static int64_t
trace(const struct confusion *m)
{
	int64_t sum = 0;

	for (int k = 0; k < m->c; k++)
		sum += m->n[k * m->c + k];
	return sum;
}

static int64_t
total(const struct confusion *m)
{
	int64_t sum = 0;

	for (int t = 0; t < m->c; t++)
		sum += row_sum(m, t);
	return sum;
}

double
confusion_accuracy(const struct confusion *m)
{
	return (double)trace(m) / (double)total(m);
}

double
confusion_balanced_accuracy(const struct confusion *m)
{
	double sum = 0;
	int classes = 0;

	for (int k = 0; k < m->c; k++) {
		if (row_sum(m, k)) {
			sum += confusion_share(m, k, k);
			classes++;
		}
	}
	return classes ? sum / classes : NAN;
}

double
confusion_kappa(const struct confusion *m)
{
	double n = (double)total(m), observed = (double)trace(m) / n, expected = 0;

	for (int k = 0; k < m->c; k++) {
		int64_t col = 0;

		for (int t = 0; t < m->c; t++)
			col += m->n[t * m->c + k];
		expected += (double)row_sum(m, k) / n * ((double)col / n);
	}
	return (observed - expected) / (1 - expected);
}

int
confusion_csv(const struct confusion *m, const char *const *name, bool shares, const char *path)
{
	struct sb sb = { 0 };
	int rc;

	for (int k = 0; k < m->c; k++) {
		sb_puts(&sb, k ? "," : "");
		csv_put(&sb, name[k], strlen(name[k]), ',');
	}
	sb_putc(&sb, '\n');
	for (int i = 0; i < m->c * m->c; i++) {
		if (shares)
			json_put_num(&sb, confusion_share(m, i / m->c, i % m->c));
		else
			json_put_int(&sb, m->n[i]);
		sb_putc(&sb, i % m->c == m->c - 1 ? '\n' : ',');
	}
	rc = file_write(path, sb.s, sb.len);
	sb_release(&sb);
	return rc;
}
