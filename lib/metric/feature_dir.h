/* The images below a folder. */
#ifndef METRIC_FEATURE_DIR_H
#define METRIC_FEATURE_DIR_H

#include "base/mem.h"

/* Sorted by name, bytes compared. */
struct image_list {
	const char **name;   /* below the folder */
	const char **path;   /* as it can be opened */
	size_t n, cap;
	struct arena mem;
};

/* Files that end in .png, .jpg or .jpeg, upper case too, in folders of any depth but hidden ones;
 * links to folders are not followed. -1 with a message: a folder cannot be read. */
int image_list_read(struct image_list *, const char *dir);
void image_list_release(struct image_list *);

#endif
