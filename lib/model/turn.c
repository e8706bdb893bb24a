#include "model/turn.h"

#include "base/err.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t device;
static atomic_bool ending;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
make_device(void)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	/* who dies in its own turn has it already, and is told so */
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&device, &attr);
	pthread_mutexattr_destroy(&attr);
}

static void
last_turn(void)
{
	ending = true;
	pthread_mutex_lock(&device);
}

void
turn_take(void)
{
	pthread_once(&once, make_device);
	while (ending)
		pause();
	pthread_mutex_lock(&device);
}

void
turn_give(void)
{
	static bool ran;

	/* what the driver's first work leaves to be done at exit is done after this */
	if (!ran && atexit(last_turn))
		die("atexit:");
	ran = true;
	pthread_mutex_unlock(&device);
}
