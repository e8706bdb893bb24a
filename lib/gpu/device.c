/* Instance and device: which there are, which is taken, what it can do. */
#include "base/err.h"
#include "base/mem.h"
#include "base/opt.h"
#include "gpu/internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct context gpu;

static const char *
result_name(VkResult r)
{
	switch (r) {
	case VK_ERROR_OUT_OF_HOST_MEMORY:
		return "out of host memory";
	case VK_ERROR_OUT_OF_DEVICE_MEMORY:
		return "out of device memory";
	case VK_ERROR_INITIALIZATION_FAILED:
		return "initialization failed";
	case VK_ERROR_DEVICE_LOST:
		return "device lost";
	case VK_ERROR_EXTENSION_NOT_PRESENT:
		return "extension not present";
	case VK_ERROR_FEATURE_NOT_PRESENT:
		return "feature not present";
	case VK_ERROR_INCOMPATIBLE_DRIVER:
		return "incompatible driver";
	default:
		return "error";
	}
}

void
vk_check(VkResult r, const char *call, const char *file, int line)
{
	if (r >= 0)
		return;
	die_code(r == VK_ERROR_DEVICE_LOST || r == VK_ERROR_OUT_OF_DEVICE_MEMORY ? EXIT_RETRY
	    : EXIT_FATAL, "Vulkan: %s (%d) from %.60s at %s:%d", result_name(r), r, call, file,
	    line);
}

/* A word of $PHANTOM_DISABLE=a,b,c */
static bool
disabled(const char *what)
{
	const char *s = getenv("PHANTOM_DISABLE");
	size_t len = strlen(what);

	for (; s && *s; s += strcspn(s, ","), s += *s == ',')
		if (strncmp(s, what, len) == 0 && (s[len] == ',' || !s[len]))
			return true;
	return false;
}

static VKAPI_ATTR VkBool32 VKAPI_CALL
validation_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
    VkDebugUtilsMessageTypeFlagsEXT type, const VkDebugUtilsMessengerCallbackDataEXT *data,
    void *ctx)
{
	(void)severity;
	(void)type;
	(void)ctx;
	/* the loader's remarks on other drivers are not ours */
	if (type == VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT)
		return VK_FALSE;
	/* nothing is closed on the way out: the layer holds its locks while it tells */
	gpu.device = VK_NULL_HANDLE;
	die("validation: %s", data->pMessage);
}

static bool
has_layer(const char *name)
{
	uint32_t n = 0;
	VkLayerProperties *p;
	bool found = false;

	VK(vkEnumerateInstanceLayerProperties(&n, NULL));
	p = xcalloc(n, sizeof(*p));
	VK(vkEnumerateInstanceLayerProperties(&n, p));
	for (uint32_t i = 0; i < n; i++)
		found |= strcmp(p[i].layerName, name) == 0;
	free(p);
	return found;
}

static bool
has_extension(const VkExtensionProperties *p, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(p[i].extensionName, name) == 0)
			return true;
	return false;
}

static bool
instance_open(void)
{
	static const char *validation = "VK_LAYER_KHRONOS_validation";
	const char *want = getenv("PHANTOM_VALIDATE");
	bool validate = want && *want && strcmp(want, "0") != 0;
	VkDebugUtilsMessengerCreateInfoEXT messenger = {
		.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
		.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
		    VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
		.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT |
		    VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
		    VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
		.pfnUserCallback = validation_message,
	};
	VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.pApplicationName = "phantom", .apiVersion = VK_API_VERSION_1_2 };
	VkExtensionProperties ext[64];
	uint32_t next = 64, nname = 0;
	const char *names[4];
	VkInstanceCreateInfo ci = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pApplicationInfo = &app, .ppEnabledExtensionNames = names };

	if (gpu.instance)
		return true;
	lavapipe_prepare();
	if (vkEnumerateInstanceExtensionProperties(NULL, &next, ext) < 0)
		next = 0;
	if (validate) {
		if (!has_layer(validation))
			die("PHANTOM_VALIDATE is set, but %s is not installed", validation);
		ci.enabledLayerCount = 1;
		ci.ppEnabledLayerNames = &validation;
		names[nname++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
	}
	/* MoltenVK is listed only to those who ask */
	if (has_extension(ext, next, "VK_KHR_portability_enumeration")) {
		names[nname++] = "VK_KHR_portability_enumeration";
		ci.flags |= 0x1; /* ENUMERATE_PORTABILITY_BIT_KHR */
	}
	ci.enabledExtensionCount = nname;
	if (vkCreateInstance(&ci, NULL, &gpu.instance) != VK_SUCCESS) {
		gpu.instance = VK_NULL_HANDLE;
		return false;
	}
	if (validate) {
		PFN_vkCreateDebugUtilsMessengerEXT create = (PFN_vkCreateDebugUtilsMessengerEXT)
		    vkGetInstanceProcAddr(gpu.instance, "vkCreateDebugUtilsMessengerEXT");

		VK(create(gpu.instance, &messenger, NULL, &gpu.messenger));
	}
	return true;
}

