/* SPDX-License-Identifier: MIT */
/*
 * test_dispatch - requests that are short, long, unknown or nonsense; and the plain ones
 *
 * The sanitizers judge whether anything beyond a request is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "../src/dispatch.h"
#include "kernel.h"

#define FUZZ_REQUESTS 6000
#define FUZZ_BODY 200

static void before_init(void)
{
	struct fuse_getattr_in in = { .fh = 0 };
	struct fuse_init_in old = { .major = 7, .minor = 8 }, odd = { .major = 8 };
	struct kernel k;

	kernel_open(&k, NULL, 0);
	EXPECT(kernel_call(&k, FUSE_GETATTR, FUSE_ROOT_ID, &in, sizeof(in)) == -EIO);
	EXPECT(kernel_call(&k, FUSE_INIT, 0, &old, sizeof(old)) == -EPROTO);
	EXPECT(kernel_call(&k, FUSE_INIT, 0, &odd, sizeof(odd)) == sizeof(struct fuse_init_out));
	EXPECT(((const struct fuse_init_out *)kernel_data(&k))->major == 7);
	EXPECT(kernel_call(&k, FUSE_INIT, 0, &odd, 8) == -EIO);
	kernel_close(&k);
}

static void negotiates(void)
{
	struct lam_server_config config = { .stateless = LAM_ON, .passthrough = LAM_OFF };
	struct fuse_init_in in = {
		.major = 7, .minor = 45, .max_readahead = 131072, .flags = 0xffffffff, .flags2 = 0xffffffff
	};
	const struct fuse_init_out *out;
	struct kernel k;

	kernel_open(&k, &config, 0);
	out = kernel_data(&k);
	EXPECT(kernel_call(&k, FUSE_INIT, 0, &in, sizeof(in)) == sizeof(*out));
	EXPECT(out->max_write == 65536 && out->max_pages == 16 && out->time_gran == 1);
	EXPECT(out->flags & FUSE_NO_OPEN_SUPPORT && !(out->flags & FUSE_ATOMIC_O_TRUNC));
	EXPECT(!(out->flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS | FUSE_AUTO_INVAL_DATA |
			       FUSE_WRITEBACK_CACHE | FUSE_EXPORT_SUPPORT)));
	EXPECT(!(out->flags2 & (uint32_t)(FUSE_PASSTHROUGH >> 32)) && out->max_stack_depth == 0);
	EXPECT(kernel_call(&k, FUSE_INIT, 0, &in, sizeof(in)) == -EPROTO); /* once is enough */
	kernel_close(&k);
}

static const struct fuse_open_out *create_open(struct kernel *k, const char *name, uint32_t flags,
					       uint32_t mode, uint64_t *nodeid)
{
	struct {
		struct fuse_create_in in;
		char name[16];
	} body = { .in = { .flags = flags | O_CREAT, .mode = S_IFREG | mode } };
	const struct fuse_entry_out *entry;

	snprintf(body.name, sizeof(body.name), "%s", name);
	EXPECT(kernel_call(k, FUSE_CREATE, FUSE_ROOT_ID, &body, sizeof(body.in) + strlen(name) + 1) ==
	       sizeof(*entry) + sizeof(struct fuse_open_out));
	entry = kernel_data(k);
	*nodeid = entry->nodeid;
	return (const void *)(entry + 1);
}

/* What is created for writing only goes past the page cache, where opens are stateless. */
static void creates_for_direct_writes(void)
{
	struct lam_server_config config = { .stateless = LAM_ON, .passthrough = LAM_OFF };
	struct fuse_init_in in = {
		.major = 7, .minor = 45, .max_readahead = 131072, .flags = 0xffffffff, .flags2 = 0xffffffff
	};
	struct {
		struct fuse_write_in in;
		char data[4];
	} write = { .in = { .size = 4 }, .data = "data" };
	const struct fuse_open_out *open;
	uint64_t nodeid;
	struct kernel k;

	kernel_open(&k, &config, 0);
	EXPECT(kernel_call(&k, FUSE_INIT, 0, &in, sizeof(in)) == sizeof(struct fuse_init_out));
	open = create_open(&k, "both", O_RDWR, 0600, &nodeid);
	EXPECT(open->fh == 0 && open->open_flags == FOPEN_KEEP_CACHE);
	open = create_open(&k, "setid", O_WRONLY, 04755, &nodeid);
	EXPECT(open->fh == 0 && open->open_flags == FOPEN_KEEP_CACHE);
	open = create_open(&k, "direct", O_WRONLY, 0600, &nodeid);
	EXPECT(open->fh != 0 && open->open_flags == FOPEN_DIRECT_IO);
	write.in.fh = open->fh;
	EXPECT(kernel_call(&k, FUSE_WRITE, nodeid, &write, sizeof(write)) == sizeof(struct fuse_write_out));
	EXPECT(((const struct fuse_write_out *)kernel_data(&k))->size == 4);
	kernel_close(&k);

	in.minor = 44; /* such a kernel leaves pages behind that were read meanwhile */
	kernel_open(&k, &config, 0);
	EXPECT(kernel_call(&k, FUSE_INIT, 0, &in, sizeof(in)) == sizeof(struct fuse_init_out));
	open = create_open(&k, "direct", O_WRONLY, 0600, &nodeid);
	EXPECT(open->fh == 0 && open->open_flags == FOPEN_KEEP_CACHE);
	kernel_close(&k);
}

