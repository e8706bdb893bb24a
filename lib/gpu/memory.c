/*
 * Buffers. Each is a VkBuffer of one of a few sizes (four to a doubling), kept in the pool of its
 * size when released, so that the second step of a training run allocates nothing. Small ones are
 * cut from shared chunks of device memory, large ones have a chunk each. Ordering state stays with
 * the buffer while it is in the pool: whatever takes it next waits for what used it last.
 */
#include "base/err.h"
#include "base/mem.h"
#include "gpu/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 64 * 4, CHUNK = 4 << 20, SMALL = 1 << 20, MIN_BYTES = 256, PAGE = 4 << 10,
	LITTLE = 16 << 20 };

static const char *const kind_names[MEM_KINDS] = { "parameters", "gradients", "optimizer",
	"activations", "workspace", "packed weights", "data" };

static struct gbuf *pool[CLASSES];
static struct chunk *chunks;
static struct gpu_mem_stat stat, stat_before; /* before: gpu_count */
bool gpu_counting;
static bool thrift;
static uint64_t held; /* bytes of device memory allocated */

/* The class of a size and the bytes it stands for: 2^e * (4 + sub) / 4. */
static unsigned
size_class(size_t bytes, size_t *rounded)
{
	unsigned e = 8;
	size_t step;
	unsigned sub;

	/* shaders may read whole 16-byte groups past the end */
	if (!add_size(bytes, 15, &bytes) || bytes > (size_t)1 << 60)
		die("buffer of %zu bytes", bytes);
	bytes &= ~(size_t)15;
	if (bytes < MIN_BYTES)
		bytes = MIN_BYTES;
	while (((size_t)2 << e) <= bytes)
		e++;
	step = (size_t)1 << (e - 2);
	sub = (unsigned)((bytes - ((size_t)1 << e) + step - 1) / step);
	*rounded = ((size_t)1 << e) + sub * step;
	return e * 4 + sub;
}

static int
memory_type(uint32_t allowed, VkMemoryPropertyFlags want)
{
	for (uint32_t i = 0; i < gpu.memory.memoryTypeCount; i++)
		if ((allowed & 1u << i) && (gpu.memory.memoryTypes[i].propertyFlags & want) == want)
			return (int)i;
	return -1;
}

