/*
 * Reads from a kernel's SPIR-V what its host side must agree with: bindings and what each does with
 * its memory, the size of the push constants, the specialization constants. So no layout is
 * declared twice. (SPIR-V 1.5 specification, section 3; all ids are bounded by the header.)
 */
#include "base/err.h"
#include "base/mem.h"
#include "gpu/internal.h"

#include <stdlib.h>
#include <string.h>

enum {
	OP_CAPABILITY = 17, OP_TYPE_INT = 21, OP_TYPE_FLOAT = 22, OP_TYPE_VECTOR = 23,
	OP_TYPE_MATRIX = 24, OP_TYPE_IMAGE = 25, OP_TYPE_ARRAY = 28, OP_TYPE_STRUCT = 30,
	OP_TYPE_POINTER = 32,
	OP_CONSTANT = 43, OP_VARIABLE = 59, OP_DECORATE = 71, OP_MEMBER_DECORATE = 72,
	DEC_SPEC_ID = 1, DEC_ARRAY_STRIDE = 6, DEC_NON_WRITABLE = 24, DEC_NON_READABLE = 25,
	DEC_BINDING = 33, DEC_OFFSET = 35,
	CAPABILITY_COOPERATIVE_MATRIX = 6022,
	CLASS_UNIFORM_CONSTANT = 0, CLASS_UNIFORM = 2, CLASS_PUSH = 9, CLASS_STORAGE = 12,
	SPIRV_MAGIC = 0x07230203
};

struct id {
	uint32_t op, a, b, c;      /* operands that matter: element type, count, width */
	uint32_t stride, value;
	uint32_t last_offset;      /* of a struct: the member that lies furthest on */
	uint32_t last_type;
	uint32_t members, nonwritable, nonreadable; /* members so decorated */
	int binding;
	bool var_nonwritable, var_nonreadable;
};

static uint32_t
type_size(const struct id *id, uint32_t n, uint32_t t, int depth)
{
	if (t >= n || depth > 8)
		return 0;
	switch (id[t].op) {
	case OP_TYPE_INT:
	case OP_TYPE_FLOAT:
		return id[t].a / 8;
	case OP_TYPE_VECTOR:
	case OP_TYPE_MATRIX:
		return id[t].b * type_size(id, n, id[t].a, depth + 1);
	case OP_TYPE_ARRAY:
		return id[t].b < n ? id[t].stride * id[id[t].b].value : 0;
	case OP_TYPE_STRUCT:
		return id[t].last_offset + type_size(id, n, id[t].last_type, depth + 1);
	default:
		return 0;
	}
}

/* SPIR-V image formats (section 3.11) that kernels use */
static VkFormat
texel_format(uint32_t spirv)
{
	switch (spirv) {
	case 1:
		return VK_FORMAT_R32G32B32A32_SFLOAT;
	case 2:
		return VK_FORMAT_R16G16B16A16_SFLOAT;
	case 3:
		return VK_FORMAT_R32_SFLOAT;
	case 30:
		return VK_FORMAT_R32G32B32A32_UINT;
	case 33:
		return VK_FORMAT_R32_UINT;
	case 35:
		return VK_FORMAT_R32G32_UINT;
	case 21:
		return VK_FORMAT_R32G32B32A32_SINT;
	case 24:
		return VK_FORMAT_R32_SINT;
	default:
		return VK_FORMAT_UNDEFINED;
	}
}

static int
variable(const struct id *id, uint32_t n, const struct id *var, struct reflection *r)
{
	const struct id *ptr = var->a < n ? &id[var->a] : NULL, *type;
	struct binding *b;

	if (!ptr || ptr->op != OP_TYPE_POINTER || ptr->b >= n)
		return err("variable without a type");
	type = &id[ptr->b];
	if (var->b == CLASS_PUSH) {
		r->push = (type_size(id, n, ptr->b, 0) + 3) & ~3u;
		return 0;
	}
	if (var->b != CLASS_STORAGE && var->b != CLASS_UNIFORM_CONSTANT)
		return var->b == CLASS_UNIFORM ? err("uniform blocks are not used here") : 0;
	if (var->binding < 0 || var->binding >= GPU_MAXARG)
		return err("binding %d is not in 0 to %d", var->binding, GPU_MAXARG - 1);
	b = &r->binding[var->binding];
	if (var->binding >= r->nbinding)
		r->nbinding = var->binding + 1;
	b->writes = !var->var_nonwritable;
	b->reads = !var->var_nonreadable;
	if (type->op == OP_TYPE_STRUCT) {
		b->type = BIND_STORAGE;
		b->writes &= type->nonwritable < type->members;
		b->reads &= type->nonreadable < type->members;
		return 0;
	}
	if (type->op != OP_TYPE_IMAGE || type->a != 5)
		return err("binding %d is neither a buffer nor a texel buffer", var->binding);
	b->type = type->b == 2 ? BIND_TEXEL : BIND_UNIFORM_TEXEL;
	b->format = type->b == 2 ? texel_format(type->c) : VK_FORMAT_R32G32B32A32_SFLOAT;
	if (b->type == BIND_UNIFORM_TEXEL)
		b->writes = false;
	return b->format == VK_FORMAT_UNDEFINED ? err("binding %d: texel format %u", var->binding,
	    type->c)
	                                        : 0;
}

