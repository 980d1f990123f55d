/* SPDX-License-Identifier: MIT */
/* backing - see backing.h */
#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lamina/core.h>
#include <lamina/fuse_abi.h>

#include "backing.h"

#define FIRST_BUCKETS 256u

struct inode {
	struct inode *next; /* in its bucket */
	uint64_t nodeid;    /* as the kernel knows it */
	dev_t dev;	    /* the real file */
	ino_t ino;
	int32_t id; /* backing id; 0: this inode uses the page cache */
	uint32_t nopen;
	bool aliased;		/* lookups are answered with the alias */
	uint64_t alias_lookups; /* that the kernel holds on it */
};

struct lam_backing {
	int fuse_fd;
	atomic_uint count;   /* inodes in the table: 0 answers most calls without the lock */
	atomic_uint aliased; /* of those */
	pthread_mutex_t lock;
	uint32_t nbuckets; /* a power of two */
	struct inode **buckets;
};

struct lam_backing *lam_backing_new(int fuse_fd)
{
	struct lam_backing *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->fuse_fd = fuse_fd;
	b->nbuckets = FIRST_BUCKETS;
	b->buckets = calloc(b->nbuckets, sizeof(b->buckets[0]));
	if (!b->buckets) {
		free(b);
		return NULL;
	}
	pthread_mutex_init(&b->lock, NULL);
	return b;
}

void lam_backing_free(struct lam_backing *b)
{
	if (!b)
		return;
	for (uint32_t i = 0; i < b->nbuckets; i++)
		while (b->buckets[i]) {
			struct inode *inode = b->buckets[i];

			b->buckets[i] = inode->next;
			free(inode);
		}
	pthread_mutex_destroy(&b->lock);
	free(b->buckets);
	free(b);
}

static uint32_t bucket_of(uint64_t nodeid, uint32_t nbuckets)
{
	return (uint32_t)((nodeid * 0x9e3779b97f4a7c15ull) >> 32) & (nbuckets - 1);
}

/* The link that points to the inode, or to the end of its bucket. */
static struct inode **find(struct lam_backing *b, uint64_t nodeid)
{
	struct inode **at = &b->buckets[bucket_of(nodeid, b->nbuckets)];

	while (*at && (*at)->nodeid != nodeid)
		at = &(*at)->next;
	return at;
}

/* A failure to grow is no failure: the chains get longer. */
static void grow(struct lam_backing *b)
{
	uint32_t nbuckets = b->nbuckets * 2;
	struct inode **buckets = calloc(nbuckets, sizeof(buckets[0]));

	if (!buckets)
		return;
	for (uint32_t i = 0; i < b->nbuckets; i++)
		while (b->buckets[i]) {
			struct inode *inode = b->buckets[i];
			struct inode **to = &buckets[bucket_of(inode->nodeid, nbuckets)];

			b->buckets[i] = inode->next;
			inode->next = *to;
			*to = inode;
		}
	free(b->buckets);
	b->buckets = buckets;
	b->nbuckets = nbuckets;
}

static struct inode *insert(struct lam_backing *b, uint64_t nodeid)
{
	struct inode *inode = calloc(1, sizeof(*inode));
	struct inode **at;

	if (!inode)
		return NULL;
	if (atomic_load(&b->count) >= b->nbuckets)
		grow(b);
	at = find(b, nodeid);
	inode->nodeid = nodeid;
	inode->next = *at;
	*at = inode;
	atomic_fetch_add(&b->count, 1);
	return inode;
}

/*
 * The alias is needed while the kernel holds it, and while an old handle keeps the first nodeid's
 * backing file: the kernel may forget a first answer and look up once more before it opens.
 */
static void drop_if_idle(struct lam_backing *b, struct inode **at)
{
	struct inode *inode = *at;

	if (inode->nopen || inode->alias_lookups)
		return;
	if (inode->aliased)
		atomic_fetch_sub(&b->aliased, 1);
	*at = inode->next;
	free(inode);
	atomic_fetch_sub(&b->count, 1);
}

uint64_t lam_backing_visible(struct lam_backing *b, uint64_t nodeid)
{
	struct inode *inode;

	if (atomic_load(&b->aliased) == 0)
		return nodeid;
	pthread_mutex_lock(&b->lock);
	inode = *find(b, nodeid);
	if (inode && inode->aliased) {
		inode->alias_lookups++;
		nodeid |= LAM_ALIAS_BIT;
	}
	pthread_mutex_unlock(&b->lock);
	return nodeid;
}

