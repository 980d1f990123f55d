/* SPDX-License-Identifier: MIT */
/* test_follow - who starves in SCHED_IDLE is rescued, who sleeps or works is left alone */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>

#include "../src/serve.h"
#include "kernel.h"

#define LOOKS 2000 /* ten seconds */

struct ward {
	atomic_int tid;
	sem_t wakes; /* it sleeps until then: nobody who wants a CPU, however busy the machine is */
	atomic_bool stop;
	int policy;
};

static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	EXPECT(sched_setaffinity(0, sizeof(set), &set) == 0);
}

static void pause_ms(long ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

static int first_cpu(void)
{
	cpu_set_t set;
	int cpu = 0;

	EXPECT(sched_getaffinity(0, sizeof(set), &set) == 0);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	return cpu;
}

static void *run(void *arg)
{
	struct sched_param param = { .sched_priority = 0 };
	struct ward *ward = arg;

	pin_to(first_cpu());
	EXPECT(sched_setscheduler(0, ward->policy, &param) == 0);
	atomic_store(&ward->tid, gettid());
	while (sem_wait(&ward->wakes) < 0)
		;
	while (!atomic_load(&ward->stop))
		;
	return NULL;
}

static pthread_t start(struct ward *ward)
{
	pthread_t thread;

	EXPECT(sem_init(&ward->wakes, 0, 0) == 0);
	EXPECT(pthread_create(&thread, NULL, run, ward) == 0);
	while (!atomic_load(&ward->tid))
		pause_ms(1);
	return thread;
}

static void end(struct ward *ward, pthread_t thread)
{
	atomic_store(&ward->stop, true);
	EXPECT(sem_post(&ward->wakes) == 0);
	pthread_join(thread, NULL);
	sem_destroy(&ward->wakes);
}

static bool may_turn_back(void)
{
	struct sched_param param = { .sched_priority = 0 };

	return geteuid() == 0 && sched_setscheduler(0, SCHED_OTHER, &param) == 0;
}

static void watch(struct lam_server *srv, struct ward *ward)
{
	atomic_store(&srv->watch.tid, atomic_load(&ward->tid));
	atomic_store(&srv->watch.armed, true);
	EXPECT(lam_watch_fd(srv) == srv->fd); /* nothing happened yet: it waits for a request */
	EXPECT(lam_watch_timeout(srv) == -1);
	lam_watch_look(srv, true);
	EXPECT(lam_watch_fd(srv) == -1);
	EXPECT(lam_watch_timeout(srv) == LAM_WATCH_MS);
}

static void rescues_who_starves(void)
{
	struct lam_server srv = { .fd = 77 };
	struct ward idler = { .policy = SCHED_IDLE }, hog = { .policy = SCHED_OTHER };
	pthread_t threads[2] = { start(&idler), start(&hog) };

	watch(&srv, &idler);
	EXPECT(sem_post(&hog.wakes) == 0 && sem_post(&idler.wakes) == 0);
	for (int i = 0; i < LOOKS && !atomic_load(&srv.watch.rescued); i++) {
		pause_ms(LAM_WATCH_MS + 1);
		lam_watch_look(&srv, false);
	}
	EXPECT(atomic_load(&srv.watch.rescued));
	if (may_turn_back())
		EXPECT(sched_getscheduler(atomic_load(&idler.tid)) == SCHED_OTHER);
	end(&hog, threads[1]);
	end(&idler, threads[0]);
}

static void leaves_the_others_alone(void)
{
	struct lam_server srv = { .fd = 77 };
	struct ward idler = { .policy = SCHED_IDLE };
	pthread_t thread = start(&idler);

	watch(&srv, &idler);
	for (int i = 0; i < 20; i++) { /* requests are done: whatever the thread's state */
		atomic_fetch_add(&srv.requests, 1);
		pause_ms(LAM_WATCH_MS + 1);
		lam_watch_look(&srv, false);
		EXPECT(!atomic_load(&srv.watch.rescued) && lam_watch_timeout(&srv) == LAM_WATCH_MS);
	}
	for (int i = 0; i < LOOKS && lam_watch_timeout(&srv) != -1; i++) {
		pause_ms(LAM_WATCH_MS + 1);
		lam_watch_look(&srv, false);
	}
	EXPECT(lam_watch_timeout(&srv) == -1); /* none are, and it sleeps: no more looks */
	EXPECT(!atomic_load(&srv.watch.rescued) && lam_watch_fd(&srv) == srv.fd);
	EXPECT(sched_getscheduler(atomic_load(&idler.tid)) == SCHED_IDLE);
	end(&idler, thread);
	atomic_store(&srv.watch.tid, 0);
	EXPECT(lam_watch_fd(&srv) == -1 && lam_watch_timeout(&srv) == -1);
}

int main(void)
{
	kernel_watchdog(100);
	rescues_who_starves();
	leaves_the_others_alone();
	return 0;
}
