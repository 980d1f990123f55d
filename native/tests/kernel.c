/* SPDX-License-Identifier: MIT */
/* kernel - see kernel.h */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "kernel.h"

#define PATIENCE_SECONDS 20 /* sanitizers on a busy machine */

void kernel_watchdog(unsigned int seconds)
{
	signal(SIGALRM, SIG_DFL);
	alarm(seconds);
}

static void subdir(const struct kernel *kernel, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", kernel->top, name);
	EXPECT(mkdir(path, 0755) == 0);
}

void kernel_make_core(struct kernel *kernel)
{
	char lower[96], upper[96], work[96], mnt[96], why[256] = "";
	const char *lowers[1] = { lower }, *uppers[1] = { upper }, *works[1] = { work };
	struct lam_config config = {
		.lower = lowers,
		.upper = uppers,
		.work = works,
		.nlower = 1,
		.nupper = 1,
		.flags = LAM_CFG_METACOPY | (geteuid() ? LAM_CFG_USERXATTR : 0),
		.redirect = LAM_REDIRECT_ON,
	};

	snprintf(kernel->top, sizeof(kernel->top), "/tmp/lamina-test-XXXXXX");
	EXPECT(mkdtemp(kernel->top));
	subdir(kernel, "lower", lower, sizeof(lower));
	subdir(kernel, "upper", upper, sizeof(upper));
	subdir(kernel, "work", work, sizeof(work));
	subdir(kernel, "mnt", mnt, sizeof(mnt));
	if (lam_core_open(&config, why, sizeof(why), &kernel->core)) {
		fprintf(stderr, "lam_core_open: %s\n", why);
		exit(1);
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void kernel_drop_core(struct kernel *kernel)
{
	lam_core_close(kernel->core);
	kernel->core = NULL;
	nftw(kernel->top, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void handshake(struct kernel *kernel)
{
	struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 131072,
		.flags = 0xffffffff,
		.flags2 = 0xffffffff,
	};

	EXPECT(kernel_call(kernel, FUSE_INIT, 0, &in, sizeof(in)) == sizeof(struct fuse_init_out));
}

void kernel_open(struct kernel *kernel, const struct lam_server_config *config, int init)
{
	struct lam_server_config mine = config ? *config : (struct lam_server_config){ .fuse_fd = -1 };
	struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	int pair[2], size = 1 << 20;

	*kernel = (struct kernel){ .fd = -1 };
	kernel->packet = malloc(KERNEL_PACKET);
	EXPECT(kernel->packet);
	kernel_make_core(kernel);
	EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	kernel->fd = pair[0];
	kernel->server_fd = pair[1];
	setsockopt(kernel->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(kernel->server_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	EXPECT(setsockopt(kernel->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
	mine.fuse_fd = kernel->server_fd;
	mine.max_write = 65536;
	EXPECT(lam_server_open(kernel->core, &mine, &kernel->srv) == 0);
	EXPECT(lam_server_start(kernel->srv) == 0);
	if (init)
		handshake(kernel);
}

void kernel_hang_up(struct kernel *kernel)
{
	EXPECT(close(kernel->fd) == 0);
	kernel->fd = -1;
}

void kernel_close(struct kernel *kernel)
{
	lam_server_free(kernel->srv);
	if (kernel->fd >= 0)
		close(kernel->fd);
	close(kernel->server_fd);
	kernel_drop_core(kernel);
	free(kernel->packet);
}

void kernel_send_raw(struct kernel *kernel, const void *packet, size_t len)
{
	EXPECT(send(kernel->fd, packet, len, MSG_NOSIGNAL) == (ssize_t)len);
}

uint64_t kernel_send(struct kernel *kernel, uint32_t opcode, uint64_t nodeid, const void *body, size_t len)
{
	struct fuse_in_header *head = calloc(1, sizeof(*head) + len);

	EXPECT(head);
	kernel->unique += 2;
	head->len = (uint32_t)(sizeof(*head) + len);
	head->opcode = opcode;
	head->unique = kernel->unique;
	head->nodeid = nodeid;
	head->uid = geteuid();
	head->gid = getegid();
	head->pid = (uint32_t)getpid();
	if (len)
		memcpy(head + 1, body, len);
	kernel_send_raw(kernel, head, sizeof(*head) + len);
	free(head);
	return kernel->unique;
}

uint64_t kernel_receive(struct kernel *kernel)
{
	const struct fuse_out_header *head = (const void *)kernel->packet;
	ssize_t n = recv(kernel->fd, kernel->packet, KERNEL_PACKET, 0);

	EXPECT(n >= (ssize_t)sizeof(*head));
	EXPECT(head->len == n);
	EXPECT(head->error <= 0 && head->error > -512);
	EXPECT(head->error == 0 || n == sizeof(*head));
	kernel->len = (size_t)n;
	return head->unique;
}

int kernel_call(struct kernel *kernel, uint32_t opcode, uint64_t nodeid, const void *body, size_t len)
{
	const struct fuse_out_header *head = (const void *)kernel->packet;
	uint64_t unique = kernel_send(kernel, opcode, nodeid, body, len);

	EXPECT(kernel_receive(kernel) == unique);
	return head->error ? head->error : (int)(kernel->len - sizeof(*head));
}

const void *kernel_data(const struct kernel *kernel)
{
	return kernel->packet + sizeof(struct fuse_out_header);
}

uint64_t kernel_lookup(struct kernel *kernel, const char *name)
{
	const struct fuse_entry_out *out = kernel_data(kernel);

	EXPECT(kernel_call(kernel, FUSE_LOOKUP, FUSE_ROOT_ID, name, strlen(name) + 1) == sizeof(*out));
	return out->nodeid;
}
