/* SPDX-License-Identifier: MIT */
#include "thread.h"

int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attributes;
	int error = pthread_attr_init(&attributes);

	if (error)
		return -error;
	error = pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	if (!error)
		error = pthread_create(thread, &attributes, run, arg);
	(void)pthread_attr_destroy(&attributes);
	return -error;
}
