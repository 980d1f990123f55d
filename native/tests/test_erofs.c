/* SPDX-License-Identifier: MIT */
/* test_erofs - the image reader on sound images and on damaged ones, and images as layers */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lamina/erofs.h>

#include "erofs_walk.h"
#include "stack.h"

#define CORPUS "tests/corpus/erofs/"
#define IMAGE_MAX (64u << 10)
#define SUPER 1024u
#define NAMES 52 /* in each image of the corpus: see its make */

static const char *const sound[] = { "compact", "extended", "blockmap", "indexes" };
#define NSOUND (sizeof(sound) / sizeof(*sound))

struct image {
	uint8_t bytes[IMAGE_MAX];
	size_t size;
};

static uint64_t draw(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

static void load(const char *name, struct image *image)
{
	char path[100];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), CORPUS "%s", name);
	fd = open(path, O_RDONLY);
	EXPECT(fd >= 0);
	n = read(fd, image->bytes, sizeof(image->bytes));
	EXPECT(n > 0);
	image->size = (size_t)n;
	close(fd);
}

static void put32(struct image *image, size_t at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		image->bytes[at + (size_t)i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get32(const struct image *image, size_t at)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value |= (uint32_t)image->bytes[at + (size_t)i] << 8 * i;
	return value;
}

/* Walk a copy of the exact size: the sanitizer sees the first byte read behind it. */
static int walk_exact(const struct image *image, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	int names;

	EXPECT(copy);
	memcpy(copy, image->bytes, size);
	names = erofs_walk(copy, size);
	free(copy);
	return names;
}

static const char *refusal(const struct image *image)
{
	const char *why = "";
	struct lam_erofs fs;

	if (lam_erofs_open(&fs, image->bytes, image->size, &why) == 0)
		lam_erofs_close(&fs);
	return why;
}

static void without_checksum(struct image *image)
{
	image->bytes[SUPER + 8] &= 0xfe;
}

static void sees_all_names(void)
{
	struct image image;

	for (size_t i = 0; i < NSOUND; i++) {
		load(sound[i], &image);
		EXPECT(walk_exact(&image, image.size) == NAMES);
	}
}

static void refusals_say_why(void)
{
	struct image image;

	load("compressed", &image);
	EXPECT(strstr(refusal(&image), "is compressed"));
	load("compact", &image);
	image.bytes[SUPER + 48] ^= 1; /* the uuid */
	EXPECT(strstr(refusal(&image), "checksum"));
	without_checksum(&image);
	EXPECT(!*refusal(&image));
	image.bytes[SUPER + 81] |= 1; /* a metabox */
	EXPECT(strstr(refusal(&image), "not supported"));
	image.bytes[SUPER + 81] = 0;
	image.bytes[SUPER + 12] = 40;
	EXPECT(strstr(refusal(&image), "impossible size"));
	image.bytes[SUPER] = 0;
	EXPECT(strstr(refusal(&image), "not an EROFS image"));
	image.size = SUPER + 100;
	EXPECT(strstr(refusal(&image), "not an EROFS image"));
}

static void survives_truncation(void)
{
	struct image image;

	for (size_t i = 0; i < NSOUND; i++) {
		load(sound[i], &image);
		without_checksum(&image);
		for (size_t size = 0; size < image.size; size += 61)
			walk_exact(&image, size);
	}
}

/* Bytes that mean offsets, lengths and counts lie in the first blocks: most changes go there. */
static void survives_damage(void)
{
	static const uint8_t extremes[] = { 0, 1, 0x7f, 0x80, 0xff };
	uint64_t state = 1;
	struct image image;

	for (int round = 0; round < 4000; round++) {
		load(sound[draw(&state) % NSOUND], &image);
		without_checksum(&image);
		for (uint64_t n = 1 + draw(&state) % 12; n > 0; n--) {
			size_t from = draw(&state) % 4 ? SUPER : 0;
			size_t at = from + draw(&state) % (draw(&state) % 2 ? image.size - from : 7000);

			image.bytes[at] = draw(&state) % 2 ? extremes[draw(&state) % 5]
							   : (uint8_t)draw(&state);
		}
		without_checksum(&image);
		walk_exact(&image, image.size);
	}
}

/* ---- as a layer ---- */

static void store(const struct stack *s, const char *name, const struct image *image)
{
	int fd = openat(s->fd, name, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	EXPECT(fd >= 0 && write(fd, image->bytes, image->size) == (ssize_t)image->size);
	close(fd);
}

/* A stack whose topmost lower is 'image' instead of the directory l0. */
static void with_image(struct stack *s, const struct image *image, unsigned int uppers)
{
	char path[100];

	stack_make(s, 1, uppers);
	snprintf(path, sizeof(path), "%s/l0", s->top);
	EXPECT(rmdir(path) == 0);
	store(s, "l0", image);
}

static void is_a_lower_like_any(void)
{
	struct lam_attr attr;
	struct image image;
	struct stack s;
	uint64_t f, link;

	load("compact", &image);
	with_image(&s, &image, 1);
	stack_open(&s);
	EXPECT(stack_reads(&s, "d/f", "hello\n"));
	EXPECT(stack_error(&s, "gone") == -ENOENT); /* a whiteout */
	f = stack_find(&s, "d/f");
	link = stack_find(&s, "d/e/link");
	EXPECT(f == link);
	EXPECT(lam_getattr(s.core, f, 0, &attr) == 0 && attr.nlink == 2 && attr.size == 6);
	EXPECT(stack_write(&s, "d/f", "J") == 0);
	EXPECT(stack_reads(&s, "d/e/link", "Jello\n"));
	stack_forget(&s, f);
	stack_forget(&s, link);
	EXPECT(stack_rename(&s, "d", "moved", 0) == 0 && stack_reads(&s, "moved/e/link", "Jello\n"));
	stack_close(&s);
	stack_open(&s);
	EXPECT(stack_reads(&s, "moved/f", "Jello\n"));
	stack_close(&s);
	stack_free(&s);
}

static size_t name_of(const struct image *image, size_t entry, size_t first)
{
	return first + image->bytes[entry + 8] + ((size_t)image->bytes[entry + 9] << 8);
}

/* Where the root directory's entry for 'name' is; its names are in one block. */
static size_t root_entry(const struct image *image, const char *name)
{
	struct lam_erofs_extent piece;
	struct lam_erofs_inode root;
	struct lam_erofs fs;
	const char *why;
	size_t found = 0, end;

	EXPECT(lam_erofs_open(&fs, image->bytes, image->size, &why) == 0);
	EXPECT(lam_erofs_inode(&fs, fs.root, &root) == 0);
	EXPECT(lam_erofs_extent(&fs, &root, 0, 4096, &piece) == 0 && piece.length == root.size);
	end = name_of(image, piece.offset, piece.offset);
	for (size_t at = piece.offset; !found && at < end; at += 12) {
		size_t text = name_of(image, at, piece.offset);

		if (memcmp(image->bytes + text, name, strlen(name)) == 0)
			found = at;
	}
	lam_erofs_close(&fs);
	if (!found)
		fprintf(stderr, "%s is not in the root\n", name);
	EXPECT(found);
	return found;
}

static void directories_inside_themselves_end(void)
{
	struct image image;
	struct stack s;
	size_t at;

	load("extended", &image);
	without_checksum(&image);
	at = root_entry(&image, "many");
	put32(&image, at, get32(&image, SUPER + 14) & 0xffff); /* the root's number */
	with_image(&s, &image, 0);
	stack_open(&s);
	EXPECT(stack_error(&s, "d") == 0);
	EXPECT(stack_error(&s, "many/d") == -ELOOP);
	EXPECT(stack_error(&s, "many/many/many") == -ELOOP);
	stack_close(&s);
	stack_free(&s);
}

static void names_that_lead_out_are_refused(void)
{
	char names[256];
	struct image image;
	struct stack s;
	size_t at;

	load("extended", &image);
	without_checksum(&image);
	at = root_entry(&image, "sized");
	at = name_of(&image, at, root_entry(&image, "."));
	image.bytes[at + 3] = '/';
	with_image(&s, &image, 0);
	stack_open(&s);
	EXPECT(stack_list(&s, "", names, sizeof(names)) == -EUCLEAN);
	stack_close(&s);
	stack_free(&s);
}

/* mkfs.erofs 1.5 makes no holes: blocks of zeros of 'hole' become some. */
static void holes_are_read_found_and_kept(void)
{
	struct lam_erofs_inode inode;
	struct image image;
	struct lam_erofs fs;
	const char *why;
	struct stack s;
	struct stat st;
	char text[5];
	uint64_t f;

	load("blockmap", &image);
	without_checksum(&image);
	EXPECT(lam_erofs_open(&fs, image.bytes, image.size, &why) == 0);
	EXPECT(lam_erofs_inode(&fs, get32(&image, root_entry(&image, "hole")), &inode) == 0);
	EXPECT(inode.size == 20000 && inode.chunk_bits == 12);
	for (size_t i = 0; i < 5; i++)
		if (i != 2) /* where "data" is */
			put32(&image, ((inode.tail + 3) & ~3ull) + i * 4, ~0u);
	lam_erofs_close(&fs);
	with_image(&s, &image, 1);
	stack_open(&s);
	f = stack_find(&s, "hole");
	EXPECT(lam_lseek(s.core, f, 0, 0, SEEK_DATA) == 8192);
	EXPECT(lam_lseek(s.core, f, 0, 8192, SEEK_HOLE) == 12288);
	EXPECT(lam_lseek(s.core, f, 0, 12288, SEEK_DATA) == -ENXIO);
	EXPECT(lam_lseek(s.core, f, 0, 20000, SEEK_HOLE) == -ENXIO);
	EXPECT(lam_read(s.core, ROOT, f, 0, text, 5, 8999) == 5 && memcmp(text, "\0data", 5) == 0);
	EXPECT(lam_write(s.core, ROOT, f, 0, "B", 1, 0, false) == 1);
	EXPECT(lam_read(s.core, ROOT, f, 0, text, 5, 8999) == 5 && memcmp(text, "\0data", 5) == 0);
	EXPECT(fstatat(s.fd, "u0/hole", &st, 0) == 0 && st.st_size == 20000 && st.st_blocks * 512 <= 8192);
	stack_forget(&s, f);
	stack_close(&s);
	stack_free(&s);
}

static void truncated_under_the_mount(void)
{
	struct image image;
	struct stack s;
	char path[100], names[256];

	load("compact", &image);
	with_image(&s, &image, 0);
	stack_open(&s);
	EXPECT(stack_reads(&s, "d/f", "hello\n"));
	snprintf(path, sizeof(path), "%s/l0", s.top);
	EXPECT(truncate(path, 0) == 0);
	EXPECT(stack_error(&s, "d/f") == -EIO);
	EXPECT(stack_list(&s, "", names, sizeof(names)) == -EIO);
	EXPECT(truncate(path, (off_t)image.size) == 0);
	EXPECT(stack_error(&s, "d/f") == -EIO); /* it is not what was mounted */
	stack_close(&s);
	stack_free(&s);
}

static void devices_are_checked(void)
{
	static const char *const none[] = { "/nonexistent" };
	static const char *const two[] = { "/etc/passwd", "/etc/passwd" };
	struct image image;
	struct stack s;
	char text[64];
	size_t slot;

	load("indexes", &image);
	without_checksum(&image);
	slot = 128 * (image.bytes[SUPER + 88] | (size_t)image.bytes[SUPER + 89] << 8);
	with_image(&s, &image, 0);
	EXPECT(stack_try_open(&s) < 0 && strstr(s.why, "needs 1 data devices"));
	s.config.device = none;
	s.config.ndevice = 1;
	EXPECT(stack_try_open(&s) < 0 && strstr(s.why, "/nonexistent: data device cannot be opened"));
	s.config.device = two;
	s.config.ndevice = 2;
	EXPECT(stack_try_open(&s) < 0 && strstr(s.why, "no image has this data device"));
	s.config.ndevice = 0;
	s.config.devicedir = s.top;
	EXPECT(stack_try_open(&s) < 0 && strstr(s.why, "no usable name in the image"));
	memcpy(image.bytes + slot, "../escape", 9);
	store(&s, "l0", &image);
	EXPECT(stack_try_open(&s) < 0 && strstr(s.why, "no usable name in the image"));
	memset(image.bytes + slot, 0, 64);
	memcpy(image.bytes + slot, "blob", 4);
	put32(&image, slot + 64, 100); /* blocks */
	store(&s, "l0", &image);
	stack_file(&s, "blob", "short");
	EXPECT(stack_try_open(&s) < 0 && strstr(s.why, "shorter than the image says"));
	put32(&image, slot + 64, 0);
	store(&s, "l0", &image);
	stack_open(&s);
	EXPECT(stack_read(&s, "sized", text, sizeof(text)) == -EIO);
	stack_close(&s);
	stack_free(&s);
}

int main(void)
{
	kernel_watchdog(100);
	sees_all_names();
	refusals_say_why();
	survives_truncation();
	survives_damage();
	is_a_lower_like_any();
	directories_inside_themselves_end();
	names_that_lead_out_are_refused();
	holes_are_read_found_and_kept();
	truncated_under_the_mount();
	devices_are_checked();
	return 0;
}
