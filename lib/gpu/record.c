/*
 * Recording. Work goes into one of a few command buffers ("slots") in turn; a full one is handed to
 * the device while the next is filled. Barriers: each buffer remembers the epoch in which it was
 * last written and read; a call that would read what this epoch wrote, or write what it used, gets
 * one barrier before it, which begins a new epoch. So calls that do not depend on each other
 * overlap.
 */
#include "base/err.h"
#include "base/mem.h"
#include "gpu/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SETS = SLOT_CALLS, STAGING_STEP = 64 << 20 };

struct slot {
	VkCommandPool pool;
	VkCommandBuffer cmd;
	VkFence fence;
	VkQueryPool queries;
	VkDescriptorPool sets;
	uint64_t submission;           /* its number; 0: never used */
	bool open, running;
	int ncall;
	struct {
		enum kernel kernel;
		double flops, bytes;
	} call[SLOT_CALLS];
	struct gbuf **staging;
	size_t nstaging, capstaging, staged; /* staged: bytes on their way to the device */
};

static struct slot slots[SLOTS];
static struct slot *now;           /* the one that is being filled */
static uint64_t submission = 1;    /* number of the open one */
static uint64_t completed;         /* all up to this one have ended */
static uint64_t epoch = 1;         /* counts barriers */
static VkPipeline bound;
static bool profiling, closing;
static struct gpu_prof prof[KERNEL_COUNT + 1];
static uint64_t calls[KERNEL_COUNT + 1];

static void
slot_open_resources(struct slot *s)
{
	VkCommandPoolCreateInfo pi = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.queueFamilyIndex = gpu.family };
	VkCommandBufferAllocateInfo ai = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY, .commandBufferCount = 1 };
	VkFenceCreateInfo fi = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
	VkQueryPoolCreateInfo qi = { .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
		.queryType = VK_QUERY_TYPE_TIMESTAMP, .queryCount = 2 * SLOT_CALLS };

	VK(vkCreateCommandPool(gpu.device, &pi, NULL, &s->pool));
	ai.commandPool = s->pool;
	VK(vkAllocateCommandBuffers(gpu.device, &ai, &s->cmd));
	VK(vkCreateFence(gpu.device, &fi, NULL, &s->fence));
	if (gpu.timestamps)
		VK(vkCreateQueryPool(gpu.device, &qi, NULL, &s->queries));
	if (!gpu.push_descriptors) {
		VkDescriptorPoolSize size[] = {
			{ VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, MAX_SETS * GPU_MAXARG },
			{ VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, MAX_SETS * GPU_MAXARG },
			{ VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, MAX_SETS * GPU_MAXARG },
		};
		VkDescriptorPoolCreateInfo di =
			{ .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
			    .maxSets = MAX_SETS, .poolSizeCount = 3, .pPoolSizes = size };

		VK(vkCreateDescriptorPool(gpu.device, &di, NULL, &s->sets));
	}
}

void
record_open(void)
{
	for (int i = 0; i < SLOTS; i++)
		slot_open_resources(&slots[i]);
}

/* A finished slot gives back what it held and adds its times to the profile. */
static void
retire(struct slot *s)
{
	VK(vkWaitForFences(gpu.device, 1, &s->fence, VK_TRUE, UINT64_MAX));
	VK(vkResetFences(gpu.device, 1, &s->fence));
	s->running = false;
	if (s->submission > completed)
		completed = s->submission;
	if (profiling && gpu.timestamps && s->ncall) {
		uint64_t t[2 * SLOT_CALLS];

		VK(vkGetQueryPoolResults(gpu.device, s->queries, 0, 2 * (uint32_t)s->ncall,
		    sizeof(t), t, sizeof(*t), VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
		for (int i = 0; i < s->ncall; i++) {
			struct gpu_prof *p = &prof[s->call[i].kernel];

			p->n++;
			p->seconds += (double)(t[2 * i + 1] - t[2 * i]) * gpu.tick * 1e-9;
			p->flops += s->call[i].flops;
			p->bytes += s->call[i].bytes;
		}
	}
	for (size_t i = 0; i < s->nstaging; i++)
		gbuf_destroy(s->staging[i]);
	s->nstaging = s->staged = 0;
	s->ncall = 0;
	VK(vkResetCommandPool(gpu.device, s->pool, 0));
	if (s->sets)
		VK(vkResetDescriptorPool(gpu.device, s->sets, 0));
}

/* The command buffer to record into. */
static VkCommandBuffer
commands(void)
{
	VkCommandBufferBeginInfo bi = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT };
	struct slot *s = &slots[submission % SLOTS];

	if (now)
		return now->cmd;
	if (s->running)
		retire(s);
	VK(vkBeginCommandBuffer(s->cmd, &bi));
	if (profiling && gpu.timestamps)
		vkCmdResetQueryPool(s->cmd, s->queries, 0, 2 * SLOT_CALLS);
	s->open = true;
	s->submission = submission;
	now = s;
	bound = VK_NULL_HANDLE;
	return s->cmd;
}

void
gpu_flush(void)
{
	VkSubmitInfo si = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1 };

	if (!now)
		return;
	VK(vkEndCommandBuffer(now->cmd));
	si.pCommandBuffers = &now->cmd;
	VK(vkQueueSubmit(gpu.queue, 1, &si, now->fence));
	now->open = false;
	now->running = true;
	now = NULL;
	submission++;
}

