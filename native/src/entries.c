/* SPDX-License-Identifier: MIT */
/* entries - see entries.h */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <lamina/fuse_abi.h>

#include "channel.h"
#include "entries.h"
#include "uring.h"

#define QUEUES_MAX 8192u   /* the kernel's NR_CPUS */
#define ENTRIES_WANTED 64u /* of all queues together; a request that waits for a disk keeps its entry */
#define DEPTH_MIN 4u	   /* ... of each, where there are many */
#define DEPTH_MAX 16u
#define PAYLOADS_WANTED (64u << 20)
#define PAYLOAD_MIN LAM_URING_REPLY_MAX
#define FRONT (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))

static uint32_t clamp(uint32_t value, uint32_t least, uint32_t most)
{
	if (value < least)
		return least;
	return value > most ? most : value;
}

/* Possible CPUs, which sysconf(3) does not tell: "0-7", or "0-3,8-11" whose queues the kernel still counts. */
static int possible_cpus(uint32_t *count)
{
	FILE *file = fopen("/sys/devices/system/cpu/possible", "re");
	unsigned int first, last;
	int n, err = -EINVAL;

	if (!file)
		return -errno;
	*count = 0;
	while ((n = fscanf(file, "%u-%u", &first, &last)) > 0) {
		if (n == 1)
			last = first;
		if (last < first || last >= QUEUES_MAX)
			goto out;
		*count += last - first + 1;
		if (fgetc(file) != ',')
			break;
	}
	err = *count ? 0 : -EINVAL;
out:
	fclose(file);
	return err;
}

static int allocate(struct lam_entries *entries, size_t stride)
{
	entries->all = calloc(entries->count, sizeof(entries->all[0]));
	entries->buckets = calloc(entries->nbuckets, sizeof(entries->buckets[0]));
	entries->memory_size = entries->count * stride;
	entries->memory = mmap(NULL, entries->memory_size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (entries->memory == MAP_FAILED)
		entries->memory = NULL;
	return entries->all && entries->buckets && entries->memory ? 0 : -ENOMEM;
}

static void lay_out(struct lam_entries *entries, size_t page, size_t stride)
{
	for (uint32_t i = 0; i < entries->count; i++) {
		struct lam_ring_entry *entry = &entries->all[i];
		unsigned char *base = entries->memory + i * stride;

		entry->number = i;
		entry->qid = (uint16_t)(i % entries->queues);
		entry->header = (void *)base;
		entry->payload = base + page;
		entry->buf = (void *)(entry->payload - FRONT - offsetof(struct lam_buf, data));
		entry->iov[0] = (struct iovec){ base, sizeof(*entry->header) };
		entry->iov[1] = (struct iovec){ entry->payload, entries->payload };
	}
}

int lam_entries_open(struct lam_entries *entries, uint32_t max_write)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), stride;
	int err;

	*entries = (struct lam_entries){ .nbuckets = 1 };
	err = possible_cpus(&entries->queues);
	if (err)
		return err;
	entries->count = entries->queues * clamp(ENTRIES_WANTED / entries->queues, DEPTH_MIN, DEPTH_MAX);
	entries->payload = clamp(PAYLOADS_WANTED / entries->count / PAYLOAD_MIN * PAYLOAD_MIN, PAYLOAD_MIN,
				 max_write > PAYLOAD_MIN ? max_write : PAYLOAD_MIN);
	while (entries->nbuckets < entries->count)
		entries->nbuckets *= 2;
	stride = page + (entries->payload + page - 1) / page * page;
	err = allocate(entries, stride);
	if (err)
		lam_entries_close(entries);
	else
		lay_out(entries, page, stride);
	return err;
}

void lam_entries_close(struct lam_entries *entries)
{
	if (entries->memory)
		munmap(entries->memory, entries->memory_size);
	free(entries->buckets);
	free(entries->all);
	*entries = (struct lam_entries){ .count = 0 };
}

/* ---- a request and its reply ---- */

struct lam_buf *lam_entry_take(struct lam_ring_entry *entry)
{
	const struct fuse_in_header *head = (const void *)entry->header->in_out;
	size_t payload = entry->header->ring_ent_in_out.payload_sz, size;
	struct lam_buf *buf = entry->buf;

	entry->unique = head->unique;
	entry->commit_id = entry->header->ring_ent_in_out.commit_id;
	*buf = (struct lam_buf){ .cap = FRONT + entry->iov[1].iov_len, .lent = true };
	memcpy(buf->data, head, sizeof(*head));
	buf->len = sizeof(*head);
	if (payload > entry->iov[1].iov_len || head->len < sizeof(*head) + payload)
		return buf; /* its length is not what its header says: the dispatcher refuses it */
	size = head->len - sizeof(*head) - payload;
	if (size > sizeof(entry->header->op_in) || head->len > buf->cap)
		return buf;
	if (payload && size != sizeof(struct fuse_write_in))
		memmove(buf->data + sizeof(*head) + size, entry->payload, payload);
	memcpy(buf->data + sizeof(*head), entry->header->op_in, size);
	buf->len = head->len;
	return buf;
}

bool lam_entry_is_empty(const struct lam_ring_entry *entry)
{
	return entry->buf->len <= FRONT && entry->header->ring_ent_in_out.payload_sz == 0;
}

void lam_entry_fill(struct lam_ring_entry *entry, int error, const void *data, size_t size)
{
	struct fuse_uring_req_header *header = entry->header;
	struct fuse_out_header *head = (void *)header->in_out;

	error = lam_wire_error(error);
	if (size > entry->iov[1].iov_len)
		error = -EIO;
	if (error)
		size = 0;
	if (size && data != entry->payload)
		memmove(entry->payload, data, size);
	*head = (struct fuse_out_header){
		.len = (uint32_t)(sizeof(*head) + size),
		.error = error,
		.unique = entry->unique,
	};
	header->ring_ent_in_out = (struct fuse_uring_ent_in_out){
		.commit_id = entry->commit_id,
		.payload_sz = (uint32_t)size,
	};
}

/* ---- which entry holds a request ---- */

static struct lam_ring_entry **bucket(struct lam_entries *entries, uint64_t unique)
{
	return &entries->buckets[(unique >> 1) & (entries->nbuckets - 1)];
}

void lam_entries_note(struct lam_entries *entries, struct lam_ring_entry *entry)
{
	struct lam_ring_entry **at = bucket(entries, entry->unique);

	entry->next = *at;
	*at = entry;
}

struct lam_ring_entry *lam_entries_strike(struct lam_entries *entries, uint64_t unique)
{
	struct lam_ring_entry **at = bucket(entries, unique), *found;

	while (*at && (*at)->unique != unique)
		at = &(*at)->next;
	found = *at;
	if (found)
		*at = found->next;
	return found;
}
