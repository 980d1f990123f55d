/* SPDX-License-Identifier: MIT */
/* test_hostile - layers made by somebody who means harm, or changed under the mount */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "stack.h"

#define OVL "trusted.overlay."

static uint64_t draw(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* Use all there is; whatever it says, nothing may break. */
static void poke(struct stack *s, const char *name)
{
	char text[64], path[600];

	stack_error(s, name);
	stack_read(s, name, text, sizeof(text));
	if (stack_error(s, name) == 0) {
		stack_chmod(s, name, 0700);
		stack_write(s, name, "x");
	}
	snprintf(path, sizeof(path), "%s/new", name);
	stack_create(s, path, "x");
	snprintf(path, sizeof(path), "%.200s-2", name);
	stack_rename(s, name, path, 0);
	stack_error(s, path);
	stack_rename(s, path, name, RENAME_NOREPLACE);
	stack_link(s, "anchor", path);
	stack_unlink(s, path);
	stack_unlink(s, name);
	stack_rmdir(s, name);
	stack_error(s, name);
}

static void survives_garbage_in_marks(void)
{
	static const char *const keys[] = { OVL "opaque",
					    OVL "redirect",
					    OVL "metacopy",
					    OVL "origin",
					    OVL "impure",
					    OVL "nlink",
					    OVL "whiteout",
					    OVL "protattr",
					    "user.containers.override_stat",
					    "user.fuseoverlayfs.opaque",
					    OVL "overlay.opaque" };
	static const char *const layers[] = { "u0", "l0", "l1" };
	char bytes[1024], path[64], key[64];
	uint64_t state = 1;
	struct stack s;

	for (int round = 0; round < 12; round++) {
		stack_make(&s, 2, 1);
		s.config.xattr_permissions = round % 3 == 2 ? 2 : 0;
		stack_file(&s, "l1/anchor", "anchor");
		for (int i = 0; i < 60; i++) {
			const char *layer = layers[draw(&state) % 3];

			snprintf(path, sizeof(path), "%s/n%d", layer, i % 20);
			if (!stack_has(&s, path) && draw(&state) % 2)
				stack_dir(&s, path);
			else if (!stack_has(&s, path))
				stack_file(&s, path, draw(&state) % 2 ? "" : "text");
			for (int k = 0; k < 2; k++) {
				size_t size = draw(&state) % 4 ? draw(&state) % 48 : draw(&state) % 1000;

				for (size_t n = 0; n < size; n++)
					bytes[n] = draw(&state) % 3 ? "xy/n.01+U-L:"[draw(&state) % 12]
								    : (char)draw(&state);
				snprintf(key, sizeof(key), "%s", keys[draw(&state) % 11]);
				stack_xattr(&s, path, key, bytes, size);
			}
		}
		stack_text_xattr(&s, "l0", OVL "impure", "y");
		stack_open(&s);
		stack_list(&s, "", bytes, sizeof(bytes));
		for (int i = 0; i < 20; i++) {
			snprintf(path, sizeof(path), "n%d", i);
			poke(&s, path);
		}
		stack_close(&s);
		stack_open(&s);
		stack_list(&s, "", bytes, sizeof(bytes));
		stack_close(&s);
		stack_free(&s);
	}
}

static void survives_origins_of_all_lengths(void)
{
	unsigned char bytes[400];
	char path[64];
	struct stack s;

	stack_make(&s, 1, 1);
	stack_dir(&s, "l0/d");
	for (int length = 0; length < 400; length += length < 64 ? 1 : 21) {
		memset(bytes, 0xa5, sizeof(bytes));
		bytes[0] = 0;
		bytes[1] = 0xfb;
		bytes[2] = (unsigned char)length;
		bytes[3] = 0;
		bytes[4] = (unsigned char)(length % 5 ? 1 : 0x81);
		memset(bytes + 5, 0, 16);
		for (int kind = 0; kind < 2; kind++) {
			snprintf(path, sizeof(path), "u0/%c%d", "fd"[kind], length);
			if (kind)
				stack_dir(&s, path);
			else
				stack_file(&s, path, "text");
			stack_xattr(&s, path, OVL "origin", bytes, (size_t)length);
		}
		if (length % 3)
			continue;
		snprintf(path, sizeof(path), "u0/l%d", length); /* hard links ask the index */
		stack_file(&s, path, "text");
		stack_xattr(&s, path, OVL "origin", bytes, (size_t)length);
		snprintf(path + strlen(path), 8, "-2");
		EXPECT(symlinkat("x", s.fd, path) == 0);
		EXPECT(unlinkat(s.fd, path, 0) == 0);
	}
	stack_open(&s);
	for (int length = 0; length < 400; length += length < 64 ? 1 : 21) {
		snprintf(path, sizeof(path), "f%d", length);
		EXPECT(stack_reads(&s, path, "text"));
		snprintf(path, sizeof(path), "d%d", length);
		EXPECT(stack_error(&s, path) == 0 && stack_lists(&s, path, ""));
	}
	stack_close(&s);
	stack_free(&s);
}

static void longest_names_work(void)
{
	char name[256], path[600], other[256], long_name[257];
	struct stack s;

	memset(name, 'n', 255);
	name[255] = '\0';
	memset(other, 'o', 255);
	other[255] = '\0';
	memset(long_name, 'l', 256);
	long_name[256] = '\0';
	stack_make(&s, 2, 1);
	snprintf(path, sizeof(path), "l1/%s", name);
	stack_dir(&s, path);
	snprintf(path, sizeof(path), "l1/%s/%s", name, name);
	stack_file(&s, path, "low");
	snprintf(path, sizeof(path), "l0/%s", name);
	stack_dir(&s, path);
	stack_open(&s);
	snprintf(path, sizeof(path), "%s/%s", name, name);
	EXPECT(stack_reads(&s, path, "low"));
	EXPECT(stack_rename(&s, path, other, 0) == 0 && stack_reads(&s, other, "low"));
	EXPECT(stack_rename(&s, name, "short", 0) == 0 && stack_rename(&s, "short", name, 0) == 0);
	EXPECT(stack_mkdir(&s, path) == 0 && stack_rmdir(&s, path) == 0);
	EXPECT(stack_unlink(&s, other) == 0 && stack_rmdir(&s, name) == 0);
	EXPECT(stack_error(&s, long_name) == -ENAMETOOLONG &&
	       stack_create(&s, long_name, "") == -ENAMETOOLONG);
	EXPECT(stack_mkdir(&s, ".wh.x") == -EINVAL && stack_rename(&s, name, ".wh.x", 0) < 0);
	stack_close(&s);
	stack_free(&s);
}

/* Directories of a layer turn into links that lead out of it: nothing out there is seen or touched. */
static void links_under_us_lead_nowhere(void)
{
	static const char *const targets[] = { "../outside", "/etc", "d", ".", "..", "/proc/self/root" };
	struct lam_entry entry;
	char path[300], text[64];
	uint64_t d, sub;
	struct stack s;

	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		stack_make(&s, 2, 1);
		s.config.max_fds = 1;
		stack_dir(&s, "outside");
		stack_dir(&s, "outside/sub");
		stack_file(&s, "outside/sub/f", "secret");
		for (int layer = 0; layer < 2; layer++) {
			snprintf(path, sizeof(path), "%s/d", layer ? "l0" : "u0");
			stack_dir(&s, path);
			strcat(path, "/sub");
			stack_dir(&s, path);
			strcat(path, "/f");
			stack_file(&s, path, "public");
		}
		for (int n = 0; n < 200; n++) {
			snprintf(path, sizeof(path), "l1/other%d", n);
			stack_dir(&s, path);
			strcat(path, "/x");
			stack_dir(&s, path);
		}
		stack_open(&s);
		d = stack_find(&s, "d");
		sub = stack_find(&s, "d/sub");
		/* Make the core close its descriptors of them. */
		for (int n = 0; n < 200; n++) {
			snprintf(path, sizeof(path), "other%d/x/y", n);
			stack_error(&s, path);
		}
		for (int layer = 0; layer < 2; layer++) {
			EXPECT(renameat(s.fd, layer ? "l0/d" : "u0/d", s.fd, layer ? "l0/was" : "u0/was") ==
			       0);
			EXPECT(symlinkat(targets[i], s.fd, layer ? "l0/d" : "u0/d") == 0);
		}
		stack_read(&s, "d/sub/f", text, sizeof(text));
		EXPECT(strcmp(text, "secret") != 0);
		if (lam_create(s.core, ROOT, sub, "g", 0644, O_RDWR, &entry, NULL) == 0)
			stack_forget(&s, entry.nodeid);
		if (lam_mkdir(s.core, ROOT, d, "g", 0755, &entry) == 0)
			stack_forget(&s, entry.nodeid);
		lam_unlink(s.core, ROOT, sub, "f");
		lam_rmdir(s.core, ROOT, d, "sub");
		EXPECT(!stack_has(&s, "outside/g") && !stack_has(&s, "outside/sub/g") && !stack_has(&s, "g"));
		EXPECT(stack_has(&s, "outside/sub/f"));
		stack_forget(&s, d);
		stack_forget(&s, sub);
		stack_close(&s);
		stack_free(&s);
	}
}

