/* kmeans DATA.npy FIRST.npy: seconds of k-means from given means until it stands still. */
#include "base/err.h"
#include "base/progress.h"
#include "data/npy.h"
#include "gpu/gpu.h"
#include "metric/kmeans.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
	struct st_tensor x, first;
	struct kmeans m;
	double start;

	if (argc != 3)
		die("usage: kmeans DATA.npy FIRST.npy");
	if (npy_read(&x, argv[1]) || npy_read(&first, argv[2]))
		die("%s", errmsg());
	if (x.dtype != ST_F32 || first.dtype != ST_F32 || x.ndim != 2 || first.ndim != 2 ||
	    x.dim[1] != first.dim[1])
		die("want rows of 32-bit floats, as many in both files");
	gpu_open(NULL);
	start = now_s();
	if (kmeans_fit(&m, x.data, x.dim[0], x.dim[1],
	    &(struct kmeans_opts){ .k = first.dim[0], .iterations = 300, .first = first.data }))
		die("%s", errmsg());
	printf("%.2f s, %lld iterations, inertia %.9g\n", now_s() - start, (long long)m.iterations,
	    m.inertia);
	kmeans_release(&m);
	gpu_close();
	free((void *)x.data);
	free((void *)first.data);
	return 0;
}
