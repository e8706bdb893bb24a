/* The kernels: their SPIR-V, what it says, and pipelines made of it for given constants. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "gpu/internal.h"

#include <stdlib.h>
#include <string.h>

#include "kernel_table.h"

struct variant {
	enum kernel kernel;
	uint32_t spec[GPU_MAXSPEC];
	VkPipeline pipeline;
};

static struct {
	bool known;
	struct reflection r;
	VkDescriptorSetLayout set;
	VkPipelineLayout layout;
	VkShaderModule module;
} kernels[KERNEL_COUNT + 1];

/* Pipelines by (kernel, constants), in an open hash table whose size is a power of two. */
static struct variant *table;
static size_t ntable, captable;
static VkPipelineCache cache;

const char *
gpu_kernel_name(enum kernel k)
{
	return kernel_table[k].name;
}

bool
kernel_coded(enum kernel k)
{
	return kernel_table[k].bytes > 0;
}

bool
gpu_kernel_usable(enum kernel k)
{
	return kernel_coded(k) && (gpu.info.coopmat || !kernel_reflection(k)->coopmat);
}

const struct reflection *
kernel_reflection(enum kernel k)
{
	if (!kernel_coded(k))
		die("kernel %s: the program was built without it", kernel_table[k].name);
	if (!kernels[k].known) {
		if (reflect(kernel_table[k].spv, kernel_table[k].bytes / 4, &kernels[k].r))
			die("kernel %s: %s", kernel_table[k].name, errmsg());
		kernels[k].known = true;
	}
	return &kernels[k].r;
}

static VkDescriptorType
descriptor_type(enum binding_type t)
{
	switch (t) {
	case BIND_TEXEL:
		return VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER;
	case BIND_UNIFORM_TEXEL:
		return VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
	default:
		return VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
	}
}

VkDescriptorSetLayout
kernel_set_layout(enum kernel k)
{
	const struct reflection *r = kernel_reflection(k);
	VkDescriptorSetLayoutBinding b[GPU_MAXARG];
	VkDescriptorSetLayoutCreateInfo ci = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
		.flags = gpu.push_descriptors
		? VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT_KHR : 0,
		    .bindingCount = (uint32_t)r->nbinding, .pBindings = b };

	if (kernels[k].set)
		return kernels[k].set;
	for (int i = 0; i < r->nbinding; i++)
		b[i] = (VkDescriptorSetLayoutBinding){ .binding = (uint32_t)i,
			.descriptorType = descriptor_type(r->binding[i].type), .descriptorCount = 1,
			.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT };
	VK(vkCreateDescriptorSetLayout(gpu.device, &ci, NULL, &kernels[k].set));
	return kernels[k].set;
}

VkPipelineLayout
kernel_layout(enum kernel k)
{
	const struct reflection *r = kernel_reflection(k);
	VkDescriptorSetLayout set = kernel_set_layout(k);
	VkPushConstantRange push = { VK_SHADER_STAGE_COMPUTE_BIT, 0, r->push };
	VkPipelineLayoutCreateInfo ci = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1, .pSetLayouts = &set, .pushConstantRangeCount = r->push > 0,
		.pPushConstantRanges = &push };

	if (!kernels[k].layout)
		VK(vkCreatePipelineLayout(gpu.device, &ci, NULL, &kernels[k].layout));
	return kernels[k].layout;
}

/* Where this driver's pipelines are kept between runs; NULL: nowhere. Caller frees. */
static char *
cache_path(void)
{
	const char *dir = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char key[2 * VK_UUID_SIZE + 1];

	if (!dir && !home)
		return NULL;
	for (size_t i = 0; i < VK_UUID_SIZE; i++)
		snprintf(key + 2 * i, 3, "%02x", gpu.cache_key[i]);
	return xasprintf("%s%s/phantom/pipelines-%s-%s-%u", dir ? dir : home, dir ? "" : "/.cache",
	    PHANTOM_VERSION, key, gpu.info.cpu ? lavapipe_width() : 0);
}

static void
cache_open(void)
{
	VkPipelineCacheCreateInfo ci = { .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO };
	char *path = cache_path(), *data = NULL;

	/* the driver checks the header; a cache that cannot be read is no cache */
	if (path && file_exists(path) &&
	    file_read(path, (size_t)1 << 30, &data, &ci.initialDataSize) == 0)
		ci.pInitialData = data;
	VK(vkCreatePipelineCache(gpu.device, &ci, NULL, &cache));
	free(data);
	free(path);
}