int
reflect(const uint32_t *code, size_t words, struct reflection *r)
{
	uint32_t n = words >= 5 ? code[3] : 0;
	struct id *id;
	int ret = 0;

	*r = (struct reflection){ 0 };
	if (words < 5 || code[0] != SPIRV_MAGIC || n > 1u << 20)
		return err("no SPIR-V module");
	id = xcalloc(n, sizeof(*id));
	for (uint32_t i = 0; i < n; i++)
		id[i].binding = -1;
	for (size_t i = 5; i < words && ret == 0;) {
		const uint32_t *w = code + i;
		uint32_t op = w[0] & 0xffff, len = w[0] >> 16;

		if (!len || len > words - i) {
			ret = err("instruction of %u words at word %zu", len, i);
			break;
		}
		i += len;
		if (op == OP_CAPABILITY) {
			r->coopmat |= len == 2 && w[1] == CAPABILITY_COOPERATIVE_MATRIX;
			continue;
		}
		if (len < 2 || (op != OP_CONSTANT && op != OP_VARIABLE && w[1] >= n) ||
		    ((op == OP_CONSTANT || op == OP_VARIABLE) && (len < 4 || w[2] >= n)))
			continue;
		switch (op) {
		case OP_TYPE_INT:
		case OP_TYPE_FLOAT:
			id[w[1]] = (struct id){ .op = op, .a = w[2], .binding = -1 };
			break;
		case OP_TYPE_VECTOR:
		case OP_TYPE_MATRIX:
		case OP_TYPE_ARRAY:
		case OP_TYPE_POINTER:
			/* array: element type, length; pointer: class, then type */
			id[w[1]].op = op;
			id[w[1]].a = w[2];
			id[w[1]].b = w[3];
			break;
		case OP_TYPE_IMAGE:
			if (len >= 9) {
				id[w[1]].op = op;
				id[w[1]].a = w[3]; /* dimensionality */
				id[w[1]].b = w[7]; /* 2: storage */
				id[w[1]].c = w[8]; /* format */
			}
			break;
		case OP_TYPE_STRUCT:
			id[w[1]].op = op;
			id[w[1]].members = len - 2;
			if (len > 2 && id[w[1]].c < len - 2)
				id[w[1]].last_type = w[2 + id[w[1]].c];
			break;
		case OP_CONSTANT:
			id[w[2]].op = op;
			id[w[2]].value = w[3];
			break;
		case OP_VARIABLE:
			id[w[2]].op = op;
			id[w[2]].a = w[1];
			id[w[2]].b = w[3];
			break;
		case OP_DECORATE:
			if (len < 3)
				break;
			if (w[2] == DEC_BINDING && len > 3)
				id[w[1]].binding = w[3] < 1024 ? (int)w[3] : 1024;
			else if (w[2] == DEC_ARRAY_STRIDE && len > 3)
				id[w[1]].stride = w[3];
			else if (w[2] == DEC_NON_WRITABLE)
				id[w[1]].var_nonwritable = true;
			else if (w[2] == DEC_NON_READABLE)
				id[w[1]].var_nonreadable = true;
			else if (w[2] == DEC_SPEC_ID && len > 3 && w[3] < GPU_MAXSPEC &&
			    (int)w[3] >= r->nspec)
				r->nspec = (int)w[3] + 1;
			break;
		case OP_MEMBER_DECORATE:
			if (len < 4)
				break;
			if (w[3] == DEC_OFFSET && len > 4 && w[4] >= id[w[1]].last_offset) {
				id[w[1]].last_offset = w[4];
				id[w[1]].c = w[2];
			} else if (w[3] == DEC_NON_WRITABLE) {
				id[w[1]].nonwritable++;
			} else if (w[3] == DEC_NON_READABLE) {
				id[w[1]].nonreadable++;
			}
			break;
		}
	}
	for (uint32_t i = 0; i < n && ret == 0; i++)
		if (id[i].op == OP_VARIABLE)
			ret = variable(id, n, &id[i], r);
	free(id);
	return ret;
}
