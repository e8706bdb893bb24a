/*
 * Scopes are marks in one list of tensors: closing one drops the handles above its mark. A tensor
 * knows its place in the list, so that it can be taken out at once.
 */
#include "base/err.h"
#include "base/mem.h"
#include "tensor/op.h"

enum { HELD = -1, LOOSE = -2, MOVING = -3 };

static struct tensor **list;
static size_t nlist, caplist;
static size_t *marks;
static size_t nmarks, capmarks;

void
scope_add(struct tensor *t)
{
	t->slot = LOOSE;
	if (!nmarks)
		return;
	list = xgrow(list, &caplist, nlist + 1, sizeof(*list));
	t->slot = (int64_t)nlist;
	list[nlist++] = t;
}

void
scope_open(void)
{
	marks = xgrow(marks, &capmarks, nmarks + 1, sizeof(*marks));
	marks[nmarks++] = nlist;
}

void
scope_close(void)
{
	size_t mark;

	if (!nmarks)
		die("scope_close: no scope is open");
	mark = marks[--nmarks];
	while (nlist > mark) {
		struct tensor *t = list[--nlist];

		if (!t)
			continue;
		t->slot = HELD;
		tensor_unref(t);
	}
}

void
scope_keep_all(struct tensor **t, int n)
{
	if (!nmarks)
		die("scope_keep: no scope is open");
	for (int i = 0; i < n; i++) {
		if (!t[i] || t[i]->slot < (int64_t)marks[nmarks - 1])
			continue;
		list[t[i]->slot] = NULL;
		t[i]->slot = MOVING;
	}
	scope_close();
	for (int i = 0; i < n; i++)
		if (t[i] && t[i]->slot == MOVING)
			scope_add(t[i]);
}

struct tensor *
scope_keep(struct tensor *t)
{
	scope_keep_all(&t, 1);
	return t;
}

struct tensor *
tensor_hold(struct tensor *t)
{
	if (t->slot >= 0)
		list[t->slot] = NULL;
	else if (t->slot == HELD)
		t->refs++;
	t->slot = HELD;
	return t;
}

struct tensor *
tensor_drop(struct tensor *t)
{
	tensor_unref(t);
	return NULL;
}