void
record_wait_for(uint64_t want)
{
	if (want >= submission)
		gpu_flush();
	/* oldest first: slots are used in turn */
	for (uint64_t n = completed + 1; n <= want && n < submission; n++) {
		struct slot *s = &slots[n % SLOTS];

		if (s->running && s->submission == n)
			retire(s);
	}
}

void
gpu_wait(void)
{
	if (closing)
		return;
	gpu_flush();
	record_wait_for(submission - 1);
}

bool
gbuf_idle(const struct gbuf *b)
{
	return b->used <= completed;
}

/* Orders what comes next after all that was recorded. */
static void
barrier(VkCommandBuffer cmd)
{
	const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT |
	    VK_PIPELINE_STAGE_TRANSFER_BIT;
	VkMemoryBarrier b = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
		    VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT };

	vkCmdPipelineBarrier(cmd, stages, stages, 0, 1, &b, 0, NULL, 0, NULL);
	epoch++;
}

static bool
conflicts(const struct gbuf *b, bool reads, bool writes)
{
	return (reads && b->wrote == epoch) || (writes && (b->wrote == epoch || b->read == epoch));
}

static void
uses(struct gbuf *b, bool reads, bool writes)
{
	if (reads)
		b->read = epoch;
	if (writes)
		b->wrote = epoch;
	b->used = submission;
}

uint64_t
gpu_kernel_calls(enum kernel k)
{
	return calls[k];
}

uint32_t
gpu_groups_x(uint64_t n, uint32_t local)
{
	uint64_t g = (n + local - 1) / local;

	if (g <= gpu.info.max_groups)
		return (uint32_t)g;
	/* as square as can be, so that few workgroups are idle */
	return gpu.info.max_groups / 2 + 1;
}

uint32_t
gpu_groups_y(uint64_t n, uint32_t local)
{
	uint64_t g = (n + local - 1) / local, x = gpu_groups_x(n, local);

	return x ? (uint32_t)((g + x - 1) / x) : 0;
}

static void
check(const struct gpu_call *c, const struct reflection *r)
{
	const char *name = gpu_kernel_name(c->kernel);

	if (c->nargs != r->nbinding)
		die("kernel %s: %d buffers given, %d wanted", name, c->nargs, r->nbinding);
	if (c->npush != r->push)
		die("kernel %s: %zu bytes of push constants given, %u wanted", name, c->npush,
		    r->push);
	if (c->nspec != r->nspec)
		die("kernel %s: %d specialization constants given, %d wanted", name, c->nspec,
		    r->nspec);
	for (int i = 0; i < 3; i++)
		if (c->groups[i] > gpu.info.max_groups)
			die("kernel %s: %u workgroups in dimension %d", name, c->groups[i], i);
	for (int i = 0; i < c->nargs; i++) {
		const struct gpu_arg *a = &c->arg[i];

		if (!a->buf)
			die("kernel %s: binding %d is missing", name, i);
		if (a->off % gpu.info.align || a->off > a->buf->size ||
		    a->len > a->buf->size - a->off)
			die("kernel %s: binding %d covers %zu+%zu of %zu bytes", name, i, a->off,
			    a->len, a->buf->size);
	}
}

/* Bytes that a binding covers: whole 16-byte groups; buffers are large enough for that. */
static size_t
range(const struct gpu_arg *a, const char *name)
{
	size_t len = a->len ? (a->len + 15) & ~(size_t)15 : a->buf->size - a->off;

	if (len > a->buf->size - a->off)
		len = a->buf->size - a->off;
	if (len > gpu.info.max_range)
		die("kernel %s: a binding of %zu bytes, this device allows %zu", name, len,
		    gpu.info.max_range);
	return len;
}

