/* SPDX-License-Identifier: MIT */
/* core - opening and closing the whole: layers, limits, the root */
#include <lamina/core.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lamina/handle.h>
#include <lamina/inomap.h>
#include <lamina/internal.h>
#include <lamina/layer.h>
#include <lamina/layer_erofs.h>
#include <lamina/node.h>
#include <lamina/resolve.h>
#include <lamina/sys.h>
#include <lamina/table.h>
#include <lamina/upper.h>
#include <lamina/verbs.h>
#include <lamina/xattr.h>

#define MIN_CACHE 64	/* descriptors: several times LAM_LDIR_SAFE */
#define MAX_CACHE 16000 /* kept open of each kind; both and the rest fit a table of 32768 */
#define OTHER_FDS 64	/* layers' roots come on top */

/*
 * The kernel's table of descriptors grows by doubling, and where threads share it each time waits for
 * an RCU grace period, 5 to 30 ms in which the hot thread answers nobody.  So it grows once, now, to
 * what the caches may fill: 8 bytes of the kernel's memory a descriptor.
 */
static void reserve_descriptors(const struct lam_core *core)
{
	uint32_t most = core->max_dirfds + core->max_files + OTHER_FDS + 4 * core->nlayers;
	int fd = fcntl(core->proc_fd, F_DUPFD_CLOEXEC, (int)most);

	lam_close(&fd); /* EINVAL: above the limit, the table grows as it must */
}

/* Share out the descriptors the process may have. */
static void set_limits(struct lam_core *core, const struct lam_config *config)
{
	struct rlimit limit = { .rlim_cur = 1024, .rlim_max = 1024 };
	uint64_t room, fixed = OTHER_FDS + 4ull * core->nlayers;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			getrlimit(RLIMIT_NOFILE, &limit);
	}
	room = limit.rlim_cur > fixed ? limit.rlim_cur - fixed : 0;
	if (config->max_fds && config->max_fds < room)
		room = config->max_fds;
	/* Half stays for open files and objects without names, which are not ours to close. */
	core->max_dirfds = (uint32_t)(room / 4 < MAX_CACHE ? room / 4 : MAX_CACHE);
	core->max_files = core->max_dirfds;
	if (core->max_dirfds < MIN_CACHE)
		core->max_dirfds = MIN_CACHE;
	if (core->max_files < MIN_CACHE / 4)
		core->max_files = MIN_CACHE / 4;
}

static int copy_maps(struct lam_core *core, const struct lam_config *config)
{
	core->uidmap = calloc(config->nuidmap + 1u, sizeof(*core->uidmap));
	core->gidmap = calloc(config->ngidmap + 1u, sizeof(*core->gidmap));
	if (!core->uidmap || !core->gidmap)
		return -ENOMEM;
	if (config->nuidmap)
		memcpy(core->uidmap, config->uidmap, config->nuidmap * sizeof(*core->uidmap));
	if (config->ngidmap)
		memcpy(core->gidmap, config->gidmap, config->ngidmap * sizeof(*core->gidmap));
	core->nuidmap = config->nuidmap;
	core->ngidmap = config->ngidmap;
	return 0;
}

/*
 * May this process act as others?  CAP_SETUID and CAP_SETGID in its namespace.  Doing so must not
 * cost the other capabilities: the kernel has checked what the requester may do, by groups and
 * capabilities that are not known here.  Threads made from now on inherit the setting.
 */
static bool can_setfsuid(void)
{
	unsigned long long caps = 0;
	char line[256];
	FILE *status = fopen("/proc/self/status", "re");

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (status)
		fclose(status);
	prctl(PR_SET_SECUREBITS, prctl(PR_GET_SECUREBITS) | SECBIT_NO_SETUID_FIXUP);
	return (caps >> 6 & 1) && (caps >> 7 & 1);
}

