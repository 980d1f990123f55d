/* SPDX-License-Identifier: MIT */
/* prime - see prime.h */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prime.h"

bool lam_prime_is(const struct lam_req *req, const char *name)
{
	return req->nodeid == FUSE_ROOT_ID && !strcmp(name, req->srv->prime_name);
}

/* Readable by all, and forgotten at once; a mount with handles has nothing to be told. */
int lam_prime_reply(const struct lam_req *req)
{
	struct fuse_entry_out out = {
		.nodeid = LAM_PRIME_ID,
		.generation = 1,
		.attr_valid = 1,
		.attr = { .ino = LAM_PRIME_ID, .mode = S_IFREG | 0444, .nlink = 1, .blksize = 4096 },
	};

	if (!req->srv->session.stateless)
		return -ENOENT;
	lam_reply(req, &out, sizeof(out));
	return 0;
}

int lam_server_prime(struct lam_server *srv, const char *mountpoint)
{
	unsigned char raw[8];
	size_t used;
	int dir, fd;

	if (srv->forward || srv->config.stateless == LAM_OFF)
		return 0;
	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return -errno;
	used = (size_t)snprintf(srv->prime_name, sizeof(srv->prime_name), ".lamina-");
	for (size_t i = 0; i < sizeof(raw); i++)
		used += (size_t)snprintf(srv->prime_name + used, sizeof(srv->prime_name) - used, "%02x",
					 raw[i]);
	dir = open(mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	atomic_store_explicit(&srv->priming, true, memory_order_release);
	fd = openat(dir, srv->prime_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	atomic_store_explicit(&srv->priming, false, memory_order_release);
	if (fd >= 0)
		close(fd); /* and here the kernel learns of FLUSH */
	close(dir);
	return 0;
}
