/* SPDX-License-Identifier: MIT */
/* Past 400 lines: what is believed of a caller, and what is done for it, is to be read together. */
#include "record.h"

#include "channel.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OUR_ARCH AUDIT_ARCH_RISCV64
#else
#define OUR_ARCH 0 /* then wishes are only said to be granted */
#endif

#define ABOVE_ALL 512 /* no descriptor that a monitor has is that large */
#define CONTINUE 1    /* no errno: let the kernel do it */

struct wish {
	uid_t uid;
	gid_t gid;
	mode_t type; /* S_IFCHR, S_IFBLK, or 0: what the file is */
	dev_t device;
};

/* One call that waits for us. */
struct call {
	int listener;
	int proc; /* the host's /proc; it is our working directory */
	const struct seccomp_notif *asked;
	int memory; /* the caller's, or -1 */
	int root;   /* the caller's, or -1 */
};

static bool still_waits(const struct call *call)
{
	uint64_t id = call->asked->id;

	return ioctl(call->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

/* Open something of the caller's below /proc. */
static int of_caller(const struct call *call, const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%u/%s", call->asked->pid, name);
	fd = openat(call->proc, path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int begin(struct call *call)
{
	call->memory = of_caller(call, "mem", O_RDWR);
	call->root = call->memory < 0 ? -1 : of_caller(call, "root", O_PATH | O_DIRECTORY);
	if (call->memory < 0 || call->root < 0)
		return -EPERM;
	return still_waits(call) ? 0 : -ESRCH;
}

/* A string of the caller's, of PATH_MAX at most. */
static int read_path(const struct call *call, uint64_t address, char path[PATH_MAX])
{
	size_t have = 0;

	while (have < PATH_MAX) {
		/* not past a page, behind which there may be nothing */
		size_t room = 4096 - (size_t)((address + have) & 4095);
		ssize_t n;

		if (room > PATH_MAX - have)
			room = PATH_MAX - have;
		n = pread(call->memory, path + have, room, (off_t)(address + have));
		if (n <= 0)
			return -EFAULT;
		if (memchr(path + have, '\0', (size_t)n))
			return 0;
		have += (size_t)n;
	}
	return -ENAMETOOLONG;
}

/* The directory that a relative path begins at. */
static int open_base(const struct call *call, int dirfd)
{
	char name[32];

	if (dirfd == AT_FDCWD)
		return of_caller(call, "cwd", O_PATH | O_DIRECTORY);
	snprintf(name, sizeof(name), "fd/%d", dirfd);
	return dirfd < 0 ? -EBADF : of_caller(call, name, O_PATH);
}

/*
 * Look a path up as the caller would: its root is ours for the while.  Our working directory stays
 * the host's /proc, whatever our root is.
 */
static int look_up(const struct call *call, int dirfd, const char *path, struct open_how *how)
{
	int base = path[0] == '/' ? dup(call->root) : open_base(call, dirfd), fd = -ESRCH;

	if (base < 0)
		return base;
	how->resolve = RESOLVE_NO_MAGICLINKS;
	how->flags |= O_CLOEXEC;
	if (fchdir(call->root) < 0 || chroot(".") < 0 || fchdir(call->proc) < 0)
		fd = -errno;
	else if (still_waits(call)) {
		fd = (int)syscall(SYS_openat2, base, path, how, sizeof(*how));
		fd = fd < 0 ? -errno : fd;
	}
	close(base);
	return fd;
}

/* Names of the caller's own descriptors, which for us are other files or none: pipes, as a rule. */
static bool is_stream(const char *path)
{
	static const char *const names[] = { "/dev/std", "/dev/fd/", "/proc/self/fd/",
					     "/proc/thread-self/fd/" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strncmp(path, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

/* The file that arguments like fchownat(2)'s mean; an empty path is the descriptor itself. */
static int find(const struct call *call, int dirfd, uint64_t address, int flags)
{
	struct open_how how = { .flags = O_PATH | (flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0) };
	char path[PATH_MAX];
	int err = address ? read_path(call, address, path) : 0;

	if (err < 0)
		return err;
	if (!address || (path[0] == '\0' && flags & AT_EMPTY_PATH))
		return open_base(call, dirfd);
	if (is_stream(path))
		return -ENXIO;
	return path[0] == '\0' ? -ENOENT : look_up(call, dirfd, path, &how);
}

static const char *by_descriptor(int fd, char name[32])
{
	snprintf(name, 32, "self/fd/%d", fd);
	return name;
}

/* 1: there is a record; 0: none. */
static int recorded(int fd, struct wish *wish)
{
	char text[96], name[32], kind[8] = "";
	unsigned int uid, gid, major = 0, minor = 0;
	ssize_t n = getxattr(by_descriptor(fd, name), LAM_OWNER, text, sizeof(text) - 1);
	int count;

	memset(wish, 0, sizeof(*wish));
	if (n <= 0)
		return 0;
	text[n] = '\0';
	count = sscanf(text, "%u:%u:%5[a-z]-%u-%u", &uid, &gid, kind, &major, &minor);
	if (count != 2 && count != 5)
		return 0;
	wish->uid = uid;
	wish->gid = gid;
	if (count == 5) {
		wish->type = strcmp(kind, "char") == 0 ? S_IFCHR : S_IFBLK;
		wish->device = makedev(major, minor);
	}
	return 1;
}

static int note(int fd, const struct wish *wish)
{
	char text[96], name[32];
	int n = snprintf(text, sizeof(text), "%u:%u", wish->uid, wish->gid);

	if (!wish->type && wish->uid == 0 && wish->gid == 0)
		return removexattr(by_descriptor(fd, name), LAM_OWNER) < 0 && errno != ENODATA ? -errno : 0;
	if (wish->type)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ":%s-%u-%u",
			      wish->type == S_IFCHR ? "char" : "block", major(wish->device),
			      minor(wish->device));
	return setxattr(by_descriptor(fd, name), LAM_OWNER, text, (size_t)n, 0) < 0 ? -errno : 0;
}

/* Is it the container's own, and of a kind that can have such an attribute? */
static bool can_be_noted(const struct call *call, int fd)
{
	struct statx file, root;
	const unsigned int mask = STATX_TYPE | STATX_MNT_ID;

	if (statx(fd, "", AT_EMPTY_PATH, mask, &file) < 0 ||
	    statx(call->root, "", AT_EMPTY_PATH, mask, &root) < 0)
		return false;
	return file.stx_mnt_id == root.stx_mnt_id && (S_ISREG(file.stx_mode) || S_ISDIR(file.stx_mode));
}

static int change_owner(const struct call *call, int fd, uint64_t uid, uint64_t gid)
{
	struct wish wish;
	int err = 0, known;

	if (fd < 0)
		return fd == -ENXIO ? 0 : fd; /* what has no attributes */
	if (can_be_noted(call, fd)) {
		known = recorded(fd, &wish);
		if ((uint32_t)uid != UINT32_MAX)
			wish.uid = (uid_t)uid;
		if ((uint32_t)gid != UINT32_MAX)
			wish.gid = (gid_t)gid;
		if (known || wish.uid || wish.gid)
			err = note(fd, &wish);
	}
	close(fd);
	return err;
}

static mode_t umask_of(const struct call *call)
{
	char text[512], *at;
	int fd = of_caller(call, "status", O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, "\nUmask:");
	return at ? (mode_t)strtoul(at + 7, NULL, 8) : 022;
}

static int make_device(const struct call *call, int dirfd, uint64_t address, uint64_t mode, uint64_t device)
{
	struct wish wish = { .type = (mode_t)mode & S_IFMT, .device = (dev_t)device };
	struct open_how how = { .flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
				.mode = mode & 07777 & ~umask_of(call) };
	char path[PATH_MAX];
	int err = read_path(call, address, path), fd;

	if (err < 0)
		return err;
	fd = look_up(call, dirfd, path, &how);
	if (fd < 0)
		return fd;
	err = can_be_noted(call, fd) ? note(fd, &wish) : 0;
	close(fd);
	return err;
}

static int give(const struct call *call, uint64_t address, const void *data, size_t size)
{
	if (!still_waits(call))
		return -ESRCH;
	return pwrite(call->memory, data, size, (off_t)address) == (ssize_t)size ? 0 : -EFAULT;
}

/* Answer with the record; CONTINUE where there is none. */
static int answer_stat(const struct call *call, int fd, uint64_t address)
{
	struct wish wish;
	struct stat st;
	int err = CONTINUE;

	if (fd < 0)
		return CONTINUE; /* the kernel says why not */
	if (recorded(fd, &wish) && fstat(fd, &st) == 0) {
		st.st_uid = wish.uid;
		st.st_gid = wish.gid;
		if (wish.type) {
			st.st_mode = (st.st_mode & 07777) | wish.type;
			st.st_rdev = wish.device;
		}
		err = give(call, address, &st, sizeof(st));
	}
	close(fd);
	return err;
}

static int answer_statx(const struct call *call, int fd, int flags, unsigned int mask, uint64_t address)
{
	struct wish wish;
	struct statx st;
	int err = CONTINUE;

	if (fd < 0)
		return CONTINUE;
	if (recorded(fd, &wish) &&
	    statx(fd, "", (flags & ~AT_SYMLINK_NOFOLLOW) | AT_EMPTY_PATH, mask, &st) == 0) {
		st.stx_uid = wish.uid;
		st.stx_gid = wish.gid;
		if (wish.type) {
			st.stx_mode = (uint16_t)((st.stx_mode & 07777) | wish.type);
			st.stx_rdev_major = major(wish.device);
			st.stx_rdev_minor = minor(wish.device);
		}
		err = give(call, address, &st, sizeof(st));
	}
	close(fd);
	return err;
}

/* What the caller gets: 0, a negative errno or CONTINUE. */
static int carry_out(const struct call *call)
{
	const uint64_t *arg = (const uint64_t *)call->asked->data.args;
	const int nofollow = AT_SYMLINK_NOFOLLOW;

	switch (call->asked->data.nr) {
	case SYS_fchown:
		return change_owner(call, open_base(call, (int)arg[0]), arg[1], arg[2]);
	case SYS_fchownat:
		return change_owner(call, find(call, (int)arg[0], arg[1], (int)arg[4]), arg[2], arg[3]);
	case SYS_mknodat:
		return make_device(call, (int)arg[0], arg[1], arg[2], arg[3]);
	case SYS_fstat:
		return answer_stat(call, open_base(call, (int)arg[0]), arg[1]);
	case SYS_newfstatat:
		return answer_stat(call, find(call, (int)arg[0], arg[1], (int)arg[3]), arg[2]);
	case SYS_statx:
		return answer_statx(call, find(call, (int)arg[0], arg[1], (int)arg[2]), (int)arg[2],
				    (unsigned int)arg[3], arg[4]);
#ifdef SYS_chown
	case SYS_chown:
		return change_owner(call, find(call, AT_FDCWD, arg[0], 0), arg[1], arg[2]);
	case SYS_lchown:
		return change_owner(call, find(call, AT_FDCWD, arg[0], nofollow), arg[1], arg[2]);
	case SYS_mknod:
		return make_device(call, AT_FDCWD, arg[0], arg[1], arg[2]);
	case SYS_stat:
		return answer_stat(call, find(call, AT_FDCWD, arg[0], 0), arg[1]);
	case SYS_lstat:
		return answer_stat(call, find(call, AT_FDCWD, arg[0], nofollow), arg[1]);
#endif
	default:
		return 0;
	}
}

/* Calls by which only a look is taken: without us the kernel answers. */
static bool only_looks(int number)
{
	switch (number) {
	case SYS_fstat:
	case SYS_newfstatat:
	case SYS_statx:
#ifdef SYS_stat
	case SYS_stat:
	case SYS_lstat:
#endif
		return true;
	default:
		return false;
	}
}

static void serve(int listener, int proc, struct seccomp_notif *asked, struct seccomp_notif_resp *answer)
{
	struct call call = { .listener = listener, .proc = proc, .asked = asked, .memory = -1, .root = -1 };
	/* a program of another architecture has other numbers: its wishes are granted, not recorded */
	bool ours = asked->data.arch == OUR_ARCH;
	int err = ours ? begin(&call) : 0;

	if (ours && err == 0)
		err = carry_out(&call);
	else if (ours)
		err = only_looks(asked->data.nr) ? CONTINUE : 0;
	answer->id = asked->id;
	answer->error = err == CONTINUE ? 0 : err;
	answer->flags = err == CONTINUE ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, answer);
	if (call.memory >= 0)
		close(call.memory);
	if (call.root >= 0)
		close(call.root);
}

static _Noreturn void serve_all(int listener, int proc)
{
	struct seccomp_notif_sizes sizes;
	struct seccomp_notif_resp *answer;
	struct seccomp_notif *asked;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		_exit(LAM_FAILED);
	asked = calloc(1, sizes.seccomp_notif > sizeof(*asked) ? sizes.seccomp_notif : sizeof(*asked));
	answer = calloc(1, sizes.seccomp_notif_resp > sizeof(*answer) ? sizes.seccomp_notif_resp
								      : sizeof(*answer));
	for (struct pollfd ready = { listener, POLLIN, 0 }; asked && answer;) {
		if (poll(&ready, 1, -1) < 0)
			continue;
		if (!(ready.revents & POLLIN))
			_exit(0); /* the last that had the filter is gone */
		memset(asked, 0, sizes.seccomp_notif);
		memset(answer, 0, sizes.seccomp_notif_resp);
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, asked) == 0)
			serve(listener, proc, asked, answer);
	}
	_exit(LAM_FAILED);
}

/* The monitor and others tell by the end of pipes and sockets what has become of whom. */
static void keep_only(int *socket, int *proc)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	lam_report_end();
	*socket = fcntl(*socket, F_DUPFD_CLOEXEC, ABOVE_ALL);
	*proc = fcntl(*proc, F_DUPFD_CLOEXEC, ABOVE_ALL);
	if (*socket < 0 || *proc < 0)
		_exit(LAM_FAILED);
	syscall(SYS_close_range, 3, ABOVE_ALL - 1, 0);
}

static _Noreturn void become_recorder(const struct lam_record *join, int socket)
{
	struct lam_message message;
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (join) {
		fd = (int)syscall(SYS_pidfd_open, (pid_t)lam_record_number(join, 0, 10), 0);
		if (fd < 0 || setns(fd, CLONE_NEWUSER) < 0 || setresgid(0, 0, 0) < 0 ||
		    setresuid(0, 0, 0) < 0)
			lam_fail(LAM_FAILED, errno, "record owners");
		close(fd);
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* other ids have cleared it */
	}
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	umask(0);
	if (proc < 0 || fchdir(proc) < 0)
		lam_fail(LAM_FAILED, errno, "record owners");
	keep_only(&socket, &proc);
	if (lam_receive(socket, &message) != LAM_WORD_LISTENER || message.fd < 0)
		_exit(0); /* it never came to a filter */
	close(socket);
	serve_all(message.fd, proc);
}

int lam_record_start(const struct lam_plan *plan, const struct lam_record *join)
{
	int pair[2];
	pid_t pid;

	if (!lam_plan_first(plan, LAM_OP_RECORD))
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		lam_fail(LAM_FAILED, errno, "socket pair");
	pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		lam_fail(LAM_FAILED, errno, "start the recorder of owners");
	if (pid == 0) {
		close(pair[0]);
		become_recorder(join, pair[1]);
	}
	close(pair[1]);
	return pair[0];
}

void lam_record_give(int socket, int listener)
{
	if (lam_send(socket, LAM_WORD_LISTENER, 0, listener) < 0)
		lam_fail(LAM_FAILED, 0, "the recorder of owners is gone");
	close(listener);
	close(socket);
}
