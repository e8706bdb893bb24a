/*
 * Mesa's CPU driver chooses 256-bit vectors even where the processor has 512. On Mesa before 25 the
 * wider ones are faster (to twice), so they are asked for in the environment before the first
 * instance is made. Mesa's shader cache forgets the width in its keys and would hand 256-bit code
 * to a 512-bit run, so each width has a cache folder of its own.
 */
#include "base/file.h"
#include "base/mem.h"
#include "gpu/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool
has_avx512(void)
{
#if defined(__x86_64__)
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#else
	return false;
#endif
}

/* The major version of the first CPU device's Mesa; 0 if there is none. */
static int
mesa_version(void)
{
	VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.apiVersion = VK_API_VERSION_1_2 };
	VkInstanceCreateInfo ci = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pApplicationInfo = &app };
	VkPhysicalDevice dev[16];
	uint32_t n = 16;
	VkInstance inst;
	int major = 0;

	if (vkCreateInstance(&ci, NULL, &inst) != VK_SUCCESS)
		return 0;
	if (vkEnumeratePhysicalDevices(inst, &n, dev) < 0)
		n = 0;
	for (uint32_t i = 0; i < n && !major; i++) {
		VkPhysicalDeviceDriverProperties drv = {
			.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES };
		VkPhysicalDeviceProperties2 p = {
			.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &drv };

		vkGetPhysicalDeviceProperties2(dev[i], &p);
		if (p.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU)
			sscanf(drv.driverInfo, "Mesa %d", &major);
	}
	vkDestroyInstance(inst, NULL);
	return major;
}

/* The driver reads its width once a process, so another process must do the asking. */
static int
mesa_version_elsewhere(void)
{
	int fd[2], status;
	unsigned char v = 0;
	pid_t pid;

	if (pipe(fd))
		return 0;
	pid = fork();
	if (pid == 0) {
		v = (unsigned char)mesa_version();
		_exit(write(fd[1], &v, 1) == 1 ? 0 : 1);
	}
	close(fd[1]);
	if (pid < 0 || read(fd[0], &v, 1) != 1)
		v = 0;
	close(fd[0]);
	if (pid > 0)
		waitpid(pid, &status, 0);
	return v;
}

unsigned
lavapipe_width(void)
{
	const char *s = getenv("LP_NATIVE_VECTOR_WIDTH");

	return s ? (unsigned)strtoul(s, NULL, 10) : 0;
}

void
lavapipe_prepare(void)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (!getenv("LP_NATIVE_VECTOR_WIDTH") && has_avx512()) {
		int major = mesa_version_elsewhere();

		if (major > 0 && major < 25)
			setenv("LP_NATIVE_VECTOR_WIDTH", "512", 1);
	}
	if (!getenv("MESA_SHADER_CACHE_DIR") && (cache || home)) {
		char *dir = cache ? xasprintf("%s/phantom/mesa-%u", cache, lavapipe_width())
		                  : xasprintf("%s/.cache/phantom/mesa-%u", home, lavapipe_width());

		if (make_dirs(dir) == 0)
			setenv("MESA_SHADER_CACHE_DIR", dir, 1);
		free(dir);
	}
}