/* NULL when the device has no more. */
static struct chunk *
chunk_new(size_t size, uint32_t allowed, bool host)
{
	const VkMemoryPropertyFlags visible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
	    VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
	VkMemoryAllocateInfo ai = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.allocationSize = size };
	struct chunk *c;
	int type;

	if (size > gpu.max_alloc || (!host && held + size > gpu.info.memory))
		return NULL;
	/* memory that both sides see saves the copies, where it is the device's own: on CPUs and
	 * integrated GPUs */
	if (host) {
		type = memory_type(allowed, visible | VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
		if (type < 0)
			type = memory_type(allowed, visible);
	} else {
		type = memory_type(allowed, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | visible |
		    VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
		if (type < 0)
			type = memory_type(allowed, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
		if (type < 0)
			type = memory_type(allowed, 0);
	}
	if (type < 0)
		die("Vulkan: no memory of a kind that buffers need");
	ai.memoryTypeIndex = (uint32_t)type;
	c = xcalloc(1, sizeof(*c));
	c->size = size;
	if (vkAllocateMemory(gpu.device, &ai, NULL, &c->memory) != VK_SUCCESS) {
		free(c);
		return NULL;
	}
	if (gpu.memory.memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT &&
	    gpu.memory.memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)
		VK(vkMapMemory(gpu.device, c->memory, 0, VK_WHOLE_SIZE, 0, (void **)&c->map));
	if (!host)
		held += size;
	c->next = chunks;
	chunks = c;
	return c;
}

static void
chunk_free(struct chunk *c, bool host)
{
	struct chunk **p = &chunks;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	if (!host)
		held -= c->size;
	vkFreeMemory(gpu.device, c->memory, NULL);
	free(c);
}

static struct chunk *
chunk_with_room(size_t size, size_t align, uint32_t allowed)
{
	for (struct chunk *c = chunks; c; c = c->next)
		if (c->size == CHUNK && (c->used + align - 1) / align * align + size <= c->size)
			return c;
	return chunk_new(CHUNK, allowed, false);
}

/* NULL when the device is full. */
static struct gbuf *
create(size_t size, bool host)
{
	/* llvmpipe compiles a kernel anew for each combination of texel buffers whose size is a
	 * power of two with others whose size is none: here none is */
	VkBufferCreateInfo ci = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = gpu.info.cpu && (size & (size - 1)) == 0 ? size + 16 : size,
		.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
		    VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT |
		    VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT };
	struct gbuf *b = xcalloc(1, sizeof(*b));
	VkMemoryRequirements req;
	size_t at;

	VK(vkCreateBuffer(gpu.device, &ci, NULL, &b->buffer));
	vkGetBufferMemoryRequirements(gpu.device, b->buffer, &req);
	b->size = size;
	b->host = host;
	if (!host && req.size <= SMALL)
		b->chunk = chunk_with_room(req.size, req.alignment, req.memoryTypeBits);
	else
		b->chunk = chunk_new(req.size, req.memoryTypeBits, host);
	if (!b->chunk) {
		vkDestroyBuffer(gpu.device, b->buffer, NULL);
		free(b);
		return NULL;
	}
	at = (b->chunk->used + req.alignment - 1) / req.alignment * req.alignment;
	b->chunk->used = at + req.size;
	b->chunk->buffers++;
	VK(vkBindBufferMemory(gpu.device, b->buffer, b->chunk->memory, at));
	b->map = b->chunk->map ? b->chunk->map + at : NULL;
	return b;
}

void
gbuf_destroy(struct gbuf *b)
{
	for (unsigned i = 0; i < b->nview; i++)
		vkDestroyBufferView(gpu.device, b->view[i].view, NULL);
	free(b->view);
	vkDestroyBuffer(gpu.device, b->buffer, NULL);
	if (--b->chunk->buffers == 0)
		chunk_free(b->chunk, b->host);
	free(b);
}

struct gbuf *
gbuf_staging(size_t bytes)
{
	struct gbuf *b = create(bytes ? bytes : 16, true);

	if (!b)
		die_code(EXIT_RETRY, "out of host memory for a transfer of %zu bytes", bytes);
	return b;
}

void
gpu_trim(void)
{
	gpu_wait();
	for (int i = 0; i < CLASSES; i++) {
		while (pool[i]) {
			struct gbuf *b = pool[i];

			pool[i] = b->next;
			stat.pooled -= b->size;
			gbuf_destroy(b);
		}
	}
}

void
gpu_trim_to(uint64_t bytes)
{
	if (stat.pooled > bytes && !gpu_counting)
		gpu_trim();
}

bool
gpu_thrift(bool on)
{
	bool was = thrift;

	thrift = on;
	return was;
}

/* Does it stay to the end, and is it large? Then it takes little more than it wants. */
static bool
is_exact(size_t bytes, enum gpu_mem kind)
{
	return (kind == MEM_PARAM || kind == MEM_GRAD || kind == MEM_OPT) && bytes > SMALL;
}

static struct gbuf *
pool_take(unsigned class, size_t most)
{
	/* one size up is a quarter more at most: better than new memory */
	for (unsigned c = class; c <= class + 1 && c < CLASSES; c++)
		for (struct gbuf **p = &pool[c], *b; (b = *p); p = &b->next)
			if (b->size <= most) {
				*p = b->next;
				stat.pooled -= b->size;
				return b;
			}
	return NULL;
}

static void
count(struct gbuf *b, enum gpu_mem kind)
{
	stat.live[kind] += b->size;
	stat.live_all += b->size;
	if (stat.live[kind] > stat.peak[kind])
		stat.peak[kind] = stat.live[kind];
	if (stat.live_all > stat.peak_all)
		stat.peak_all = stat.live_all;
}

void
gpu_count(bool on)
{
	if (on == gpu_counting)
		return;
	if (!on && stat.live_all)
		die("gpu_count: %" PRIu64 " bytes are still counted", stat.live_all);
	gpu_counting = on;
	if (on)
		stat_before = stat;
	stat = on ? (struct gpu_mem_stat){ 0 } : stat_before;
}

bool
gpu_counts(void)
{
	return gpu_counting;
}

/* A buffer that is only counted. */
static struct gbuf *
counted(size_t size, size_t bytes, enum gpu_mem kind)
{
	struct gbuf *b = xcalloc(1, sizeof(*b));

	b->size = size;
	b->bytes = bytes;
	b->kind = kind;
	b->refs = 1;
	count(b, kind);
	return b;
}

struct gbuf *
gbuf_new(size_t bytes, enum gpu_mem kind)
{
	size_t rounded;
	unsigned class = size_class(bytes, &rounded);
	const bool exact = is_exact(bytes, kind);
	struct gbuf *b;

	if (exact)
		rounded = (bytes + 15 + PAGE - 1) / PAGE * PAGE;
	if (gpu_counting)
		return counted(rounded, bytes, kind);
	b = pool_take(class, exact ? rounded + PAGE : SIZE_MAX);
	if (!b && thrift && rounded > SMALL)
		gpu_trim_to(LITTLE);
	if (!b)
		b = create(rounded, false);
	if (!b) {
		gpu_trim();
		b = create(rounded, false);
	}
	if (!b)
		die_code(EXIT_RETRY,
		    "out of device memory: %.1f MiB for %s, with %.1f of %.1f MiB in use",
		    (double)rounded / 1048576, kind_names[kind], (double)stat.live_all / 1048576,
		    (double)gpu.info.memory / 1048576);
	b->refs = 1;
	b->bytes = bytes;
	b->kind = kind;
	b->next = NULL;
	count(b, kind);
	return b;
}

struct gbuf *
gbuf_ref(struct gbuf *b)
{
	b->refs++;
	return b;
}

void
gbuf_unref(struct gbuf *b)
{
	size_t rounded;
	unsigned class;

	/* after gpu_close (at exit) there is nothing left to keep in order */
	if (!b || !gpu.device || --b->refs)
		return;
	stat.live[b->kind] -= b->size;
	stat.live_all -= b->size;
	if (!b->chunk) {
		free(b);
		return;
	}
	stat.pooled += b->size;
	class = size_class(b->size - 15, &rounded);
	if (rounded > b->size)
		class--; /* it serves all of the class below */
	b->next = pool[class];
	pool[class] = b;
}

size_t
gbuf_size(const struct gbuf *b)
{
	return b->bytes;
}

VkBufferView
gbuf_view(struct gbuf *b, VkFormat format, size_t off, size_t len)
{
	VkBufferViewCreateInfo ci = { .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
		.buffer = b->buffer, .format = format, .offset = off, .range = len };
	VkBufferView v;

	for (unsigned i = 0; i < b->nview; i++)
		if (b->view[i].format == format && b->view[i].off == off && b->view[i].len == len)
			return b->view[i].view;
	VK(vkCreateBufferView(gpu.device, &ci, NULL, &v));
	b->view = xrealloc(b->view, (b->nview + 1) * sizeof(*b->view));
	b->view[b->nview++] = (struct view){ v, format, off, len };
	return v;
}

void
gpu_mem(struct gpu_mem_stat *s)
{
	*s = stat;
}

void
gpu_mem_report(FILE *fp)
{
	for (int i = 0; i < MEM_KINDS; i++)
		if (stat.peak[i])
			fprintf(fp, "{\"kind\":\"memory\",\"of\":\"%s\",\"live_bytes\":%" PRIu64
			    ",\"peak_bytes\":%" PRIu64 "}\n", kind_names[i], stat.live[i],
			    stat.peak[i]);
	fprintf(fp,
	    "{\"kind\":\"memory\",\"of\":\"all\",\"live_bytes\":%" PRIu64 ",\"peak_bytes\":%" PRIu64
	    ",\"pooled_bytes\":%" PRIu64 ",\"held_bytes\":%" PRIu64 ",\"device_bytes\":%" PRIu64
	    "}\n",
	    stat.live_all, stat.peak_all, stat.pooled, held, gpu.info.memory);
}

void
memory_close(void)
{
	gpu_trim();
	stat = (struct gpu_mem_stat){ 0 };
}
