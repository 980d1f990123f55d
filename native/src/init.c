/* SPDX-License-Identifier: MIT */
/*
 * init - what kernel and server agree on
 *
 * Theory.  The kernel offers flags, the reply takes some.  Taken wherever offered: what saves
 * requests or copies.  Chosen by probing: passthrough (needs CAP_SYS_ADMIN in the initial user
 * namespace, and excludes the writeback cache) where it is asked for or the mount is read-only,
 * else stateless opens.  Never taken: locks (they
 * stay the kernel's, no other host sees the mount), AUTO_INVAL_DATA (the core is the only
 * writer), EXPORT_SUPPORT (forgotten nodes cannot be found by number).  READDIRPLUS_AUTO leaves
 * it to the kernel after a directory's first listing: with attributes for who asks for them
 * (the walk costs the same), without for who wants 100,000 names (half the time).
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ops.h"
#include "uring.h"

#define OLDEST_MINOR 23 /* Linux 3.15; below, structures have other sizes */
#define DIRECT_MINOR 45 /* Linux 6.18: a direct write takes pages away that were read meanwhile */
#define BACKGROUND 64	/* requests without a waiting caller (readahead, writeback) under way */
#define CONGESTION 48
#define STACK_DEPTH 1 /* backing files lie on plain file systems; kernel overlayfs may lie on us */
#define INITIAL_USER_NS "user:[4026531837]" /* PROC_USER_INIT_INO */

#define ALWAYS                                                                                          \
	(FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ASYNC_DIO | FUSE_DONT_MASK | FUSE_DO_READDIRPLUS |    \
	 FUSE_READDIRPLUS_AUTO | FUSE_PARALLEL_DIROPS | FUSE_CACHE_SYMLINKS | FUSE_NO_OPENDIR_SUPPORT | \
	 FUSE_EXPLICIT_INVAL_DATA | FUSE_MAX_PAGES | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT |      \
	 FUSE_HAS_IOCTL_DIR | FUSE_INIT_EXT | FUSE_DIRECT_IO_ALLOW_MMAP)

/* The slow path opens files: then the server's two shortcuts around handles are out. */
static bool forwards_handles(const struct lam_server *srv)
{
	return srv->forward & (1ull << FUSE_OPEN);
}

static bool may_register_files(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = 0 } };
	char ns[64];
	ssize_t n;

	if (syscall(SYS_capget, &head, data) < 0 || !(data[0].effective & (1u << CAP_SYS_ADMIN)))
		return false;
	n = readlink("/proc/self/ns/user", ns, sizeof(ns));
	return n == (ssize_t)strlen(INITIAL_USER_NS) && !memcmp(ns, INITIAL_USER_NS, (size_t)n);
}

static bool wants_passthrough(const struct lam_server *srv, uint64_t offered)
{
	const struct lam_server_config *config = &srv->config;

	if (config->passthrough == LAM_OFF || config->writeback == LAM_ON || forwards_handles(srv))
		return false;
	if (config->passthrough == LAM_AUTO && config->stateless != LAM_OFF &&
	    (config->stateless == LAM_ON || !lam_core_readonly(srv->core) || lam_core_only_images(srv->core)))
		return false;
	return (offered & FUSE_PASSTHROUGH) && may_register_files();
}

/* The rings are there before the kernel is told: it then waits for them. */
static bool opens_ring(struct lam_server *srv, uint64_t offered)
{
	int err;

	if (!srv->uring)
		return false;
	err = offered & FUSE_OVER_IO_URING ? lam_uring_open(srv->uring, srv->fd, srv->config.max_write)
					   : -EOPNOTSUPP;
	if (err)
		lam_uring_settle(srv->uring, err);
	return !err;
}