static int settings(struct lam_core *core, const struct lam_config *config, struct lam_why *why)
{
	core->flags = config->flags;
	core->redirect = config->redirect;
	core->fsync = config->fsync;
	core->create_policy = config->create_policy;
	core->xattr_permissions = config->xattr_permissions;
	core->squash_uid = config->squash_uid;
	core->squash_gid = config->squash_gid;
	core->prefix = config->flags & LAM_CFG_USERXATTR ? "user.overlay." : "trusted.overlay.";
	core->prefix_len = strlen(core->prefix);
	core->euid = geteuid();
	core->egid = getegid();
	core->can_setfsuid = can_setfsuid();
	core->nuppers = config->nupper;
	core->nlayers = config->nupper + config->nlower;
	if (!core->nlayers || core->nlayers > LAM_MAX_LAYERS)
		return lam_fail(why, 0, core->nlayers ? "too many layers" : "no layers", "lowerdir");
	core->layers = calloc(core->nlayers, sizeof(*core->layers));
	if (!core->layers || copy_maps(core, config) < 0)
		return lam_fail(why, -ENOMEM, "no memory", "layers");
	core->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (core->proc_fd < 0)
		return lam_fail(why, -errno, "is needed to reach files without a name", "/proc/self/fd");
	set_limits(core, config);
	reserve_descriptors(core);
	umask(0); /* new objects get the mode that the requester's umask leaves */
	/* The lock lets one thread allocate at a time; heaps of their own would grow by a system call a page. */
	mallopt(M_ARENA_MAX, 1);
	return 0;
}

/* Takes 'fd'. */
static int open_dir_layer(struct lam_core *core, struct lam_layer *layer, const char *path, int fd,
			  struct lam_why *why)
{
	struct statx st;
	int fsid;

	layer->ops = &lam_layer_dir_ops;
	layer->root = lam_ldir_root(layer, fd);
	if (!layer->root) {
		lam_close(&fd);
		return lam_fail(why, -ENOMEM, "no memory", path);
	}
	if (lam_stat_at(fd, "", &st) < 0)
		return lam_fail(why, -errno, "cannot stat", path);
	layer->root->ino = st.stx_ino;
	layer->root->dev = lam_dev(&st);
	fsid = lam_fsid(core, lam_dev(&st));
	if (fsid < 0)
		return lam_fail(why, fsid, "no memory", path);
	layer->fsid = (uint32_t)fsid;
	lam_fsid_learn(core, fd, lam_dev(&st));
	/* Name hashes differ from mount place to mount place, so that no image can be made to collide. */
	core->seed = core->seed * 0x9e3779b97f4a7c15u + (st.stx_ino ^ lam_dev(&st) << 32);
	return 0;
}

static int open_layer(struct lam_core *core, uint32_t index, const char *path, struct lam_devices *devices,
		      struct lam_why *why)
{
	struct lam_layer *layer = &core->layers[index];
	struct stat st;
	int fd, rc;

	layer->index = index;
	layer->upper = index < core->nuppers;
	layer->lock_fd[0] = layer->lock_fd[1] = -1;
	fd = open(path, O_PATH | O_CLOEXEC);
	rc = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
	if (rc == 0 && S_ISREG(st.st_mode) && !layer->upper) {
		rc = lam_layer_erofs_open(core, layer, path, fd, devices, why);
		lam_close(&fd);
		return rc;
	}
	if (rc == 0 && S_ISDIR(st.st_mode))
		return open_dir_layer(core, layer, path, fd, why);
	lam_close(&fd);
	return lam_fail(why, rc < 0 ? rc : -ENOTDIR,
			layer->upper ? "cannot open upperdir" : "cannot open lowerdir", path);
}

/* Marks that hold for a whole layer are on its root. */
static int read_root_marks(struct lam_core *core, struct lam_layer *layer)
{
	int rc = lam_ldir_marks(core, layer->root);

	layer->root->flags &= ~(uint32_t)(LAM_LDIR_OPAQUE | LAM_LDIR_REDIRECT);
	layer->override =
		lam_layer_getxattr(core, layer->root, ".", "user.containers.override_stat", NULL, 0) > 0 ||
		lam_layer_getxattr(core, layer->root, ".", "user.fuseoverlayfs.override_stat", NULL, 0) > 0;
	return rc;
}

static int make_root(struct lam_core *core)
{
	struct lam_node *root = lam_node_new(core, S_IFDIR);
	int rc = 0;

	if (!root)
		return -ENOMEM;
	root->id = LAM_ROOT_ID;
	root->refs = 1;
	core->root = root;
	for (uint32_t i = 0; rc == 0 && i < core->nlayers; i++)
		rc = lam_node_add_part(core, root, lam_ldir_get(core->layers[i].root));
	return rc < 0 ? rc : lam_dir_ino(core, root);
}

