/*
 * How near generated images are to real ones, by their features.
 *
 *	struct fid_list out = { 0 };
 *	if (fid_check(&real, &gen, &how)) die("%s", errmsg());
 *	fid_scores(&real, &gen, &how, NULL, &out);
 *	fid_list_release(&out);
 */
#ifndef METRIC_FIDSCORE_H
#define METRIC_FIDSCORE_H

#include "metric/features.h"
#include "metric/neighbours.h"

/* The Fréchet distance; its limit for many generated images (Chong and Forsyth, Effectively
 * unbiased FID and Inception Score, 2020: a line through the distances of 15 sizes of sample over
 * 1/size, at 0); and so on. */
enum fid_metric { FID_DISTANCE, FID_INFINITY, FID_KID, FID_IS, FID_PRECISION, FID_RECALL,
    FID_DENSITY,
	FID_COVERAGE, FID_AUTHPCT, FID_CMMD, FID_METRICS };
#define FID_NAMES \
	"fid,fid_infinity,kid,inception_score,precision,recall,density,coverage,authpct,cmmd"
extern const char *const fid_metric_name[FID_METRICS];
/* -1 with a message: no such metric. "is" and "fd" are understood. */
int fid_metric_find(const char *name);
/* Can it be had from means and covariances alone? */
bool fid_metric_of_moments(enum fid_metric);

struct fid_how {
	bool want[FID_METRICS];
	int64_t k;             /* neighbours of precision, recall, density, coverage */
	bool inclusive;        /* as far as the radius counts as within */
	int64_t kid_subsets, kid_size, splits;
	int64_t bootstrap;     /* resamplings for 95 % intervals; 0: none */
	int ddof;              /* of covariances */
	uint64_t seed;
};

/* NAN: there is none. */
struct fid_value {
	enum fid_metric metric;
	const char *group;     /* NULL: all */
	double value, std, se; /* deviation and standard error of subsets or splits */
	double low, high;      /* 95 % of the resamplings lie between */
	int64_t n, n_real, parts, size, k; /* parts: subsets, splits; 0: of no meaning here */
	bool singular;         /* of a covariance of no more images than features */
};

struct fid_list {
	struct fid_value *v;
	size_t n, cap;
};
void fid_list_release(struct fid_list *);

/* Is there enough for metric m? -1 with a message. */
int fid_check(const struct fset *real, const struct fset *gen, const struct fid_how *,
    enum fid_metric m);
/* Appends the values that are wanted, a NAN and a warning for what cannot be had. Returns how many
 * could not. */
int fid_scores(const struct fset *real, const struct fset *gen, const struct fid_how *,
    const char *group, struct fid_list *);

/* The nearest real image of each generated one, and whether it is further from it than that one's
 * own nearest neighbour among the real ones is (Alaa et al., How faithful is your synthetic data?,
 * 2022). near: [gen n]; authentic: [gen n] or NULL. */
void fid_nearest(const struct fset *real, const struct fset *gen, struct neighbour *near,
    bool *authentic);

/* The rows of one group; only x, p, d, n, c. To be released. */
void fset_pick_group(const struct fset *from, int group, struct fset *to);

#endif
