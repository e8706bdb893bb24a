/* features NETWORK WEIGHTS [BATCH [RUNS]]: seconds of a batch through a network that makes
 * features. */
#include "base/err.h"
#include "base/mem.h"
#include "base/progress.h"
#include "gpu/gpu.h"
#include "model/embedder.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
	int batch = argc > 3 ? atoi(argv[3]) : 8, runs = argc > 4 ? atoi(argv[4]) : 3;
	struct embedder *e;
	float *in, *out;
	double start;
	size_t n;

	if (argc < 3 || batch < 1 || runs < 1)
		die("usage: features NETWORK WEIGHTS [BATCH [RUNS]]");
	gpu_open(NULL);
	if (embedder_open(&e, argv[1], argv[2], NULL, 0))
		die("%s", errmsg());
	n = (size_t)batch * embedder_input(e);
	in = xmalloc(n * sizeof(*in));
	out = xmalloc((size_t)(batch * embedder_dim(e)) * sizeof(*out));
	for (size_t i = 0; i < n; i++)
		in[i] = (float)(i % 97) / 97;
	embedder_run_prepared(e, in, batch, out, NULL);
	start = now_s();
	for (int i = 0; i < runs; i++)
		embedder_run_prepared(e, in, batch, out, NULL);
	printf("%s, %d images: %.3f s\n", argv[1], batch, (now_s() - start) / runs);
	embedder_close(e);
	gpu_close();
	free(in);
	free(out);
	return 0;
}
