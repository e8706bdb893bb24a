#include "base/sig.h"

#include <signal.h>
#include <stdlib.h>

static volatile sig_atomic_t wanted;

static void
note(int sig)
{
	wanted = sig;
}

void
stop_catch(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGUSR1 };
	struct sigaction sa = { .sa_handler = note };

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &sa, NULL);
}

int
stop_wanted(void)
{
	return wanted;
}

void
stop_exit(void)
{
	exit(128 + wanted);
}
