/* SPDX-License-Identifier: MIT */
/* test_undo - what fails half way is taken back, and what was not looked at is not removed */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lamina/internal.h>

#include "stack.h"

/* Without RENAME_WHITEOUT a rename has two steps: if the second fails, the first goes back. */
static void renames_whose_whiteout_fails_go_back(void)
{
	struct stack s;

	stack_make(&s, 1, 1);
	stack_file(&s, "l0/low", "low");
	stack_open(&s);
	s.core->layers[0].abilities &= ~(uint32_t)(LAM_UP_RENAME_WH | LAM_UP_MKNOD | LAM_UP_WHLINK);
	EXPECT(stack_chmod(&s, "low", 0600) == 0);
	s.core->prefix = "nonsense."; /* no such xattrs, so no whiteouts either */
	s.core->prefix_len = strlen(s.core->prefix);
	EXPECT(stack_rename(&s, "low", "high", 0) < 0);
	s.core->prefix = "trusted.overlay.";
	s.core->prefix_len = strlen(s.core->prefix);
	EXPECT(stack_has(&s, "u0/low") && !stack_has(&s, "u0/high"));
	EXPECT(stack_error(&s, "high") == -ENOENT && stack_reads(&s, "low", "low"));
	EXPECT(stack_rename(&s, "low", "high", 0) == 0);
	EXPECT(stack_error(&s, "low") == -ENOENT && stack_reads(&s, "high", "low"));
	stack_close(&s);
	stack_free(&s);
}

/* The table says that a directory is empty; what came behind the core's back must survive its removal. */
static void directories_that_hold_something_stay(void)
{
	struct stack s;

	stack_make(&s, 1, 1);
	stack_dir(&s, "l0/merged");
	stack_file(&s, "l0/merged/low", "low");
	stack_open(&s);
	EXPECT(stack_mkdir(&s, "pure") == 0 && stack_unlink(&s, "merged/low") == 0);
	EXPECT(stack_lists(&s, "pure", "") && stack_lists(&s, "merged", ""));
	stack_file(&s, "u0/pure/foreign", "foreign");
	stack_file(&s, "u0/merged/foreign", "foreign");
	EXPECT(stack_rmdir(&s, "pure") == -ENOTEMPTY && stack_rmdir(&s, "merged") == -ENOTEMPTY);
	EXPECT(stack_has(&s, "u0/pure/foreign") && stack_has(&s, "u0/merged/foreign"));
	stack_close(&s);
	stack_free(&s);
}

int main(void)
{
	kernel_watchdog(60);
	renames_whose_whiteout_fails_go_back();
	directories_that_hold_something_stay();
	return 0;
}
