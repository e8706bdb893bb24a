/* A folder for a test's files: made by main, removed by the group's teardown. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include "base/err.h"
#include "base/file.h"

#include <fcntl.h>
#include <stdlib.h>

static char scratch[] = "/tmp/phantom-unit.XXXXXX";

static inline void
scratch_make(void)
{
	if (!mkdtemp(scratch))
		die("%s:", scratch);
}

static int
scratch_remove(void **state)
{
	(void)state;
	return tree_remove(AT_FDCWD, scratch);
}

#endif