/* What a file was when it was looked up may be something else when it is opened. */
static void other_types_under_us(void)
{
	char text[64];
	struct stack s;
	uint64_t f;

	stack_make(&s, 1, 1);
	stack_file(&s, "l0/f", "text");
	stack_file(&s, "secret", "secret");
	stack_open(&s);
	f = stack_find(&s, "f");
	EXPECT(unlinkat(s.fd, "l0/f", 0) == 0 && symlinkat("../secret", s.fd, "l0/f") == 0);
	EXPECT(lam_read(s.core, ROOT, f, 0, text, sizeof(text), 0) < 0);
	EXPECT(unlinkat(s.fd, "l0/f", 0) == 0 && mkdirat(s.fd, "l0/f", 0755) == 0);
	EXPECT(lam_read(s.core, ROOT, f, 0, text, sizeof(text), 0) < 0);
	EXPECT(unlinkat(s.fd, "l0/f", AT_REMOVEDIR) == 0 && mkfifoat(s.fd, "l0/f", 0644) == 0);
	EXPECT(lam_read(s.core, ROOT, f, 0, text, sizeof(text), 0) < 0); /* nobody writes: it must not wait */
	EXPECT(lam_write(s.core, ROOT, f, 0, "x", 1, 0, false) < 0);
	EXPECT(!stack_has(&s, "u0/f"));
	stack_forget(&s, f);
	stack_close(&s);
	stack_free(&s);
}

