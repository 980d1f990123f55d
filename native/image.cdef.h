/* SPDX-License-Identifier: MIT */
/*
 * image.cdef - what Python uses of include/lamina/image, in cffi's dialect
 *
 * As core.cdef.h.  Not here: reading an index entry by entry, which is for the builder;
 * lam_index_pack() is the twin for Python.
 */

/* ---- tar.h ---- */
struct lam_tar;

int lam_tar_open(struct lam_tar **out);
int lam_tar_feed(struct lam_tar *tar, const void *data, size_t size);
int lam_tar_finish(struct lam_tar *tar, const void **index, size_t *size);
const char *lam_tar_why(const struct lam_tar *tar, uint64_t *offset);
void lam_tar_free(struct lam_tar *tar);

/* ---- index.h ---- */
#define LAM_INDEX_VERSION ...
#define LAM_KIND_FILE ...
#define LAM_KIND_DIR ...
#define LAM_KIND_SYMLINK ...
#define LAM_KIND_HARDLINK ...
#define LAM_KIND_CHAR ...
#define LAM_KIND_BLOCK ...
#define LAM_KIND_FIFO ...
#define LAM_KIND_WHITEOUT ...
#define LAM_KIND_OPAQUE ...

struct lam_index_info {
	uint64_t entries;
	uint64_t whiteouts;
	uint64_t tar_size;
	uint64_t file_size;
};

struct lam_index;

int lam_index_open(const void *data, size_t size, struct lam_index **out);
void lam_index_info(const struct lam_index *index, struct lam_index_info *info);
void lam_index_free(struct lam_index *index);
int64_t lam_index_pack(struct lam_index *index, void *out, size_t size);

/* ---- build.h ---- */
#define LAM_IMAGE_TAG_SIZE 64
#define LAM_IMAGE_MAX_LAYERS ...
#define LAM_IMAGE_SQUASH ...

struct lam_image_move {
	uint64_t offset;
	uint64_t size;
	uint64_t target_offset;
	uint64_t target;
};

struct lam_image_layer {
	const void *index;
	size_t index_size;
	int tar_fd;
	uint64_t tar_size;
	char tag[LAM_IMAGE_TAG_SIZE];
	const struct lam_image_move *moves;
	size_t move_count;
};

struct lam_image_options {
	uint32_t flags;
	uint32_t squash_uid;
	uint32_t squash_gid;
};

struct lam_image_info {
	uint64_t inodes;
	uint64_t names;
	uint64_t bytes;
	uint64_t file_size;
	unsigned char uuid[16];
};

int lam_image_build(int out_fd, const struct lam_image_layer *layers, size_t count,
		    const struct lam_image_options *options, struct lam_image_info *info, char *why,
		    size_t why_size);