static void refuses_malformed(struct kernel *k)
{
	struct fuse_in_header head = { .len = sizeof(head), .opcode = FUSE_GETATTR, .unique = 1000 };
	char name[300];

	memset(name, 'x', sizeof(name));
	EXPECT(kernel_call(k, FUSE_LOOKUP, 1, "no end", 6) == -EIO);
	EXPECT(kernel_call(k, FUSE_LOOKUP, 1, "", 0) == -EIO);
	EXPECT(kernel_call(k, FUSE_LOOKUP, 1, "", 1) == -EINVAL);
	EXPECT(kernel_call(k, FUSE_LOOKUP, 1, "..", 3) == -EINVAL);
	EXPECT(kernel_call(k, FUSE_LOOKUP, 1, "a/b", 4) == -EINVAL);
	name[256] = 0;
	EXPECT(kernel_call(k, FUSE_LOOKUP, 1, name, 257) == -ENAMETOOLONG);
	name[255] = 0;
	EXPECT(kernel_call(k, FUSE_LOOKUP, 1, name, 256) == -ENOENT);
	EXPECT(kernel_call(k, FUSE_GETATTR, 1, name, 15) == -EIO);
	EXPECT(kernel_call(k, FUSE_RENAME2, 1, name, 16) == -EIO);
	EXPECT(kernel_call(k, FUSE_SYMLINK, 1, "a\0no end", 8) == -EIO);
	EXPECT(kernel_call(k, 7, 1, NULL, 0) == -ENOSYS);
	EXPECT(kernel_call(k, 63, 1, NULL, 0) == -ENOSYS);
	EXPECT(kernel_call(k, 4096, 1, NULL, 0) == -ENOSYS);
	EXPECT(kernel_call(k, 0xffffffff, 1, NULL, 0) == -ENOSYS);
	EXPECT(kernel_call(k, FUSE_POLL, 1, NULL, 0) == -ENOSYS);
	head.len = 4000; /* says more than came */
	kernel_send_raw(k, &head, sizeof(head));
	EXPECT(kernel_receive(k) == 1000);
	head.len = sizeof(head);
	head.total_extlen = 1;
	kernel_send_raw(k, &head, sizeof(head));
	EXPECT(kernel_receive(k) == 1000);
	kernel_send_raw(k, &head, 20); /* no reply is possible */
}

static void refuses_lies_about_sizes(struct kernel *k)
{
	struct fuse_write_in write = { .size = 1000 };
	struct {
		struct fuse_setxattr_in in;
		char name[8];
	} set = { .in = { .size = 50 }, .name = "user.a" };
	struct fuse_ioctl_in ioctl = { .in_size = 8, .out_size = 8 };
	struct fuse_batch_forget_in batch = { .count = 1000 };
	struct fuse_read_in read = { .offset = UINT64_MAX, .size = 10 };

	EXPECT(kernel_call(k, FUSE_WRITE, 1, &write, sizeof(write)) == -EIO);
	EXPECT(kernel_call(k, FUSE_SETXATTR, 1, &set, sizeof(set)) == -EIO);
	EXPECT(kernel_call(k, FUSE_SETXATTR, 1, &set, 12) == -EIO);
	EXPECT(kernel_call(k, FUSE_IOCTL, 1, &ioctl, sizeof(ioctl)) == -EIO);
	ioctl.out_size = 1 << 30;
	EXPECT(kernel_call(k, FUSE_IOCTL, 1, &ioctl, sizeof(ioctl)) == -ENOTTY);
	EXPECT(kernel_call(k, FUSE_READ, 1, &read, sizeof(read)) == -EINVAL);
	kernel_send(k, FUSE_BATCH_FORGET, 0, &batch, sizeof(batch));
	kernel_send(k, FUSE_FORGET, 1, NULL, 0);
}

static uint64_t create(struct kernel *k, const char *name)
{
	struct {
		struct fuse_create_in in;
		char name[16];
	} body = { .in = { .flags = O_RDWR, .mode = S_IFREG | 0644 } };
	const struct fuse_entry_out *out = kernel_data(k);

	snprintf(body.name, sizeof(body.name), "%s", name);
	EXPECT(kernel_call(k, FUSE_CREATE, 1, &body, sizeof(body.in) + strlen(name) + 1) ==
	       sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out));
	return out->nodeid;
}

