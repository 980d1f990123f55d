/* SPDX-License-Identifier: MIT */
/* test_entries - requests over io_uring as the kernel lays them down, well or badly, and replies to them */
#include <string.h>

#include "channel.h"
#include "entries.h"
#include "kernel.h"

#define MAX_WRITE (1u << 20)

/* What the kernel does: header, the opcode's structure and the payload, each in its place. */
static void put(struct lam_ring_entry *entry, uint64_t unique, size_t op, const void *payload, size_t size)
{
	struct fuse_in_header head = {
		.len = (uint32_t)(sizeof(head) + op + size),
		.opcode = FUSE_WRITE,
		.unique = unique,
	};

	memcpy(entry->header->in_out, &head, sizeof(head));
	memset(entry->header->op_in, 0x5a, op);
	if (size)
		memcpy(entry->payload, payload, size);
	entry->header->ring_ent_in_out = (struct fuse_uring_ent_in_out){ .commit_id = unique,
									 .payload_sz = (uint32_t)size };
}

/* Names move to where read(2) would have put them; the data of a WRITE are there already. */
static void requests_are_in_one_piece(struct lam_entries *entries)
{
	static const size_t ops[] = { 0, 8, 16, 40, 56, 88, 128 };
	struct lam_ring_entry *entry = &entries->all[0];
	unsigned char *data = malloc(entries->payload);
	struct lam_buf *buf;

	EXPECT(data);
	memset(data, 0xa5, entries->payload);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		put(entry, 2, ops[i], data, 300);
		buf = lam_entry_take(entry);
		EXPECT(buf->len == sizeof(struct fuse_in_header) + ops[i] + 300);
		for (size_t at = 0; at < ops[i] + 300; at++)
			EXPECT(buf->data[sizeof(struct fuse_in_header) + at] == (at < ops[i] ? 0x5a : 0xa5));
		EXPECT(!lam_entry_is_empty(entry));
	}
	put(entry, 2, sizeof(struct fuse_write_in), data, entries->payload);
	EXPECT(lam_entry_take(entry)->len == sizeof(struct fuse_in_header) + 40 + entries->payload);
	put(entry, 2, 16, NULL, 0);
	lam_entry_take(entry);
	EXPECT(lam_entry_is_empty(entry));
	free(data);
}

/* Lengths that contradict each other leave the header alone, which the dispatcher answers -EIO. */
static void bad_lengths_are_cut(struct lam_entries *entries)
{
	static const struct {
		uint32_t len, payload;
	} bad[] = { { 0, 0 }, { 39, 0 }, { 40, 8 }, { 400, 100 }, { UINT32_MAX, 0 }, { 80, UINT32_MAX } };
	struct lam_ring_entry *entry = &entries->all[entries->count - 1];
	struct fuse_in_header *head = (void *)entry->header->in_out;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(entry, 4, 0, NULL, 0);
		head->len = bad[i].len;
		entry->header->ring_ent_in_out.payload_sz = bad[i].payload;
		EXPECT(lam_entry_take(entry)->len == sizeof(*head));
	}
}

static void replies_fill_both(struct lam_entries *entries)
{
	struct lam_ring_entry *entry = &entries->all[0];
	const struct fuse_out_header *head = (const void *)entry->header->in_out;

	put(entry, 6, 40, NULL, 0);
	lam_entry_take(entry);
	lam_entry_fill(entry, 0, "answer", 6);
	EXPECT(head->unique == 6 && head->error == 0 && head->len == sizeof(*head) + 6);
	EXPECT(entry->header->ring_ent_in_out.payload_sz == 6 && !memcmp(entry->payload, "answer", 6));
	lam_entry_fill(entry, -4096, "answer", 6);
	EXPECT(head->error == -EIO && entry->header->ring_ent_in_out.payload_sz == 0);
	lam_entry_fill(entry, 0, "answer", (size_t)entries->payload + 1);
	EXPECT(head->error == -EIO && entry->header->ring_ent_in_out.payload_sz == 0);
}

static void numbers_find_their_entry_once(struct lam_entries *entries)
{
	for (uint32_t i = 0; i < entries->count; i++) {
		entries->all[i].unique = 2 + 64 * (uint64_t)i; /* all in few buckets */
		lam_entries_note(entries, &entries->all[i]);
	}
	for (uint32_t i = entries->count; i-- > 0;) {
		EXPECT(lam_entries_strike(entries, 2 + 64 * (uint64_t)i) == &entries->all[i]);
		EXPECT(lam_entries_strike(entries, 2 + 64 * (uint64_t)i) == NULL);
	}
}

int main(void)
{
	struct lam_entries entries;

	kernel_watchdog(60);
	EXPECT(lam_entries_open(&entries, MAX_WRITE) == 0);
	EXPECT(entries.count % entries.queues == 0 && entries.payload <= MAX_WRITE);
	requests_are_in_one_piece(&entries);
	bad_lengths_are_cut(&entries);
	replies_fill_both(&entries);
	numbers_find_their_entry_once(&entries);
	lam_entries_close(&entries);
	lam_entries_close(&entries);
	return 0;
}
