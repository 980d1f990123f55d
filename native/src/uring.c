/* SPDX-License-Identifier: MIT */
/* uring - see uring.h */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <lamina/fuse_abi.h>

#include "channel.h"
#include "entries.h"
#include "ring.h"
#include "uring.h"

#define DATA_DEVICE UINT64_MAX /* completions of polls; the entries' have their numbers */
#define DATA_WAKE (UINT64_MAX - 1)
#define POLLS 2u

struct lam_uring {
	int fd;	     /* the device */
	int wake_fd; /* others have filled entries, or the end has come */
	int stir_fd;
	struct lam_ring ring;
	struct lam_entries entries;
	pthread_t owner;
	atomic_bool serves;
	atomic_bool dismissed;
	pthread_mutex_t lock; /* what follows, and which entry holds which request */
	pthread_cond_t settling;
	bool settled;
	int result;
	struct lam_ring_entry *filled; /* by others, to be committed */
};

struct lam_uring *lam_uring_new(void)
{
	struct lam_uring *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->ring.fd = -1;
	u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	u->stir_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->settling, NULL);
	if (u->wake_fd < 0 || u->stir_fd < 0) {
		lam_uring_free(u);
		return NULL;
	}
	return u;
}

static void close_parts(struct lam_uring *u)
{
	lam_ring_close(&u->ring);
	lam_entries_close(&u->entries);
}