/* All physical devices, in the loader's order; caller frees. */
static VkPhysicalDevice *
physical_devices(uint32_t *n)
{
	VkPhysicalDevice *p;

	*n = 0;
	if (!instance_open() || vkEnumeratePhysicalDevices(gpu.instance, n, NULL) < 0)
		*n = 0;
	p = xcalloc(*n, sizeof(*p));
	if (*n)
		VK(vkEnumeratePhysicalDevices(gpu.instance, n, p));
	return p;
}

static uint64_t
memory_limit(uint64_t heap, bool cpu)
{
	const char *s = getenv("PHANTOM_MEMORY");
	static int64_t limit;
	const struct opt row = { 'm', "PHANTOM_MEMORY", OPT_SIZE, &limit, NULL, NULL, 1, 9e15 };
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

	/* lavapipe reports 2 GiB whatever there is, and does not keep to it */
	if (cpu && pages > 0 && page > 0)
		heap = (uint64_t)pages * (uint64_t)page;
	if (s && *s) {
		if (opt_set(&row, s))
			die("PHANTOM_MEMORY: %s", errmsg());
		if ((uint64_t)limit < heap)
			heap = (uint64_t)limit;
	}
	return heap;
}

/* What a device can do; false if it cannot serve at all (no compute queue, too old). */
static bool
describe(VkPhysicalDevice dev, struct context *c)
{
	VkPhysicalDeviceSubgroupSizeControlProperties control = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES };
	VkPhysicalDeviceMaintenance3Properties m3 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
		.pNext = &control };
	VkPhysicalDeviceSubgroupProperties sub = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, .pNext = &m3 };
	VkPhysicalDeviceDriverProperties drv = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES, .pNext = &sub };
	VkPhysicalDeviceProperties2 p = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = &drv };
	VkPhysicalDevice16BitStorageFeatures f16s = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES };
	VkPhysicalDeviceShaderFloat16Int8Features f16 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
		.pNext = &f16s };
	VkPhysicalDevice8BitStorageFeatures i8 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES, .pNext = &f16 };
	VkPhysicalDeviceFeatures2 f = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = &i8 };
	VkPhysicalDeviceLimits *l = &p.properties.limits;
	VkQueueFamilyProperties q[16];
	uint32_t nq = 16, next = 0;
	VkExtensionProperties *ext;
	struct gpu_info *info = &c->info;
	bool coopmat;
	const uint32_t ops = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
	    VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;

	vkGetPhysicalDeviceProperties2(dev, &p);
	vkGetPhysicalDeviceFeatures2(dev, &f);
	vkGetPhysicalDeviceMemoryProperties(dev, &c->memory);
	vkGetPhysicalDeviceQueueFamilyProperties(dev, &nq, q);
	for (c->family = 0; c->family < nq; c->family++)
		if (q[c->family].queueFlags & VK_QUEUE_COMPUTE_BIT)
			break;
	if (c->family == nq || p.properties.apiVersion < VK_API_VERSION_1_2)
		return false;
	VK(vkEnumerateDeviceExtensionProperties(dev, NULL, &next, NULL));
	ext = xcalloc(next, sizeof(*ext));
	VK(vkEnumerateDeviceExtensionProperties(dev, NULL, &next, ext));
	c->push_descriptors = has_extension(ext, next, VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME) &&
	    !disabled("push");
	c->subgroup_control =
	    has_extension(ext, next, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME) &&
	    (control.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT);
	coopmat = has_extension(ext, next, COOPMAT_EXTENSION) && !disabled("coopmat");
	free(ext);

	c->physical = dev;
	c->timestamps = q[c->family].timestampValidBits > 0 && l->timestampPeriod > 0;
	c->tick = l->timestampPeriod;
	c->max_alloc = m3.maxMemoryAllocationSize;
	memcpy(c->cache_key, p.properties.pipelineCacheUUID, VK_UUID_SIZE);
	*info = (struct gpu_info){
		.vendor = p.properties.vendorID,
		.cpu = p.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU,
		.f16 = f16s.storageBuffer16BitAccess && !disabled("f16"),
		.f16_math = f16.shaderFloat16 && !disabled("f16"),
		.shuffle = (sub.supportedOperations & ops) == ops &&
		    (sub.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) && !disabled("subgroup"),
		.subgroup = sub.subgroupSize,
		.max_local = l->maxComputeWorkGroupInvocations,
		.max_shared = l->maxComputeSharedMemorySize,
		.max_groups = l->maxComputeWorkGroupCount[0] < 65535
		? l->maxComputeWorkGroupCount[0] : 65535, .max_range = l->maxStorageBufferRange,
		.align = 16,
	};
	snprintf(info->name, sizeof(info->name), "%s", p.properties.deviceName);
	snprintf(info->driver, sizeof(info->driver), "%.120s %.120s", drv.driverName,
	    drv.driverInfo);
	if (l->minStorageBufferOffsetAlignment > info->align)
		info->align = l->minStorageBufferOffsetAlignment;
	if (l->minTexelBufferOffsetAlignment > info->align)
		info->align = l->minTexelBufferOffsetAlignment;
	/* lavapipe reports 128 MiB but does not enforce it; buffers beyond 2 GiB do crash */
	if (info->cpu)
		info->max_range = (size_t)1 << 31;
	/* the texel variants of kernels store 64 bits at a time */
	info->texel = info->cpu && l->maxTexelBufferElements >= 1u << 27 &&
	    f.features.shaderInt64 && !disabled("texel");
	/* a workgroup of their kernels is four subgroups of a known size */
	info->coopmat = coopmat && info->f16 && info->f16_math && info->shuffle &&
	    c->subgroup_control && info->subgroup >= 4 && info->subgroup <= 64 &&
	    4 * info->subgroup <= info->max_local && coopmat_find(dev, info->coop);
	for (uint32_t i = 0; i < c->memory.memoryHeapCount; i++)
		if ((c->memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
		    c->memory.memoryHeaps[i].size > info->memory)
			info->memory = c->memory.memoryHeaps[i].size;
	info->memory = memory_limit(info->memory, info->cpu);
	return true;
}