static uint64_t choose(struct lam_server *srv, uint64_t offered)
{
	const struct lam_server_config *config = &srv->config;
	bool passthrough = wants_passthrough(srv, offered);
	bool stateless = !passthrough && config->stateless != LAM_OFF && !config->direct_read &&
			 !forwards_handles(srv) && (offered & FUSE_NO_OPEN_SUPPORT);
	uint64_t want = ALWAYS;

	if (srv->forward & (1ull << FUSE_OPENDIR))
		want &= ~(uint64_t)FUSE_READDIRPLUS_AUTO; /* pyfuse3 lists with attributes only */
	if (passthrough)
		want |= FUSE_PASSTHROUGH;
	if (opens_ring(srv, offered))
		want |= FUSE_OVER_IO_URING;
	want |= stateless ? FUSE_NO_OPEN_SUPPORT : FUSE_ATOMIC_O_TRUNC;
	if (config->writeback == LAM_ON)
		want |= FUSE_WRITEBACK_CACHE;
	if (lam_core_posix_acl(srv->core))
		want |= FUSE_POSIX_ACL;
	srv->passthrough_lower = srv->config.passthrough == LAM_ON || lam_core_readonly(srv->core);
	atomic_store(&srv->passthrough, passthrough);
	srv->session.stateless = stateless;
	srv->session.direct_create = stateless && config->writeback != LAM_ON && !srv->forward &&
				     srv->session.minor >= DIRECT_MINOR &&
				     (offered & FUSE_DIRECT_IO_ALLOW_MMAP) &&
				     (offered & FUSE_HANDLE_KILLPRIV_V2);
	return want & offered;
}

static void settle(struct lam_server *srv, const struct fuse_init_in *in, uint64_t offered)
{
	struct lam_session *session = &srv->session;
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);

	session->minor = in->minor < FUSE_KERNEL_MINOR_VERSION ? in->minor : FUSE_KERNEL_MINOR_VERSION;
	session->flags = choose(srv, offered);
	session->writeback = session->flags & FUSE_WRITEBACK_CACHE;
	session->setxattr_ext = session->flags & FUSE_SETXATTR_EXT;
	session->max_write = srv->config.max_write;
	if (!(session->flags & FUSE_MAX_PAGES) && session->max_write > 32 * page)
		session->max_write = 32 * page;
	if ((session->flags & FUSE_OVER_IO_URING) && session->max_write > lam_uring_max_write(srv->uring))
		session->max_write = lam_uring_max_write(srv->uring);
}

/* Over io_uring any reply has to fit: an attribute's value, too. */
static uint16_t max_pages(const struct lam_session *session, uint32_t page)
{
	uint32_t least = session->flags & FUSE_OVER_IO_URING ? LAM_URING_REPLY_MAX / page : 0;

	return (uint16_t)(session->max_write / page > least ? session->max_write / page : least);
}

int lam_op_init(struct lam_req *req)
{
	const struct fuse_init_in *in = req->in;
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
	struct lam_server *srv = req->srv;
	struct lam_session *session = &srv->session;
	uint64_t offered = in->flags;
	struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION };

	if (session->ready || in->major < FUSE_KERNEL_VERSION)
		return -EPROTO;
	if (in->major > FUSE_KERNEL_VERSION) { /* the kernel asks again with ours */
		lam_reply(req, &out, sizeof(out));
		return 0;
	}
	if (in->minor < OLDEST_MINOR)
		return -EPROTO;
	if ((offered & FUSE_INIT_EXT) && req->left >= sizeof(in->flags2))
		offered |= (uint64_t)in->flags2 << 32;
	settle(srv, in, offered);
	out.max_readahead = in->max_readahead;
	out.flags = (uint32_t)session->flags;
	out.flags2 = (uint32_t)(session->flags >> 32);
	out.max_background = BACKGROUND;
	out.congestion_threshold = CONGESTION;
	out.max_write = session->max_write;
	out.time_gran = 1;
	out.max_pages = max_pages(session, page);
	out.max_stack_depth = session->flags & FUSE_PASSTHROUGH ? STACK_DEPTH : 0;
	session->ready = true;
	lam_reply(req, &out, sizeof(out));
	return 0;
}

int lam_op_destroy(struct lam_req *req)
{
	lam_reply(req, NULL, 0);
	return 0;
}
