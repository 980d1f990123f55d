/* SPDX-License-Identifier: MIT */
/*
 * health - a command that says now and then whether a container is well
 *
 * Theory.  Nobody but the monitor is always there, so it starts the probes: a fork of itself that
 * carries out a plan of its own, made from the container's (who joins a container gets what its
 * program got).  A probe that takes too long is killed, and with it what it started.  Meanings are
 * docker's: failures count in a row; while the start period lasts none counts until the first
 * success; a paused container is left alone.
 *
 * The container's directory gets "health", JSON as `inspect` shows it, after each probe.
 */
#ifndef LAMINA_LAUNCH_HEALTH_H
#define LAMINA_LAUNCH_HEALTH_H

#include "plan.h"

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#define LAM_HEALTH_RESULTS 5
#define LAM_HEALTH_OUTPUT 4096

enum lam_health_status { LAM_STARTING, LAM_HEALTHY, LAM_UNHEALTHY };

struct lam_health_result {
	struct timespec began, ended;
	int status; /* -1: it took too long */
	size_t size;
	char output[LAM_HEALTH_OUTPUT];
};

struct lam_health {
	struct lam_plan plan; /* of a probe; no records: there is nothing to be probed */
	int directory, output;
	pid_t init, probe;					 /* 0: none at this moment */
	int64_t interval, timeout, start_period, start_interval; /* milliseconds */
	int64_t born, due; /* of the monotonic clock; 'due': the next step */
	uint64_t retries, failing;
	enum lam_health_status status;
	bool expired;
	unsigned int count; /* of probes that ended; the last ones are in 'results' */
	struct lam_health_result results[LAM_HEALTH_RESULTS];
};

/* The container runs: begin, if its plan wants probes.  0 or a negative errno. */
int lam_health_begin(struct lam_health *health, const struct lam_plan *plan, int directory, pid_t init);
/* For poll(2): milliseconds until lam_health_turn() has something to do, -1: never. */
int lam_health_wait(const struct lam_health *health);
/*
 * lam_health_turn() - read what the probe writes, end it or start one, as it is time for
 *
 * Returns true in the process that is to carry out 'health->plan', with its standard streams set and
 * failures reported to them; the caller closes what it has, and goes on there.
 */
bool lam_health_turn(struct lam_health *health);
/* A child has ended. */
void lam_health_ended(struct lam_health *health, pid_t pid, int status);

#endif