static void serves(struct kernel *k)
{
	struct {
		struct fuse_write_in in;
		char data[8];
	} write = { .in = { .size = 5 }, .data = "hello" };
	struct fuse_read_in read = { .size = 4096 };
	struct fuse_fsync_in fsync = { .fh = 0 };
	struct fuse_forget_in forget = { .nlookup = 1 };
	uint64_t nodeid = create(k, "file");

	EXPECT(kernel_call(k, FUSE_OPEN, nodeid, &fsync, sizeof(fsync)) == -ENOSYS);
	EXPECT(kernel_call(k, FUSE_OPENDIR, 1, &fsync, sizeof(fsync)) == -ENOSYS);
	EXPECT(kernel_call(k, FUSE_FLUSH, nodeid, &read, sizeof(read)) == -ENOSYS);
	EXPECT(kernel_call(k, FUSE_WRITE, nodeid, &write, sizeof(write.in) + 5) ==
	       sizeof(struct fuse_write_out));
	EXPECT(kernel_call(k, FUSE_READ, nodeid, &read, sizeof(read)) == 5);
	EXPECT(!memcmp(kernel_data(k), "hello", 5));
	EXPECT(kernel_call(k, FUSE_FSYNC, nodeid, &fsync, sizeof(fsync)) == 0);
	EXPECT(kernel_call(k, FUSE_STATFS, 1, NULL, 0) == sizeof(struct fuse_kstatfs));
	EXPECT(kernel_call(k, FUSE_READDIRPLUS, 1, &read, sizeof(read)) ==
	       3 * (int)FUSE_DIRENT_ALIGN(sizeof(struct fuse_direntplus) + 4));
	EXPECT(kernel_lookup(k, "file") == nodeid);
	forget.nlookup = 3;
	kernel_send(k, FUSE_FORGET, nodeid, &forget, sizeof(forget));
	EXPECT(kernel_call(k, FUSE_UNLINK, 1, "file", 5) == 0);
	EXPECT(kernel_call(k, FUSE_LOOKUP, 1, "file", 5) == -ENOENT);
}

static void parses_forward(void)
{
	uint64_t bits;

	EXPECT(lam_op_parse("", &bits) == 0 && bits == 0);
	EXPECT(lam_op_parse("lookup,,getattr", &bits) == 0);
	EXPECT(bits == ((1ull << FUSE_LOOKUP) | (1ull << FUSE_GETATTR)));
	EXPECT(lam_op_parse("read", &bits) == 0 && (bits & (1ull << FUSE_OPEN)) &&
	       (bits & (1ull << FUSE_RELEASE)));
	EXPECT(lam_op_parse("all", &bits) == 0 && (bits & (1ull << FUSE_READDIRPLUS)));
	EXPECT(!(bits & ((1ull << FUSE_FORGET) | (1ull << FUSE_INIT) | (1ull << FUSE_TMPFILE))));
	EXPECT(lam_op_parse("forget", &bits) == -EINVAL); /* the core's for ever */
	EXPECT(lam_op_parse("lookups", &bits) == -EINVAL);
}

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

/* Handles and lookup counts are the core's own numbers, which the kernel repeats faithfully. */
static void make_honest(uint32_t opcode, unsigned char *body)
{
	memset(body, 0, opcode == FUSE_READDIR || opcode == FUSE_READDIRPLUS ? 8 : 16);
	if (opcode == FUSE_COPY_FILE_RANGE || opcode == FUSE_COPY_FILE_RANGE_64)
		memset(body + 24, 0, 8);
}

static bool is_fuzzed(uint32_t opcode)
{
	return opcode != FUSE_INIT && opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET;
}

static void survives_noise(struct kernel *k)
{
	unsigned char body[FUZZ_BODY];
	uint64_t state = 42;
	uint32_t due = 0;

	for (int i = 0; i < FUZZ_REQUESTS; i++) {
		uint32_t opcode = next_random(&state) % 56;
		size_t len = next_random(&state) % FUZZ_BODY;
		bool small = next_random(&state) % 2;

		for (size_t at = 0; at < sizeof(body); at++)
			body[at] = (unsigned char)(small && at % 8 ? 0 : next_random(&state));
		make_honest(opcode, body);
		if (!is_fuzzed(opcode))
			continue;
		kernel_send(k, opcode, 1 + next_random(&state) % 4, body, len);
		due += !(lam_op(opcode)->flags & LAM_OP_SILENT);
		while (due > 4) {
			kernel_receive(k);
			due--;
		}
	}
	while (due--)
		kernel_receive(k);
}

int main(void)
{
	struct lam_server_config config = { .stateless = LAM_ON, .passthrough = LAM_OFF };
	struct lam_server_stats stats;
	struct kernel k;

	kernel_watchdog(100);
	parses_forward();
	before_init();
	negotiates();
	creates_for_direct_writes();
	kernel_open(&k, &config, 1);
	refuses_malformed(&k);
	refuses_lies_about_sizes(&k);
	serves(&k);
	survives_noise(&k);
	lam_server_stats(k.srv, &stats);
	EXPECT(stats.requests > FUZZ_REQUESTS / 2 && stats.pooled > 0 && stats.forwarded == 0);
	EXPECT(stats.by_opcode[FUSE_INIT] == 1 && stats.by_opcode[63] >= 3);
	kernel_close(&k);
	return 0;
}
