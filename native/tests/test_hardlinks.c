/* SPDX-License-Identifier: MIT */
/* test_hardlinks - objects with several names, on uppers and through the index */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "stack.h"

static uint32_t nlink_of(struct stack *s, const char *path)
{
	uint64_t nodeid = stack_find(s, path);
	struct lam_attr attr;

	EXPECT(lam_getattr(s->core, nodeid, 0, &attr) == 0);
	stack_forget(s, nodeid);
	return attr.nlink;
}

static uint64_t ino_of(struct stack *s, const char *path)
{
	uint64_t nodeid = stack_find(s, path);
	struct lam_attr attr;

	EXPECT(lam_getattr(s->core, nodeid, 0, &attr) == 0);
	stack_forget(s, nodeid);
	return attr.ino;
}

static void link_below(const struct stack *s, const char *from, const char *to)
{
	EXPECT(linkat(s->fd, from, s->fd, to, 0) == 0);
}

static void three_names(struct stack *s, const char *layer)
{
	char a[32], b[32];

	snprintf(a, sizeof(a), "%s/x", layer);
	stack_file(s, a, "data");
	snprintf(b, sizeof(b), "%s/y", layer);
	link_below(s, a, b);
	snprintf(b, sizeof(b), "%s/d", layer);
	stack_dir(s, b);
	snprintf(b, sizeof(b), "%s/d/z", layer);
	link_below(s, a, b);
}

static void lower_names_stay_one_object(void)
{
	struct stack s;
	uint64_t x, y, ino;

	stack_make(&s, 1, 1);
	three_names(&s, "l0");
	stack_open(&s);
	x = stack_find(&s, "x");
	y = stack_find(&s, "y");
	ino = ino_of(&s, "x");
	EXPECT(x == y && nlink_of(&s, "x") == 3);
	stack_forget(&s, x);
	stack_forget(&s, y);
	EXPECT(stack_write(&s, "y", "DA") == 0);
	EXPECT(stack_reads(&s, "x", "DAta") && stack_reads(&s, "y", "DAta") &&
	       stack_reads(&s, "d/z", "DAta"));
	EXPECT(nlink_of(&s, "d/z") == 3 && ino_of(&s, "d/z") == ino);
	EXPECT(stack_link(&s, "x", "w") == 0 && nlink_of(&s, "y") == 4);
	EXPECT(stack_unlink(&s, "d/z") == 0 && nlink_of(&s, "y") == 3);
	EXPECT(stack_rename(&s, "x", "d/x2", 0) == 0 && nlink_of(&s, "w") == 3);
	stack_close(&s);
	stack_open(&s);
	EXPECT(stack_lists(&s, "", "d w y ") && stack_lists(&s, "d", "x2 "));
	EXPECT(stack_reads(&s, "d/x2", "DAta") && stack_reads(&s, "y", "DAta") &&
	       stack_reads(&s, "w", "DAta"));
	EXPECT(nlink_of(&s, "w") == 3 && nlink_of(&s, "d/x2") == 3 && ino_of(&s, "y") == ino);
	EXPECT(stack_unlink(&s, "y") == 0 && stack_unlink(&s, "w") == 0 && nlink_of(&s, "d/x2") == 1);
	EXPECT(stack_unlink(&s, "d/x2") == 0 && stack_lists(&s, "d", ""));
	stack_close(&s);
	stack_free(&s);
}

static void removed_ones_live_while_known(void)
{
	struct stack s;
	uint64_t x;
	char text[8] = "";

	stack_make(&s, 1, 1);
	three_names(&s, "l0");
	stack_open(&s);
	x = stack_find(&s, "x");
	EXPECT(stack_unlink(&s, "x") == 0 && stack_unlink(&s, "y") == 0 && stack_unlink(&s, "d/z") == 0);
	EXPECT(lam_read(s.core, ROOT, x, 0, text, 4, 0) == 4 && strcmp(text, "data") == 0);
	EXPECT(lam_write(s.core, ROOT, x, 0, "D", 1, 0, false) == 1);
	EXPECT(lam_read(s.core, ROOT, x, 0, text, 4, 0) == 4 && strcmp(text, "Data") == 0);
	stack_forget(&s, x);
	stack_close(&s);
	stack_open(&s);
	EXPECT(stack_lists(&s, "", "d "));
	stack_close(&s);
	stack_free(&s);
}