/* Metadata-only copies on a lower, as a former upper leaves them, lose their name while they are open. */
static void lowers_are_never_written(void)
{
	struct lam_setattr set = { .valid = LAM_SET_MODE | LAM_SET_SIZE, .mode = 0777, .size = 2 };
	struct lam_attr attr;
	struct stat st;
	char text[8] = "";
	struct stack s;
	uint64_t f;

	stack_make(&s, 2, 1);
	stack_file(&s, "l1/f", "data");
	stack_file(&s, "l0/f", "");
	EXPECT(ftruncate(openat(s.fd, "l0/f", O_WRONLY | O_CLOEXEC), 4) == 0);
	stack_xattr(&s, "l0/f", OVL "metacopy", "", 0);
	stack_text_xattr(&s, "l0", OVL "impure", "y");
	stack_open(&s);
	f = stack_find(&s, "f");
	EXPECT(stack_unlink(&s, "f") == 0);
	EXPECT(lam_read(s.core, ROOT, f, 0, text, 4, 0) == 4 && strcmp(text, "data") == 0);
	EXPECT(lam_write(s.core, ROOT, f, 0, "D", 1, 0, false) == 1);
	EXPECT(lam_setattr(s.core, ROOT, f, 0, &set, &attr) == 0 && attr.size == 2);
	EXPECT(fstatat(s.fd, "l0/f", &st, 0) == 0 && st.st_size == 4 && st.st_blocks == 0 &&
	       st.st_mode == 0100644);
	EXPECT(stack_get_xattr(&s, "l0/f", OVL "metacopy", (char[256]){ 0 }) == 0);
	stack_forget(&s, f);
	stack_close(&s);
	stack_free(&s);
}

int main(void)
{
	kernel_watchdog(60);
	survives_garbage_in_marks();
	survives_origins_of_all_lengths();
	longest_names_work();
	links_under_us_lead_nowhere();
	other_types_under_us();
	lowers_are_never_written();
	return 0;
}