static void
cache_save(void)
{
	char *path = cache_path(), *dir = path ? path_dir(path) : NULL;
	size_t n = 0;
	void *data;

	if (path && vkGetPipelineCacheData(gpu.device, cache, &n, NULL) == VK_SUCCESS && n > 64) {
		data = xmalloc(n);
		/* a cache that cannot be written is not worth a word */
		if (vkGetPipelineCacheData(gpu.device, cache, &n, data) == VK_SUCCESS &&
		    make_dirs(dir) == 0)
			(void)file_write(path, data, n);
		free(data);
	}
	free(dir);
	free(path);
}

static VkPipeline
make(enum kernel k, const uint32_t *spec, int nspec)
{
	VkSpecializationMapEntry map[GPU_MAXSPEC];
	VkSpecializationInfo si = { (uint32_t)nspec, map, (size_t)nspec * 4, spec };
	VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
		.requiredSubgroupSize = gpu.info.subgroup };
	VkShaderModuleCreateInfo mi = { .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = kernel_table[k].bytes, .pCode = kernel_table[k].spv };
	VkComputePipelineCreateInfo ci = { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.layout = kernel_layout(k),
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
		    .pNext = gpu.subgroup_control ? &size : NULL,
		    .flags = kernel_reflection(k)->coopmat
		        ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
		    .stage = VK_SHADER_STAGE_COMPUTE_BIT, .pName = "main",
		    .pSpecializationInfo = &si } };
	VkPipeline p;

	for (int i = 0; i < nspec; i++)
		map[i] = (VkSpecializationMapEntry){ (uint32_t)i, (uint32_t)i * 4, 4 };
	if (!kernels[k].module)
		VK(vkCreateShaderModule(gpu.device, &mi, NULL, &kernels[k].module));
	ci.stage.module = kernels[k].module;
	if (!cache)
		cache_open();
	VK(vkCreateComputePipelines(gpu.device, cache, 1, &ci, NULL, &p));
	return p;
}

static size_t
slot_of(const struct variant *t, size_t cap, enum kernel k, const uint32_t spec[GPU_MAXSPEC])
{
	uint64_t h = 14695981039346656037u ^ (uint64_t)k;
	size_t i;

	for (int j = 0; j < GPU_MAXSPEC; j++)
		h = (h ^ spec[j]) * 1099511628211u;
	h ^= h >> 32;
	for (i = h & (cap - 1); t[i].pipeline; i = (i + 1) & (cap - 1))
		if (t[i].kernel == k && memcmp(t[i].spec, spec, sizeof(t[i].spec)) == 0)
			break;
	return i;
}

static void
grow(void)
{
	size_t cap = captable ? 2 * captable : 64;
	struct variant *t = xcalloc(cap, sizeof(*t));

	for (size_t i = 0; i < captable; i++)
		if (table[i].pipeline)
			t[slot_of(t, cap, table[i].kernel, table[i].spec)] = table[i];
	free(table);
	table = t;
	captable = cap;
}

VkPipeline
kernel_pipeline(enum kernel k, const uint32_t *spec, int nspec)
{
	uint32_t full[GPU_MAXSPEC] = { 0 };
	struct variant *v;

	memcpy(full, spec, (size_t)nspec * sizeof(*spec));
	if (2 * ntable >= captable)
		grow();
	v = &table[slot_of(table, captable, k, full)];
	if (!v->pipeline) {
		v->kernel = k;
		memcpy(v->spec, full, sizeof(full));
		v->pipeline = make(k, full, nspec);
		ntable++;
	}
	return v->pipeline;
}

void
kernel_close(void)
{
	if (cache) {
		cache_save();
		vkDestroyPipelineCache(gpu.device, cache, NULL);
		cache = VK_NULL_HANDLE;
	}
	for (size_t i = 0; i < captable; i++)
		if (table[i].pipeline)
			vkDestroyPipeline(gpu.device, table[i].pipeline, NULL);
	free(table);
	table = NULL;
	ntable = captable = 0;
	for (int k = 0; k < KERNEL_COUNT; k++) {
		if (kernels[k].module)
			vkDestroyShaderModule(gpu.device, kernels[k].module, NULL);
		if (kernels[k].layout)
			vkDestroyPipelineLayout(gpu.device, kernels[k].layout, NULL);
		if (kernels[k].set)
			vkDestroyDescriptorSetLayout(gpu.device, kernels[k].set, NULL);
	}
	memset(kernels, 0, sizeof(kernels));
}
