/* SPDX-License-Identifier: MIT */
/*
 * plan - what the launcher is told to do
 *
 * Theory.  Everything that can be decided without being inside the container is decided by
 * lamina_runtime.container.plan, in Python, from the bundle's config.json; the launcher only
 * carries it out.  A plan is a list of records, read once from a descriptor:
 *
 *   "LAMPLAN1"
 *   { u16 op, u16 count, count x { u32 length, bytes, NUL } } ...
 *
 * in the byte order of the machine (both ends run on it).  Numbers are decimal text.  Records of
 * one op keep their order; the order of different ops has no meaning, except that all that fill
 * the root (LAM_OP_MOUNT ... LAM_OP_COPY) are carried out as they come.
 *
 * A plan comes from our own user and is trusted; the bounds below only keep mistakes small.
 */
#ifndef LAMINA_LAUNCH_PLAN_H
#define LAMINA_LAUNCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAM_PLAN_MAGIC "LAMPLAN1"
#define LAM_PLAN_ARGS 8
#define LAM_PLAN_MAX (16u << 20)

enum lam_op {
	/* the monitor's */
	LAM_OP_DIRECTORY = 1, /* path: where "pid", "exit" and "attach" are kept */
	LAM_OP_LOG = 2,	      /* path: JSON lines, one an output line */
	LAM_OP_TERMINAL = 3,  /* rows, columns */
	LAM_OP_STDIN = 4,     /* keep standard input open for who attaches */
	LAM_OP_UIDMAP = 5,    /* inside, outside, count */
	LAM_OP_GIDMAP = 6,    /* the same */
	LAM_OP_MAPPER = 7,    /* newuidmap's path, newgidmap's path; else the maps are written by us */
	LAM_OP_DRIVER = 8,    /* one argument of the command that mounts the root, and serves it in the
			       * foreground; a byte to its descriptor 3 says that it is usable */
	LAM_OP_NETWORK = 9,   /* one argument of the command that serves the network of process "{pid}"; a
			       * byte to its descriptor 3, or its good end, says that it does, the end
			       * of what it reads from its descriptor 4 that it is to go */
	LAM_OP_CGROUP =
		10, /* path of a cgroup.procs to be written to; with DIRECTORY its group is removed at the end */
	LAM_OP_CLIENT = 11,   /* descriptor of a connection that is attached from the start (attach.h) */
	LAM_OP_AFTER = 12,    /* one argument of the command that the monitor becomes at the end, unless
			       * who gave CLIENT says that it knows of the end */
	LAM_OP_HEALTH = 13,   /* interval, timeout, start period, start interval (milliseconds), retries */
	LAM_OP_PROBE = 14,    /* one argument of the command that says whether the container is well */
	LAM_OP_KEEPER = 15,   /* descriptor of a connection to the keeper of a named network */
	LAM_OP_LISTENER = 16, /* descriptor of a socket that the forwarder inherits */
	LAM_OP_FORWARD = 17,  /* one argument of the command that forwards ports; it is in the container's
			       * network, and in ours what it inherits */
	LAM_OP_UNION = 18,    /* lower, upper, work, target, "userxattr" or "": kernel overlayfs as the
			       * root's tree, where there is no driver */

	LAM_OP_RUNTIME = 23, /* one argument of the command, without its verb, that makes the container in our
			       * place: oci.h; NAMESPACES are those that it does not make */
	LAM_OP_BUNDLE = 24,  /* its directory, the container's id, config.json before and after the user */
	LAM_OP_WHOLE = 25,   /* CLONE_NEW* of all that the container has: who joins it enters these */

	/* the namespaces */
	LAM_OP_NAMESPACES = 20, /* CLONE_NEW* of those to make */
	LAM_OP_JOIN = 21,	/* pid, CLONE_NEW*: those to enter; when it began (state.h), or 0 */
	LAM_OP_ROOT = 22,	/* path, "pivot" or "chroot" or "aside" (filled, not entered), "ro" or "rw",
				 * MOUNT_ATTR_* */

	/* what fills the root, in this order */
	LAM_OP_MOUNT = 40, /* type, source, target, MOUNT_ATTR_*, options */
	LAM_OP_BIND = 41,  /* source, target, MOUNT_ATTR_*, "rec" or "", propagation (MS_*); a path below the
			       * source, links resolved within it, or nothing */
	LAM_OP_NODE = 42,  /* target, mode with type, major, minor */
	LAM_OP_SYMLINK = 43,  /* contents, target */
	LAM_OP_MASK = 44,     /* target */
	LAM_OP_READONLY = 45, /* target */
	LAM_OP_SYSCTL = 46,   /* path below /proc/sys, value; there is a /proc by then */
	LAM_OP_COPY = 47,     /* source, target: a file's contents, where nothing can be mounted */

	/* init's */
	LAM_OP_HOSTNAME = 60,
	LAM_OP_DOMAINNAME = 61,
	LAM_OP_RLIMIT = 63,	  /* resource, soft, hard */
	LAM_OP_OOM_SCORE = 64,	  /* value */
	LAM_OP_CWD = 65,	  /* path, "create" or "" */
	LAM_OP_IDS = 66,	  /* uid, gid, umask (octal, or "" for 022) */
	LAM_OP_GROUP = 67,	  /* one supplementary gid */
	LAM_OP_CAPABILITIES = 68, /* bounding, permitted, effective, inheritable, ambient: hex masks */
	LAM_OP_NO_NEW_PRIVS = 69,
	LAM_OP_SECCOMP = 70, /* struct sock_filter[] */
	LAM_OP_REAP = 71,    /* stay process 1: forward signals, reap */
	LAM_OP_ENV = 72,     /* NAME=value */
	LAM_OP_ARG = 73,     /* one argument of the program; the first names it */
	LAM_OP_USER = 75,    /* instead of IDS and GROUP: a user as the root's files have it; HOME is set */
	LAM_OP_INTERFACE =
		77,	    /* device, address or "" (it has one), prefix length, gateway or "": once there is
				* a network */
	LAM_OP_RECORD = 78, /* who gets what the filter hands to user space: see record.h */
	LAM_OP_ALONE = 76,  /* there is no id but 0: whoever is asked for, it is he */
	LAM_OP_STDIO = 74,  /* the program gets our standard streams: nobody attaches, nothing is logged */
};

struct lam_record {
	uint16_t op;
	uint16_t count;
	const char *arg[LAM_PLAN_ARGS]; /* NUL-terminated, inside plan->raw */
	uint32_t length[LAM_PLAN_ARGS];
};

struct lam_plan {
	char *raw;
	struct lam_record *records;
	size_t count;
};

/* Returns 0, -EBADMSG for what is no plan, or the error of reading. */
int lam_plan_read(struct lam_plan *plan, int fd);

/* The first record of 'op', or NULL. */
const struct lam_record *lam_plan_first(const struct lam_plan *plan, enum lam_op op);

/* The next record of 'op' after 'last' (NULL: the first), or NULL. */
const struct lam_record *lam_plan_next(const struct lam_plan *plan, enum lam_op op,
				       const struct lam_record *last);

/*
 * lam_plan_vector() - first arguments of all records of 'op' as an argument vector
 *
 * Ends with NULL.  The caller frees the vector; the strings are the plan's.  NULL: no memory.
 */
char **lam_plan_vector(const struct lam_plan *plan, enum lam_op op);

/* An argument as a number, 0 where it is none. */
uint64_t lam_record_number(const struct lam_record *record, unsigned int index, int base);
bool lam_record_is(const struct lam_record *record, unsigned int index, const char *word);

#endif
