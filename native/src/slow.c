/* SPDX-License-Identifier: MIT */
/* slow - see slow.h */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "amend.h"
#include "channel.h"
#include "pool.h"
#include "slow.h"
#include "u64set.h"

#define CONTROL_PREFIX "user.lamina."
#define SOCKET_BUFFER (4 << 20)
#define PACKET_MAX (132u << 10) /* a request or reply; the kernel wants its memory in few pieces */
#define PACKET_SLACK 512u	/* what the socket adds to a packet */
#define SEND_WAIT_MS 100
#define RELAY_BURST 16
#define INIT_UNIQUE 0x6c616d696e610000ull /* the kernel counts from 2 */
#define INIT_MINOR 31
#define INIT_FLAGS                                                                                        \
	(FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_DONT_MASK | FUSE_DO_READDIRPLUS | \
	 FUSE_PARALLEL_DIROPS | FUSE_NO_OPENDIR_SUPPORT | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS)

struct lam_slow {
	struct lam_server *srv;
	int fd;
	int peer;
	ino_t peer_ino; /* libfuse may close 'peer': close what is still ours */
	uint32_t packet_max;
	atomic_bool failed;
	atomic_bool hung_up;	     /* the peer is closed: nothing will come */
	pthread_mutex_t lock;	     /* order of packets, and what follows */
	bool wanted;		     /* INIT is on its way */
	struct lam_u64set under_way; /* unique */
	struct lam_u64set entries;   /* of these, whose replies have one of amend.h's shapes */
	struct lam_u64set listings;
	struct lam_u64set handles;
	struct lam_buf *buf; /* the relay's */
};

static void widen(int fd)
{
	int size = SOCKET_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static uint32_t packet_max(int fd)
{
	int size = 0;
	socklen_t len = sizeof(size);

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) < 0 || size < 8192)
		return 0;
	return (uint32_t)size - PACKET_SLACK < PACKET_MAX ? (uint32_t)size - PACKET_SLACK : PACKET_MAX;
}

struct lam_slow *lam_slow_new(struct lam_server *srv)
{
	struct lam_slow *slow = calloc(1, sizeof(*slow));
	struct stat st;
	int pair[2];

	if (!slow)
		return NULL;
	slow->buf = lam_buf_new(PACKET_MAX + PACKET_SLACK);
	if (!slow->buf || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		lam_buf_free(slow->buf);
		free(slow);
		return NULL;
	}
	slow->srv = srv;
	slow->fd = pair[0];
	slow->peer = pair[1];
	widen(slow->fd);
	widen(slow->peer);
	slow->packet_max = packet_max(slow->fd);
	slow->peer_ino = fstat(slow->peer, &st) < 0 ? 0 : st.st_ino;
	pthread_mutex_init(&slow->lock, NULL);
	return slow;
}

