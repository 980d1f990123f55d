/* SPDX-License-Identifier: MIT */
#include "terminal.h"

#include "channel.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

void lam_terminal_resize(int master, unsigned int rows, unsigned int columns)
{
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };

	ioctl(master, TIOCSWINSZ, &size); /* a size only */
}

int lam_terminal_open(const char *path, int flags)
{
	int master = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | flags);
	struct stat st;

	if (master < 0)
		lam_fail(LAM_FAILED, errno, "terminal %s", path);
	if (fstat(master, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
		lam_fail(LAM_FAILED, 0, "%s of the container is no terminal multiplexer", path);
	return master;
}

void lam_terminal_take(const struct lam_plan *plan, int channel, int master, uid_t owner)
{
	const struct lam_record *record = lam_plan_first(plan, LAM_OP_TERMINAL);
	int slave, locked = 0;

	if (ioctl(master, TIOCSPTLCK, &locked) < 0)
		lam_fail(LAM_FAILED, errno, "unlock the terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		lam_fail(LAM_FAILED, errno, "the terminal's other end");
	lam_terminal_resize(master, (unsigned int)lam_record_number(record, 0, 10),
			    (unsigned int)lam_record_number(record, 1, 10));
	if (fchown(slave, owner, (gid_t)-1) < 0 && errno != EPERM)
		lam_fail(LAM_FAILED, errno, "owner of the terminal");
	if (lam_send(channel, LAM_WORD_TERMINAL, 0, master) < 0)
		lam_fail(LAM_FAILED, 0, "the monitor is gone");
	close(master);
	if (setsid() < 0 && errno != EPERM)
		lam_fail(LAM_FAILED, errno, "session");
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		lam_fail(LAM_FAILED, errno, "controlling terminal");
	for (int fd = 0; fd < 3; fd++) {
		if (dup2(slave, fd) < 0)
			lam_fail(LAM_FAILED, errno, "standard streams");
	}
}