int
gpu_list(void (*fn)(int, const struct gpu_info *, void *), void *ctx)
{
	uint32_t n;
	VkPhysicalDevice *dev = physical_devices(&n);
	int usable = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct context c = { 0 };

		if (describe(dev[i], &c)) {
			fn((int)i, &c.info, ctx);
			usable++;
		}
	}
	free(dev);
	return usable;
}

static bool
contains(const char *s, const char *part)
{
	size_t len = strlen(part);

	for (; *s; s++)
		if (strncasecmp(s, part, len) == 0)
			return true;
	return false;
}

/* The device that `want` names, or the best: any GPU before a CPU, the first among equals. */
static bool
choose(const char *want)
{
	uint32_t n;
	VkPhysicalDevice *dev = physical_devices(&n);
	int best = -1;
	int64_t number = -1;

	if (want && *want && parse_int(want, 0, 1000, &number))
		number = -1;
	for (uint32_t i = 0; i < n; i++) {
		struct context c = { 0 };
		int rank;

		if (!describe(dev[i], &c))
			continue;
		if (number >= 0 && (uint32_t)number != i)
			continue;
		if (number < 0 && want && *want && !contains(c.info.name, want) &&
		    !(strcasecmp(want, "cpu") == 0 && c.info.cpu))
			continue;
		rank = c.info.cpu ? 0 : 1;
		if (rank > best) {
			best = rank;
			describe(dev[i], &gpu);
			gpu.number = (int)i;
		}
	}
	free(dev);
	return best >= 0;
}