static bool has_peer(const struct lam_slow *slow)
{
	struct stat st;

	return fstat(slow->peer, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == slow->peer_ino;
}

void lam_slow_free(struct lam_slow *slow)
{
	if (!slow)
		return;
	if (has_peer(slow))
		close(slow->peer);
	close(slow->fd);
	lam_buf_free(slow->buf);
	lam_u64set_clear(&slow->under_way);
	lam_u64set_clear(&slow->entries);
	lam_u64set_clear(&slow->listings);
	lam_u64set_clear(&slow->handles);
	pthread_mutex_destroy(&slow->lock);
	free(slow);
}

int lam_slow_peer_fd(const struct lam_slow *slow)
{
	return slow->peer;
}

bool lam_slow_is_control(const char *name)
{
	return !strncmp(name, CONTROL_PREFIX, sizeof(CONTROL_PREFIX) - 1);
}

bool lam_slow_failed(const struct lam_slow *slow)
{
	return atomic_load(&slow->failed);
}

/* READ and the listings: the reply's room is the structure's business. */
bool lam_slow_fits(const struct lam_slow *slow, const struct lam_req *req)
{
	const struct fuse_read_in *in = req->in;
	uint32_t opcode = req->head->opcode;

	if (req->head->len > slow->packet_max)
		return false;
	if (opcode != FUSE_READ && opcode != FUSE_READDIR && opcode != FUSE_READDIRPLUS)
		return true;
	return in->size <= slow->packet_max - sizeof(struct fuse_out_header);
}

/* ---- to the slow path ---- */

static int send_packet(struct lam_slow *slow, struct iovec *iov, size_t count)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = count };
	ssize_t n;

	do
		n = sendmsg(slow->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Called locked. */
static int send_init(struct lam_slow *slow)
{
	struct {
		struct fuse_in_header head;
		uint32_t major, minor, max_readahead, flags;
	} init = {
		.head = { .len = sizeof(init), .opcode = FUSE_INIT, .unique = INIT_UNIQUE },
		.major = FUSE_KERNEL_VERSION,
		.minor = INIT_MINOR,
		.max_readahead = slow->packet_max,
		.flags = (uint32_t)INIT_FLAGS,
	};
	struct iovec iov = { .iov_base = &init, .iov_len = sizeof(init) };
	int err = send_packet(slow, &iov, 1);

	if (err)
		return err;
	slow->wanted = true;
	lam_server_raise(slow->srv, LAM_EVENT_SLOW_WANTED);
	return 0;
}

/*
 * Called locked.  The nodeid becomes the core's.  SETXATTR loses the half of its structure that
 * came with FUSE_SETXATTR_EXT, which libfuse was not offered.
 */
static int send_request(struct lam_slow *slow, const struct lam_req *req)
{
	size_t all = req->head->len - sizeof(*req->head);
	const unsigned char *body = (const unsigned char *)(req->head + 1);
	bool cut = req->head->opcode == FUSE_SETXATTR && slow->srv->session.setxattr_ext;
	size_t first = cut ? FUSE_COMPAT_SETXATTR_IN_SIZE : all;
	size_t skip = cut ? sizeof(struct fuse_setxattr_in) : all;
	struct fuse_in_header head = *req->head;
	struct iovec iov[3] = {
		{ .iov_base = &head, .iov_len = sizeof(head) },
		{ .iov_base = (void *)body, .iov_len = first },
		{ .iov_base = (void *)(body + skip), .iov_len = all - skip },
	};

	head.nodeid = req->nodeid;
	head.len = (uint32_t)(sizeof(head) + first + all - skip);
	return send_packet(slow, iov, 3);
}

/* Called locked. */
static int remember(struct lam_slow *slow, const struct fuse_in_header *head)
{
	enum lam_shape shape = lam_amend_shape(head->opcode);
	int err = lam_u64set_add(&slow->under_way, head->unique);

	if (!err && shape == LAM_SHAPE_ENTRY)
		err = lam_u64set_add(&slow->entries, head->unique);
	if (!err && shape == LAM_SHAPE_LISTING)
		err = lam_u64set_add(&slow->listings, head->unique);
	return err;
}

/* Called locked. */
static enum lam_shape strike_out(struct lam_slow *slow, uint64_t unique)
{
	enum lam_shape shape = LAM_SHAPE_OTHER;

	if (lam_u64set_has(&slow->entries, unique))
		shape = LAM_SHAPE_ENTRY;
	else if (lam_u64set_has(&slow->listings, unique))
		shape = LAM_SHAPE_LISTING;
	lam_u64set_remove(&slow->under_way, unique);
	lam_u64set_remove(&slow->entries, unique);
	lam_u64set_remove(&slow->listings, unique);
	return shape;
}

static int try_send(struct lam_slow *slow, const struct lam_req *req)
{
	int err = 0;

	pthread_mutex_lock(&slow->lock);
	if (atomic_load(&slow->failed))
		err = -EPIPE;
	else if (!slow->wanted)
		err = send_init(slow);
	if (!err)
		err = remember(slow, req->head);
	if (!err)
		err = send_request(slow, req);
	if (err)
		strike_out(slow, req->head->unique);
	pthread_mutex_unlock(&slow->lock);
	return err;
}

int lam_slow_send(struct lam_slow *slow, const struct lam_req *req)
{
	struct pollfd pfd = { .fd = slow->fd, .events = POLLOUT };
	int err;

	for (;;) {
		err = try_send(slow, req);
		if (err != -EAGAIN && err != -ENOBUFS)
			return err;
		if (!req->worker->may_block)
			return -LAM_EAGAIN;
		if (atomic_load(&slow->srv->stopping))
			return -EPIPE;
		poll(&pfd, 1, SEND_WAIT_MS);
	}
}

/* ---- from the slow path ---- */

int lam_slow_relay_fd(const struct lam_slow *slow)
{
	return atomic_load(&slow->hung_up) ? -1 : slow->fd;
}

static void carry(struct lam_slow *slow, struct lam_buf *buf)
{
	const struct fuse_out_header *head = (const void *)buf->data;
	void *data = buf->data + sizeof(*head);
	int device = slow->srv->fd;
	enum lam_shape shape;

	if (buf->len < sizeof(*head) || head->unique == INIT_UNIQUE)
		return;
	if (head->unique == 0) { /* the code of a notification is no error: pass it as it is */
		if (write(device, buf->data, buf->len) < 0)
			return; /* what the kernel does not know it need not drop */
		return;
	}
	pthread_mutex_lock(&slow->lock);
	shape = strike_out(slow, head->unique);
	pthread_mutex_unlock(&slow->lock);
	if (!head->error)
		lam_amend_reply(slow->srv, shape, data, buf->len - sizeof(*head));
	if (lam_answer(slow->srv, head->unique, head->error, data, buf->len - sizeof(*head)) == -EINVAL)
		lam_answer(slow->srv, head->unique, -EIO, NULL, 0);
}

void lam_slow_relay(struct lam_slow *slow)
{
	struct lam_buf *buf = slow->buf;

	for (int i = 0; i < RELAY_BURST; i++) {
		ssize_t n = recv(slow->fd, buf->data, buf->cap, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			atomic_store(&slow->hung_up, true);
			lam_slow_give_up(slow);
			return;
		}
		buf->len = (size_t)n;
		carry(slow, buf);
	}
}

/* ---- no slow path ---- */

/* A packet that nobody read, as the dispatcher knows it: what send_request() cut off is put back as zeros. */
static struct lam_buf *uncut(const struct lam_slow *slow, const unsigned char *packet, size_t len)
{
	const struct fuse_in_header *head = (const void *)packet;
	size_t keep = sizeof(*head) + FUSE_COMPAT_SETXATTR_IN_SIZE;
	size_t gap = sizeof(struct fuse_setxattr_in) - FUSE_COMPAT_SETXATTR_IN_SIZE;
	struct lam_buf *buf;

	if (head->opcode != FUSE_SETXATTR || !slow->srv->session.setxattr_ext || len < keep) {
		keep = len;
		gap = 0;
	}
	buf = lam_buf_new(len + gap);
	if (!buf)
		return NULL;
	memcpy(buf->data, packet, keep);
	memset(buf->data + keep, 0, gap);
	memcpy(buf->data + keep + gap, packet + keep, len - keep);
	buf->len = len + gap;
	((struct fuse_in_header *)(void *)buf->data)->len = (uint32_t)buf->len;
	return buf;
}

/* Called locked. */
static void take_back_unread(struct lam_slow *slow)
{
	struct lam_buf *packet = lam_buf_new(PACKET_MAX + PACKET_SLACK);
	struct lam_buf *buf;
	ssize_t n;

	while (packet && (n = recv(slow->peer, packet->data, packet->cap, MSG_DONTWAIT)) > 0) {
		const struct fuse_in_header *head = (const void *)packet->data;

		if ((size_t)n < sizeof(*head) || head->unique == INIT_UNIQUE)
			continue;
		buf = uncut(slow, packet->data, (size_t)n);
		if (!buf)
			break;
		strike_out(slow, head->unique);
		lam_pool_submit(slow->srv->pool, buf);
	}
	lam_buf_free(packet);
}

void lam_slow_give_up(struct lam_slow *slow)
{
	uint64_t unique;

	pthread_mutex_lock(&slow->lock);
	if (!atomic_exchange(&slow->failed, true) && has_peer(slow))
		take_back_unread(slow);
	while (lam_u64set_pop(&slow->under_way, &unique))
		lam_answer(slow->srv, unique, -EIO, NULL, 0);
	pthread_mutex_unlock(&slow->lock);
}

/* ---- handles ---- */

void lam_slow_own_handle(struct lam_slow *slow, uint64_t fh)
{
	if (!(slow->srv->forward & (1ull << FUSE_RELEASE)))
		return;
	pthread_mutex_lock(&slow->lock);
	lam_u64set_add(&slow->handles,
		       fh); /* without memory the slow path sees a handle of the core: it works */
	pthread_mutex_unlock(&slow->lock);
}

void lam_slow_disown_handle(struct lam_slow *slow, uint64_t fh)
{
	if (!(slow->srv->forward & (1ull << FUSE_RELEASE)))
		return;
	pthread_mutex_lock(&slow->lock);
	lam_u64set_remove(&slow->handles, fh);
	pthread_mutex_unlock(&slow->lock);
}

bool lam_slow_owns_handle(struct lam_slow *slow, uint64_t fh)
{
	bool owned;

	pthread_mutex_lock(&slow->lock);
	owned = lam_u64set_has(&slow->handles, fh);
	pthread_mutex_unlock(&slow->lock);
	return owned;
}
