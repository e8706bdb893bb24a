#include "data/pack.h"

#include "base/err.h"

int
pack_all(const struct pack_opts *o, const struct rec_opts *ro, const char *const *files, size_t nfiles)
{
	(void)ro;
	(void)files;
	die("%s: cannot be made yet (%zu inputs)", o->out, nfiles);
}