static void
device_create(void)
{
	const char *ext[3];
	float priority = 1;
	VkDeviceQueueCreateInfo q = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueFamilyIndex = gpu.family, .queueCount = 1, .pQueuePriorities = &priority };
	VkPhysicalDeviceSubgroupSizeControlFeatures control = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
		.subgroupSizeControl = VK_TRUE, .computeFullSubgroups = gpu.info.coopmat };
	VkPhysicalDevice16BitStorageFeatures f16s = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
		.pNext = gpu.subgroup_control ? &control : NULL,
		.storageBuffer16BitAccess = gpu.info.f16 };
	VkPhysicalDevice8BitStorageFeatures i8 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES, .pNext = &f16s };
	VkPhysicalDeviceShaderFloat16Int8Features f16 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
		.pNext = gpu.info.coopmat ? coopmat_features(&i8) : (void *)&i8,
		.shaderFloat16 = gpu.info.f16_math };
	VkPhysicalDevice8BitStorageFeatures have8 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES };
	VkPhysicalDeviceFeatures2 have = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = &have8 };
	VkPhysicalDeviceFeatures2 f = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = &f16 };
	VkDeviceCreateInfo ci = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &f,
		.queueCreateInfoCount = 1, .pQueueCreateInfos = &q,
		.ppEnabledExtensionNames = ext };

	vkGetPhysicalDeviceFeatures2(gpu.physical, &have);
	i8.storageBuffer8BitAccess = have8.storageBuffer8BitAccess;
	f.features.shaderInt64 = have.features.shaderInt64;
	f.features.shaderInt16 = have.features.shaderInt16;
	if (gpu.push_descriptors)
		ext[ci.enabledExtensionCount++] = VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME;
	if (gpu.subgroup_control)
		ext[ci.enabledExtensionCount++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
	if (gpu.info.coopmat)
		ext[ci.enabledExtensionCount++] = COOPMAT_EXTENSION;
	VK(vkCreateDevice(gpu.physical, &ci, NULL, &gpu.device));
	vkGetDeviceQueue(gpu.device, gpu.family, 0, &gpu.queue);
	if (gpu.push_descriptors)
		gpu.push_set = (PFN_vkCmdPushDescriptorSetKHR)
		    vkGetDeviceProcAddr(gpu.device, "vkCmdPushDescriptorSetKHR");
}

void
gpu_open(const char *want)
{
	static bool registered;

	if (gpu.device)
		return;
	if (!want)
		want = getenv("PHANTOM_DEVICE");
	if (!choose(want)) {
		if (want && *want)
			die("no Vulkan device '%s'; gpuinfo lists those there are", want);
		die("no Vulkan device: install a driver (mesa-vulkan-drivers has one for any CPU)");
	}
	device_create();
	record_open();
	if (getenv("PHANTOM_PROFILE") && strcmp(getenv("PHANTOM_PROFILE"), "0") != 0)
		gpu_profile(true);
	if (!registered)
		atexit(gpu_close);
	registered = true;
}

void
gpu_close(void)
{
	if (!gpu.device)
		return;
	record_close();
	kernel_close();
	memory_close();
	vkDestroyDevice(gpu.device, NULL);
	if (gpu.messenger) {
		PFN_vkDestroyDebugUtilsMessengerEXT destroy = (PFN_vkDestroyDebugUtilsMessengerEXT)
		    vkGetInstanceProcAddr(gpu.instance, "vkDestroyDebugUtilsMessengerEXT");

		destroy(gpu.instance, gpu.messenger, NULL);
	}
	vkDestroyInstance(gpu.instance, NULL);
	gpu = (struct context){ 0 };
}

const struct gpu_info *
gpu_info(void)
{
	return &gpu.info;
}

int
gpu_number(void)
{
	return gpu.number;
}