void lam_uring_free(struct lam_uring *u)
{
	if (!u)
		return;
	close_parts(u);
	if (u->wake_fd >= 0)
		close(u->wake_fd);
	if (u->stir_fd >= 0)
		close(u->stir_fd);
	pthread_cond_destroy(&u->settling);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

int lam_uring_open(struct lam_uring *u, int fuse_fd, uint32_t max_write)
{
	int err = lam_entries_open(&u->entries, max_write);

	if (!err)
		err = lam_ring_open(&u->ring, u->entries.count + POLLS);
	if (!err)
		err = lam_ring_signal_to(&u->ring, u->stir_fd);
	if (err) {
		close_parts(u);
		return err;
	}
	u->fd = fuse_fd;
	u->owner = pthread_self();
	return 0;
}

uint32_t lam_uring_max_write(const struct lam_uring *u)
{
	return u->entries.payload;
}

/* ---- commands ---- */

static struct io_uring_sqe *command(struct lam_uring *u, const struct lam_ring_entry *entry, uint32_t op)
{
	struct fuse_uring_cmd_req req = { .commit_id = entry->commit_id, .qid = entry->qid };
	struct io_uring_sqe *sqe = lam_ring_sqe(&u->ring);

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = u->fd;
	sqe->cmd_op = op;
	sqe->user_data = entry->number;
	memcpy(sqe->cmd, &req, sizeof(req));
	return sqe;
}

static void poll_for(struct lam_uring *u, int fd, uint64_t data)
{
	struct io_uring_sqe *sqe = lam_ring_sqe(&u->ring);

	sqe->opcode = IORING_OP_POLL_ADD;
	sqe->fd = fd;
	sqe->poll32_events = POLLIN;
	sqe->user_data = data;
}

/* What a queue without any entry says of itself; the kernel begins when all have one. */
static int missing(const struct lam_uring *u)
{
	const struct io_uring_cqe *cqe;
	int err = 0;

	for (uint32_t i = 0; (cqe = lam_ring_peek(&u->ring, i)); i++)
		if (cqe->res < 0) {
			u->entries.all[cqe->user_data].refused = true;
			if (cqe->user_data < u->entries.queues)
				err = cqe->res;
		}
	return err;
}

/* Entries are numbered queue by queue within each rank, so the first ones decide. */
int lam_uring_register(struct lam_uring *u)
{
	int flags = fcntl(u->fd, F_GETFL), err = 0;
	uint32_t i;

	for (i = 0; i < u->entries.count; i++) {
		struct lam_ring_entry *entry = &u->entries.all[i];
		struct io_uring_sqe *sqe = command(u, entry, FUSE_IO_URING_CMD_REGISTER);

		sqe->addr = (uintptr_t)entry->iov;
		sqe->len = 2;
	}
	while (!err && u->ring.pending) {
		err = lam_ring_enter(&u->ring, 0);
		if (err == -EINTR)
			err = 0;
	}
	if (!err)
		err = missing(u);
	if (!err && fcntl(u->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		err = -errno;
	if (err) {
		close_parts(u);
		return err;
	}
	poll_for(u, u->fd, DATA_DEVICE);
	poll_for(u, u->wake_fd, DATA_WAKE);
	atomic_store(&u->serves, true);
	return 0;
}

static void commit(struct lam_uring *u, struct lam_ring_entry *entry)
{
	command(u, entry, FUSE_IO_URING_CMD_COMMIT_AND_FETCH);
}

static void commit_filled(struct lam_uring *u)
{
	struct lam_ring_entry *entry, *next;
	uint64_t count;

	if (read(u->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return; /* cannot be: an eventfd of ours */
	pthread_mutex_lock(&u->lock);
	entry = u->filled;
	u->filled = NULL;
	pthread_mutex_unlock(&u->lock);
	for (; entry; entry = next) {
		next = entry->next;
		commit(u, entry);
	}
}

static void take_filled(struct lam_uring *u)
{
	commit_filled(u);
	poll_for(u, u->wake_fd, DATA_WAKE);
}

int lam_uring_wait(struct lam_uring *u)
{
	return lam_ring_enter(&u->ring, 1);
}

/* A command's completion: a request, or a queue that has ended. */
static void fetched(struct lam_uring *u, uint64_t number, int result, struct lam_uring_work *work)
{
	struct lam_ring_entry *entry = &u->entries.all[number];

	if (result < 0) {
		work->error = entry->refused ? 0 : result;
		return;
	}
	work->in = lam_entry_take(entry);
	if (lam_entry_is_empty(entry)) {
		work->out = entry->payload;
		work->out_size = u->entries.payload;
	}
	pthread_mutex_lock(&u->lock);
	lam_entries_note(&u->entries, entry);
	pthread_mutex_unlock(&u->lock);
}

bool lam_uring_next(struct lam_uring *u, struct lam_uring_work *work)
{
	const struct io_uring_cqe *cqe;

	*work = (struct lam_uring_work){ .error = 0 };
	while ((cqe = lam_ring_peek(&u->ring, 0))) {
		uint64_t data = cqe->user_data;
		int result = cqe->res;

		lam_ring_seen(&u->ring);
		if (data == DATA_WAKE) {
			take_filled(u);
			continue;
		}
		if (data == DATA_DEVICE)
			poll_for(u, u->fd, DATA_DEVICE); /* looks again when it is handed over */
		else
			fetched(u, data, result, work);
		return true;
	}
	return false;
}

void lam_uring_linger(struct lam_uring *u)
{
	const struct io_uring_cqe *cqe;
	int err = 0;

	while (lam_uring_serves(u) && !atomic_load(&u->dismissed) && (!err || err == -EINTR)) {
		err = lam_uring_wait(u);
		while (!err && (cqe = lam_ring_peek(&u->ring, 0))) {
			bool woken = cqe->user_data == DATA_WAKE;

			lam_ring_seen(&u->ring); /* a request stays unanswered, as if nobody had read it */
			if (woken)
				take_filled(u);
		}
	}
	if (!lam_uring_serves(u))
		return;
	commit_filled(u);
	lam_ring_enter(&u->ring, 0);
}

/* ---- anybody's ---- */

static void wake(struct lam_uring *u)
{
	uint64_t one = 1;

	if (write(u->wake_fd, &one, sizeof(one)) < 0)
		return; /* EAGAIN: the counter is full, so the owner wakes anyway */
}

void lam_uring_dismiss(struct lam_uring *u)
{
	atomic_store(&u->dismissed, true);
	wake(u);
}

void lam_uring_settle(struct lam_uring *u, int result)
{
	pthread_mutex_lock(&u->lock);
	if (!u->settled)
		u->result = result;
	u->settled = true;
	pthread_cond_broadcast(&u->settling);
	pthread_mutex_unlock(&u->lock);
}

int lam_uring_settled(struct lam_uring *u)
{
	int result;

	pthread_mutex_lock(&u->lock);
	while (!u->settled)
		pthread_cond_wait(&u->settling, &u->lock);
	result = u->result;
	pthread_mutex_unlock(&u->lock);
	return result;
}

bool lam_uring_serves(const struct lam_uring *u)
{
	return u && atomic_load_explicit(&u->serves, memory_order_acquire);
}

bool lam_uring_reply(struct lam_uring *u, uint64_t unique, int error, const void *data, size_t size)
{
	struct lam_ring_entry *entry;
	bool first = false;

	if (!lam_uring_serves(u))
		return false;
	pthread_mutex_lock(&u->lock);
	entry = lam_entries_strike(&u->entries, unique);
	pthread_mutex_unlock(&u->lock);
	if (!entry)
		return false;
	lam_entry_fill(entry, error, data, size);
	if (pthread_equal(pthread_self(), u->owner)) {
		commit(u, entry);
		return true;
	}
	pthread_mutex_lock(&u->lock);
	first = !u->filled;
	entry->next = u->filled;
	u->filled = entry;
	pthread_mutex_unlock(&u->lock);
	if (first)
		wake(u);
	return true;
}

int lam_uring_stir_fd(const struct lam_uring *u)
{
	return u->stir_fd;
}

void lam_uring_stir(struct lam_uring *u, bool on)
{
	uint64_t count;

	lam_ring_signals(&u->ring, on);
	if (!on && read(u->stir_fd, &count, sizeof(count)) < 0)
		return; /* EAGAIN: nothing to forget */
}