void lam_backing_forget(struct lam_backing *b, uint64_t nodeid, uint64_t nlookup)
{
	struct inode **at;

	if (!(nodeid & LAM_ALIAS_BIT))
		return;
	pthread_mutex_lock(&b->lock);
	at = find(b, lam_backing_real(nodeid));
	if (*at) {
		struct inode *inode = *at;

		inode->alias_lookups -= nlookup < inode->alias_lookups ? nlookup : inode->alias_lookups;
		drop_if_idle(b, at);
	}
	pthread_mutex_unlock(&b->lock);
}

/* The kernel writes to the backing file with the credentials that this thread has at the ioctl. */
static int open_without_fsetid(int fuse_fd, struct fuse_backing_map *map)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct had[2], less[2];
	int rc, saved;

	if (syscall(SYS_capget, &head, had) < 0)
		return -1;
	memcpy(less, had, sizeof(less));
	less[CAP_TO_INDEX(CAP_FSETID)].effective &= ~CAP_TO_MASK(CAP_FSETID);
	if (syscall(SYS_capset, &head, less) < 0)
		return -1;
	rc = ioctl(fuse_fd, FUSE_DEV_IOC_BACKING_OPEN, map);
	saved = errno;
	syscall(SYS_capset, &head, had); /* to what is permitted anyway: cannot fail */
	errno = saved;
	return rc;
}

/* What the kernel says to a first passthrough open; 0 with the id, or cached if the file does not lend itself. */
static int register_file(struct lam_backing *b, const struct lam_data *data, int32_t *id)
{
	struct fuse_backing_map map = { .fd = data->fd };
	bool lower = data->flags & LAM_DATA_IMMUTABLE; /* nobody writes through this one */
	int rc = lower ? ioctl(b->fuse_fd, FUSE_DEV_IOC_BACKING_OPEN, &map)
		       : open_without_fsetid(b->fuse_fd, &map);

	*id = rc > 0 ? rc : 0;
	if (rc < 0 && (errno == EPERM || errno == ENOTTY || errno == EOPNOTSUPP))
		return -EPERM;
	return 0; /* else e.g. ELOOP: the layer is itself a stacked file system */
}

static int first_open(struct lam_backing *b, uint64_t nodeid, const struct lam_data *data,
		      const struct stat *st, bool suitable)
{
	struct inode *inode = *find(b, nodeid);
	int32_t id = 0;

	if (suitable && register_file(b, data, &id))
		return -EPERM;
	if (!inode)
		inode = insert(b, nodeid);
	if (!inode) {
		ioctl(b->fuse_fd, FUSE_DEV_IOC_BACKING_CLOSE, &id);
		return -ENOMEM;
	}
	inode->dev = st->st_dev;
	inode->ino = st->st_ino;
	inode->id = id;
	inode->nopen = 1;
	return 0;
}

static int next_open(struct lam_backing *b, struct inode *inode, const struct stat *st)
{
	if (inode->id == 0 || (inode->dev == st->st_dev && inode->ino == st->st_ino)) {
		inode->nopen++;
		return 0;
	}
	if (!(inode->nodeid & LAM_ALIAS_BIT) && !inode->aliased) {
		inode->aliased = true;
		inode->alias_lookups = 0;
		atomic_fetch_add(&b->aliased, 1);
	}
	return -ESTALE;
}

int lam_backing_open(struct lam_backing *b, uint64_t nodeid, const struct lam_data *data, bool suitable,
		     struct fuse_open_out *out)
{
	struct inode *inode;
	struct stat st = { .st_ino = 0 };
	int err;

	if (data->fd >= 0 && fstat(data->fd, &st) < 0)
		return -errno;
	pthread_mutex_lock(&b->lock);
	inode = *find(b, nodeid);
	if (inode && inode->nopen)
		err = next_open(b, inode, &st);
	else
		err = first_open(b, nodeid, data, &st, suitable);
	if (!err) {
		out->backing_id = (*find(b, nodeid))->id;
		out->open_flags = out->backing_id ? FOPEN_PASSTHROUGH : FOPEN_KEEP_CACHE;
	}
	pthread_mutex_unlock(&b->lock);
	return err;
}

void lam_backing_close(struct lam_backing *b, uint64_t nodeid)
{
	struct inode **at;

	if (atomic_load(&b->count) == 0)
		return;
	pthread_mutex_lock(&b->lock);
	at = find(b, nodeid);
	if (*at && (*at)->nopen && --(*at)->nopen == 0) {
		uint32_t id = (uint32_t)(*at)->id;

		if (id)
			ioctl(b->fuse_fd, FUSE_DEV_IOC_BACKING_CLOSE, &id);
		drop_if_idle(b, at);
	}
	pthread_mutex_unlock(&b->lock);
}