static void
bind(VkCommandBuffer cmd, const struct gpu_call *c, const struct reflection *r)
{
	VkWriteDescriptorSet w[GPU_MAXARG];
	VkDescriptorBufferInfo info[GPU_MAXARG];
	VkBufferView view[GPU_MAXARG];
	VkPipelineLayout layout = kernel_layout(c->kernel);
	VkDescriptorSet set = VK_NULL_HANDLE;

	if (!gpu.push_descriptors) {
		VkDescriptorSetLayout sl = kernel_set_layout(c->kernel);
		VkDescriptorSetAllocateInfo ai = {
			.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
			.descriptorPool = now->sets, .descriptorSetCount = 1, .pSetLayouts = &sl };

		VK(vkAllocateDescriptorSets(gpu.device, &ai, &set));
	}
	for (int i = 0; i < c->nargs; i++) {
		const struct gpu_arg *a = &c->arg[i];
		size_t len = range(a, gpu_kernel_name(c->kernel));

		w[i] = (VkWriteDescriptorSet){ .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = set, .dstBinding = (uint32_t)i, .descriptorCount = 1,
			.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
			.pBufferInfo = &info[i], .pTexelBufferView = &view[i] };
		if (r->binding[i].type == BIND_STORAGE) {
			info[i] = (VkDescriptorBufferInfo){ a->buf->buffer, a->off, len };
			continue;
		}
		w[i].descriptorType = r->binding[i].type == BIND_TEXEL
		    ? VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER
		    : VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
		view[i] = gbuf_view(a->buf, r->binding[i].format, a->off, len);
	}
	if (gpu.push_descriptors) {
		gpu.push_set(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, (uint32_t)c->nargs, w);
	} else {
		vkUpdateDescriptorSets(gpu.device, (uint32_t)c->nargs, w, 0, NULL);
		vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0,
		    NULL);
	}
}

void
gpu_run(const struct gpu_call *c)
{
	const struct reflection *r = kernel_reflection(c->kernel);
	VkPipeline pipeline;
	VkCommandBuffer cmd;
	bool order = false;
	int at;

	check(c, r);
	if (!c->groups[0] || gpu_counting)
		return;
	pipeline = kernel_pipeline(c->kernel, c->spec, c->nspec);
	cmd = commands();
	calls[c->kernel]++;
	at = now->ncall++;
	now->call[at].kernel = c->kernel;
	now->call[at].flops = c->flops;
	now->call[at].bytes = c->bytes;
	for (int i = 0; i < c->nargs; i++)
		order |= conflicts(c->arg[i].buf, r->binding[i].reads, r->binding[i].writes);
	/* kernels that overlap have no time of their own */
	if (order || profiling)
		barrier(cmd);
	for (int i = 0; i < c->nargs; i++)
		uses(c->arg[i].buf, r->binding[i].reads, r->binding[i].writes);
	if (pipeline != bound)
		vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	bound = pipeline;
	bind(cmd, c, r);
	if (r->push)
		vkCmdPushConstants(cmd, kernel_layout(c->kernel), VK_SHADER_STAGE_COMPUTE_BIT, 0,
		    r->push, c->push);
	if (profiling && gpu.timestamps)
		vkCmdWriteTimestamp(cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, now->queries,
		    2 * (uint32_t)at);
	vkCmdDispatch(cmd, c->groups[0], c->groups[1] ? c->groups[1] : 1,
	    c->groups[2] ? c->groups[2] : 1);
	if (profiling && gpu.timestamps)
		vkCmdWriteTimestamp(cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, now->queries,
		    2 * (uint32_t)at + 1);
	if (now->ncall == SLOT_CALLS)
		gpu_flush();
}

/* Host memory that lives as long as the open slot's work. */
static struct gbuf *
slot_staging(size_t n)
{
	struct gbuf *b = gbuf_staging(n);

	commands();
	now->staging =
	    xgrow(now->staging, &now->capstaging, now->nstaging + 1, sizeof(*now->staging));
	now->staging[now->nstaging++] = b;
	return b;
}

static void
copy(struct gbuf *dst, size_t doff, struct gbuf *src, size_t soff, size_t n)
{
	VkCommandBuffer cmd = commands();
	VkBufferCopy r = { soff, doff, n };

	if (conflicts(src, true, false) || conflicts(dst, false, true))
		barrier(cmd);
	uses(src, true, false);
	uses(dst, false, true);
	vkCmdCopyBuffer(cmd, src->buffer, dst->buffer, 1, &r);
}

static void
bounds(const char *what, const struct gbuf *b, size_t off, size_t n)
{
	if (off > b->size || n > b->size - off)
		die("%s: %zu bytes at %zu of a buffer of %zu", what, n, off, b->size);
}

