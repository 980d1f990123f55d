/* SPDX-License-Identifier: MIT */
/* pool - see pool.h */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "channel.h"
#include "dispatch.h"
#include "keeper.h"
#include "pool.h"
#include "serve.h"
#include "worker.h"

#define MAX_THREADS 64
#define IDLE_SECONDS 5

enum slot_state { SLOT_FREE, SLOT_RUNNING, SLOT_ENDED };

struct slot {
	struct lam_pool *pool;
	pthread_t thread;
	enum slot_state state;
};

struct lam_pool {
	struct lam_server *srv;
	uint32_t max;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct lam_buf *head;
	struct lam_buf **tail;
	uint32_t queued;
	uint32_t idle;
	uint32_t starting; /* created, has not looked for work yet */
	uint32_t running;  /* created and not ended, the idle and starting ones included */
	bool stopping;
	struct slot slots[MAX_THREADS];
};

struct lam_pool *lam_pool_new(struct lam_server *srv, uint32_t max)
{
	struct lam_pool *pool = calloc(1, sizeof(*pool));
	pthread_condattr_t attr;

	if (!pool)
		return NULL;
	pool->srv = srv;
	pool->max = max < MAX_THREADS ? max : MAX_THREADS;
	pool->tail = &pool->head;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->work, &attr);
	pthread_condattr_destroy(&attr);
	return pool;
}

void lam_pool_free(struct lam_pool *pool)
{
	if (!pool)
		return;
	while (pool->head) {
		struct lam_buf *buf = pool->head;

		pool->head = buf->next;
		lam_buf_free(buf);
	}
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* Called locked. */
static bool short_of_threads(const struct lam_pool *pool)
{
	return pool->queued > pool->idle + pool->starting && pool->running < pool->max;
}

void lam_pool_submit(struct lam_pool *pool, struct lam_buf *buf)
{
	bool want;

	buf->next = NULL;
	pthread_mutex_lock(&pool->lock);
	*pool->tail = buf;
	pool->tail = &buf->next;
	pool->queued++;
	want = short_of_threads(pool);
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	if (want)
		lam_keeper_want(pool->srv->keeper, LAM_KEEP_POOL);
}

/* Called locked.  The next request, or NULL if the thread is to end. */
static struct lam_buf *next_job(struct lam_pool *pool)
{
	struct timespec until;
	struct lam_buf *buf;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	pool->idle++;
	while (!pool->head && !pool->stopping && err != ETIMEDOUT)
		err = pthread_cond_timedwait(&pool->work, &pool->lock, &until);
	pool->idle--;
	buf = pool->head;
	if (!buf)
		return NULL;
	pool->head = buf->next;
	if (!pool->head)
		pool->tail = &pool->head;
	pool->queued--;
	return buf;
}

static void work(struct lam_pool *pool, struct lam_worker *worker)
{
	pthread_mutex_lock(&pool->lock);
	pool->starting--;
	while ((worker->in = next_job(pool))) {
		pthread_mutex_unlock(&pool->lock);
		lam_dispatch(worker);
		lam_buf_free(worker->in);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
}

static void *pool_main(void *arg)
{
	struct slot *slot = arg;
	struct lam_pool *pool = slot->pool;
	struct lam_worker worker;

	lam_worker_open(&worker, pool->srv, true);
	work(pool, &worker);
	lam_worker_close(&worker);
	pthread_mutex_lock(&pool->lock);
	slot->state = SLOT_ENDED;
	pool->running--;
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Called locked; only the keeper and, after it, lam_pool_stop() change slots to FREE. */
static struct slot *free_slot(struct lam_pool *pool)
{
	for (uint32_t i = 0; i < MAX_THREADS; i++) {
		struct slot *slot = &pool->slots[i];

		if (slot->state == SLOT_ENDED) {
			pthread_join(slot->thread, NULL); /* past its last lock: does not wait for us */
			slot->state = SLOT_FREE;
		}
		if (slot->state == SLOT_FREE)
			return slot;
	}
	return NULL;
}

static bool start_one(struct lam_pool *pool)
{
	struct slot *slot = free_slot(pool);

	if (!slot)
		return false;
	slot->pool = pool;
	if (pthread_create(&slot->thread, NULL, pool_main, slot))
		return false;
	slot->state = SLOT_RUNNING;
	pool->starting++;
	pool->running++;
	return true;
}

/* No thread to be had (EAGAIN): better slow than never. */
static void work_here(struct lam_pool *pool)
{
	struct lam_worker worker;

	lam_worker_open(&worker, pool->srv, true);
	pthread_mutex_lock(&pool->lock);
	while (pool->head) {
		worker.in = next_job(pool);
		pthread_mutex_unlock(&pool->lock);
		lam_dispatch(&worker);
		lam_buf_free(worker.in);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	lam_worker_close(&worker);
}

void lam_pool_spawn(struct lam_pool *pool)
{
	bool stuck;

	pthread_mutex_lock(&pool->lock);
	while (short_of_threads(pool))
		if (!start_one(pool))
			break;
	stuck = pool->head && pool->running == 0;
	pthread_mutex_unlock(&pool->lock);
	if (stuck)
		work_here(pool);
}

void lam_pool_stop(struct lam_pool *pool)
{
	bool left;

	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->work);
	for (uint32_t i = 0; i < MAX_THREADS; i++) {
		struct slot *slot = &pool->slots[i];

		if (slot->state == SLOT_FREE)
			continue;
		pthread_mutex_unlock(&pool->lock);
		pthread_join(slot->thread, NULL);
		pthread_mutex_lock(&pool->lock);
		slot->state = SLOT_FREE;
	}
	pthread_mutex_unlock(&pool->lock);
	pthread_mutex_lock(&pool->lock);
	left = pool->head;
	pthread_mutex_unlock(&pool->lock);
	if (left)
		work_here(pool);
}