static void links_break_without_an_index(void)
{
	struct stack s;

	stack_make(&s, 1, 1);
	s.config.flags &= ~LAM_CFG_INDEX;
	three_names(&s, "l0");
	stack_open(&s);
	EXPECT(stack_write(&s, "x", "X") == 0 && stack_reads(&s, "x", "Xata") &&
	       stack_reads(&s, "y", "data"));
	stack_close(&s);
	stack_free(&s);
}

/* A name goes while the kernel still knows the object; others of its names come into view later. */
static void upper_names_after_the_first_went(void)
{
	struct stack s;
	uint64_t x, y;

	stack_make(&s, 1, 1);
	three_names(&s, "u0");
	stack_file(&s, "l0/low", "low");
	stack_open(&s);
	x = stack_find(&s, "x");
	EXPECT(stack_unlink(&s, "x") == 0);
	y = stack_find(&s, "y");
	EXPECT(x == y && nlink_of(&s, "y") == 2);
	EXPECT(stack_rename(&s, "y", "y2", 0) == 0 && stack_reads(&s, "y2", "data"));
	EXPECT(stack_rename(&s, "y2", "low", RENAME_EXCHANGE) == 0 && stack_reads(&s, "low", "data"));
	EXPECT(stack_link(&s, "low", "w") == 0 && stack_reads(&s, "w", "data"));
	EXPECT(stack_unlink(&s, "low") == 0 && stack_unlink(&s, "w") == 0 && stack_unlink(&s, "d/z") == 0);
	EXPECT(lam_write(s.core, ROOT, x, 0, "D", 1, 0, false) == 1);
	stack_forget(&s, x);
	stack_forget(&s, y);
	EXPECT(stack_lists(&s, "", "d y2 "));
	stack_close(&s);
	stack_free(&s);
}

/* Further names of a metadata-only copy move about on their own. */
static void names_of_metadata_copies(void)
{
	struct stack s;
	uint64_t f;

	stack_make(&s, 1, 1);
	stack_file(&s, "l0/f", "data");
	stack_dir(&s, "l0/sub");
	stack_open(&s);
	f = stack_find(&s, "f");
	EXPECT(stack_chmod(&s, "f", 0600) == 0 && stack_link(&s, "f", "sub/g") == 0);
	EXPECT(stack_rename(&s, "sub/g", "sub/h", 0) == 0);
	EXPECT(stack_reads(&s, "f", "data") && stack_reads(&s, "sub/h", "data") && nlink_of(&s, "f") == 2);
	EXPECT(stack_rename(&s, "sub/h", "h", 0) == 0 && stack_rename(&s, "f", "sub/f", 0) == 0);
	EXPECT(stack_reads(&s, "sub/f", "data") && stack_reads(&s, "h", "data"));
	EXPECT(stack_unlink(&s, "sub/f") == 0 && stack_reads(&s, "h", "data"));
	stack_forget(&s, f);
	stack_close(&s);
	stack_open(&s);
	EXPECT(stack_lists(&s, "", "h sub ") && stack_reads(&s, "h", "data"));
	EXPECT(stack_write(&s, "h", "D") == 0 && stack_reads(&s, "h", "Data"));
	stack_close(&s);
	stack_free(&s);
}

static void many_names(void)
{
	char name[32];
	struct stack s;

	stack_make(&s, 1, 1);
	stack_file(&s, "l0/f", "data");
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "l0/f%d", i);
		link_below(&s, "l0/f", name);
	}
	stack_open(&s);
	EXPECT(nlink_of(&s, "f") == 201);
	EXPECT(stack_write(&s, "f7", "D") == 0);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		EXPECT(stack_reads(&s, name, "Data") && nlink_of(&s, name) == (uint32_t)(201 - i));
		EXPECT(stack_unlink(&s, name) == 0);
	}
	EXPECT(nlink_of(&s, "f") == 1 && stack_unlink(&s, "f") == 0);
	EXPECT(stack_lists(&s, "", ""));
	stack_close(&s);
	stack_free(&s);
}

int main(void)
{
	kernel_watchdog(60);
	lower_names_stay_one_object();
	removed_ones_live_while_known();
	links_break_without_an_index();
	upper_names_after_the_first_went();
	names_of_metadata_copies();
	many_names();
	return 0;
}