static int open_all(struct lam_core *core, const struct lam_config *config, struct lam_why *why)
{
	struct lam_devices devices = { .paths = config->device,
				       .count = config->ndevice,
				       .dir = config->devicedir };
	int rc = settings(core, config, why);

	for (uint32_t i = 0; rc == 0 && i < core->nlayers; i++)
		rc = open_layer(core, i,
				i < core->nuppers ? config->upper[i] : config->lower[i - core->nuppers],
				&devices, why);
	if (rc == 0 && devices.taken < devices.count)
		rc = lam_fail(why, 0, "no image has this data device", devices.paths[devices.taken]);
	for (uint32_t i = 0; rc == 0 && i < core->nlayers; i++)
		if ((rc = read_root_marks(core, &core->layers[i])) < 0)
			lam_fail(why, rc, "cannot read xattrs", "layer root");
	for (uint32_t i = 0; rc == 0 && i < core->nuppers && !(core->flags & LAM_CFG_READONLY); i++)
		rc = lam_upper_open(core, &core->layers[i], config->upper[i], config->work[i], why);
	if (rc == 0 && (rc = make_root(core)) < 0)
		lam_fail(why, rc, "cannot make the root", "/");
	return rc;
}

int lam_core_open(const struct lam_config *config, char *why_text, size_t why_size, struct lam_core **out)
{
	struct lam_why why = { .text = why_text, .size = why_size };
	struct lam_core *core = calloc(1, sizeof(*core));
	int rc;

	if (!core)
		return lam_fail(&why, -ENOMEM, "no memory", "core");
	pthread_mutex_init(&core->lock, NULL);
	pthread_cond_init(&core->copied, NULL);
	lam_list_init(&core->dirfds);
	lam_list_init(&core->files);
	core->proc_fd = -1;
	rc = open_all(core, config, &why);
	if (rc < 0) {
		lam_core_close(core);
		return rc;
	}
	*out = core;
	return 0;
}

/* Nodes hold one another: let each go once, children before the directories they hold. */
static void free_nodes(struct lam_core *core)
{
	for (uint32_t i = 1; i < core->nhandles; i++)
		if (core->handles[i].node)
			lam_handle_free(core, &core->handles[i]);
	for (uint32_t i = 0; i < core->nslots; i++) {
		struct lam_node *node = core->slots[i];

		if (node && node != core->root && node->nlookup > 0)
			lam_node_forget(core, node, node->nlookup);
	}
	if (core->root)
		lam_node_unref(core, core->root);
}

void lam_core_close(struct lam_core *core)
{
	if (!core)
		return;
	free_nodes(core);
	for (uint32_t i = 0; core->layers && i < core->nlayers; i++) {
		if (core->layers[i].upper)
			lam_upper_close(core, &core->layers[i]);
		lam_ldir_put(core, core->layers[i].root);
		if (core->layers[i].image)
			core->layers[i].ops->close(&core->layers[i]);
	}
	lam_close(&core->proc_fd);
	free(core->layers);
	free(core->uidmap);
	free(core->gidmap);
	free(core->slots);
	free(core->free_slots);
	free(core->idents);
	free(core->handles);
	free(core->devices);
	pthread_cond_destroy(&core->copied);
	pthread_mutex_destroy(&core->lock);
	free(core);
}

bool lam_core_readonly(const struct lam_core *core)
{
	return lam_may_write(core) < 0;
}

/* The kernel asks for the ACL of whatever is accessed by another than its owner: more often than for data. */
bool lam_core_posix_acl(const struct lam_core *core)
{
	bool possible = !lam_core_readonly(core);

	for (uint32_t i = 0; !possible && i < core->nlayers; i++)
		possible = !lam_layer_no_acl(&core->layers[i]);
	return possible && !(core->flags & (LAM_CFG_NOACL | LAM_CFG_NOXATTR));
}

bool lam_core_noxattr(const struct lam_core *core)
{
	return core->flags & LAM_CFG_NOXATTR;
}

bool lam_core_only_images(const struct lam_core *core)
{
	for (uint32_t i = 0; i < core->nlayers; i++)
		if (!core->layers[i].image)
			return false;
	return true;
}

void lam_core_stats(struct lam_core *core, struct lam_stats *out)
{
	pthread_mutex_lock(&core->lock);
	*out = core->stats;
	out->fds = core->ndirfds + core->nfiles;
	pthread_mutex_unlock(&core->lock);
}