void
gpu_write(struct gbuf *b, size_t off, const void *src, size_t n)
{
	const char *p = src;

	bounds("gpu_write", b, off, n);
	if (gpu_counting)
		return;
	if (b->map && gbuf_idle(b)) {
		memcpy(b->map + off, src, n);
		return;
	}
	while (n) {
		size_t step = n < STAGING_STEP ? n : STAGING_STEP;
		struct gbuf *s = slot_staging(step);

		memcpy(s->map, p, step);
		copy(b, off, s, 0, step);
		p += step;
		off += step;
		n -= step;
		now->staged += step;
		if (now->staged >= STAGING_STEP)
			gpu_flush(); /* bounds what waits in host memory to a few steps */
	}
}

void
gpu_read(struct gbuf *b, size_t off, void *dst, size_t n)
{
	char *p = dst;

	bounds("gpu_read", b, off, n);
	if (gpu_counting) {
		memset(dst, 0, n);
		return;
	}
	if (b->map) {
		record_wait_for(b->used);
		memcpy(p, b->map + off, n);
		return;
	}
	while (n) {
		size_t step = n < STAGING_STEP ? n : STAGING_STEP;
		struct gbuf *s = gbuf_staging(step);

		copy(s, 0, b, off, step);
		record_wait_for(s->used);
		memcpy(p, s->map, step);
		gbuf_destroy(s);
		p += step;
		off += step;
		n -= step;
	}
}

void
gpu_copy(struct gbuf *dst, size_t doff, struct gbuf *src, size_t soff, size_t n)
{
	bounds("gpu_copy", src, soff, n);
	bounds("gpu_copy", dst, doff, n);
	if (n && !gpu_counting)
		copy(dst, doff, src, soff, n);
}

void
gpu_fill(struct gbuf *b, size_t off, size_t n, uint32_t word)
{
	VkCommandBuffer cmd;

	bounds("gpu_fill", b, off, n);
	if (!n || gpu_counting)
		return;
	if (n % 4 || off % 4)
		die("gpu_fill: %zu bytes at %zu", n, off);
	cmd = commands();
	if (conflicts(b, false, true))
		barrier(cmd);
	uses(b, false, true);
	vkCmdFillBuffer(cmd, b->buffer, off, n, word);
}

void
gpu_profile(bool on)
{
	if (on != profiling)
		gpu_wait();
	if (on && !gpu.timestamps)
		warn("this device has no timestamps: no profile");
	profiling = on;
}

void
gpu_profile_reset(void)
{
	gpu_wait();
	memset(prof, 0, sizeof(prof));
}

const struct gpu_prof *
gpu_profile_of(enum kernel k)
{
	gpu_wait();
	return &prof[k];
}

static int
slowest_first(const void *a, const void *b)
{
	double x = prof[*(const int *)a].seconds, y = prof[*(const int *)b].seconds;

	return (x < y) - (x > y);
}

void
gpu_profile_report(FILE *fp)
{
	int order[KERNEL_COUNT + 1];

	gpu_wait();
	for (int i = 0; i < KERNEL_COUNT; i++)
		order[i] = i;
	qsort(order, KERNEL_COUNT, sizeof(*order), slowest_first);
	for (int i = 0; i < KERNEL_COUNT; i++) {
		const struct gpu_prof *p = &prof[order[i]];
		double s = p->seconds > 0 ? p->seconds : 1e-12;

		if (!p->n)
			continue;
		fprintf(fp,
		    "{\"kind\":\"profile\",\"kernel\":\"%s\",\"n\":%" PRIu64 ",\"elapsed_s\":%.6g,"
		    "\"mean_us\":%.5g",
		    gpu_kernel_name((enum kernel)order[i]), p->n, p->seconds,
		    1e6 * p->seconds / (double)p->n);
		if (p->bytes > 0)
			fprintf(fp, ",\"gb_per_s\":%.4g", p->bytes / s * 1e-9);
		if (p->flops > 0)
			fprintf(fp, ",\"gflop_per_s\":%.4g", p->flops / s * 1e-9);
		fprintf(fp, "}\n");
	}
}

void
record_close(void)
{
	gpu_wait();
	if (profiling) {
		gpu_profile_report(stderr);
		gpu_mem_report(stderr);
	}
	closing = true;
	for (int i = 0; i < SLOTS; i++) {
		struct slot *s = &slots[i];

		vkDestroyCommandPool(gpu.device, s->pool, NULL);
		vkDestroyFence(gpu.device, s->fence, NULL);
		if (s->queries)
			vkDestroyQueryPool(gpu.device, s->queries, NULL);
		if (s->sets)
			vkDestroyDescriptorPool(gpu.device, s->sets, NULL);
		free(s->staging);
	}
	memset(slots, 0, sizeof(slots));
	profiling = closing = false;
	bound = VK_NULL_HANDLE;
}
