/* SPDX-License-Identifier: MIT */
#include <lamina/mapping.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_MAPPINGS 8192u /* LAM_MAX_LAYERS */

enum state { FREE, TAKEN, READY, LOST };

/* 'base' and 'size' are valid while READY or LOST: they are written before and taken back after. */
static struct region {
	atomic_int state;
	atomic_uintptr_t base;
	atomic_size_t size;
} regions[MAX_MAPPINGS];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before;
static uintptr_t page_size;

static struct region *region_of(uintptr_t at)
{
	for (uint32_t i = 0; i < MAX_MAPPINGS; i++) {
		int state = atomic_load(&regions[i].state);
		uintptr_t base = atomic_load(&regions[i].base);

		if (state >= READY && at >= base && at - base < atomic_load(&regions[i].size))
			return &regions[i];
	}
	return NULL;
}

/* Async-signal-safe: atomics and system calls only. */
static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr & ~(page_size - 1);
	struct region *region = region_of(at);
	int saved = errno;
	size_t rest;

	(void)signal;
	(void)context;
	if (region) {
		/* Marked first: whoever sees the zeros sees the mark as well. */
		atomic_store(&region->state, LOST);
		rest = atomic_load(&region->base) + atomic_load(&region->size) - at;
		if (mmap((void *)at, rest, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		    MAP_FAILED) {
			errno = saved;
			return;
		}
	}
	/* Not ours to mend: the access is repeated and meets who was here before. */
	sigaction(SIGBUS, &before, NULL);
	errno = saved;
}

static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, &before);
}

int lam_mapping_open(struct lam_mapping *mapping, int fd, uint64_t size)
{
	*mapping = (struct lam_mapping){ 0 };
	if (size == 0 || size > SIZE_MAX / 2)
		return -EINVAL;
	pthread_once(&once, install);
	for (uint32_t i = 0; i < MAX_MAPPINGS; i++) {
		struct region *region = &regions[i];
		int unused = FREE;
		void *base;

		if (!atomic_compare_exchange_strong(&region->state, &unused, TAKEN))
			continue;
		base = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
		if (base == MAP_FAILED) {
			int err = -errno;

			atomic_store(&region->state, FREE);
			return err;
		}
		atomic_store(&region->base, (uintptr_t)base);
		atomic_store(&region->size, (size_t)size);
		atomic_store(&region->state, READY);
		*mapping = (struct lam_mapping){ .base = base, .size = size, .slot = i };
		return 0;
	}
	return -ENFILE;
}

void lam_mapping_close(struct lam_mapping *mapping)
{
	if (!mapping->base)
		return;
	atomic_store(&regions[mapping->slot].state, TAKEN);
	munmap((void *)mapping->base, (size_t)mapping->size);
	atomic_store(&regions[mapping->slot].state, FREE);
	*mapping = (struct lam_mapping){ 0 };
}

bool lam_mapping_lost(const struct lam_mapping *mapping)
{
	return atomic_load_explicit(&regions[mapping->slot].state, memory_order_acquire) == LOST;
}
