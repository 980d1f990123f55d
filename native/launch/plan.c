/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int slurp(int fd, char **data, size_t *size)
{
	size_t room = 64u << 10, have = 0;
	char *raw = malloc(room), *grown;
	ssize_t n;

	if (!raw)
		return -ENOMEM;
	while ((n = read(fd, raw + have, room - have)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		have += (size_t)n;
		if (have < room)
			continue;
		room *= 2;
		grown = room <= LAM_PLAN_MAX ? realloc(raw, room) : NULL;
		if (!grown) {
			free(raw);
			return -ENOMEM;
		}
		raw = grown;
	}
	if (n < 0) {
		n = -errno;
		free(raw);
		return (int)n;
	}
	*data = raw;
	*size = have;
	return 0;
}

/* One record at '*at'; with 'record' NULL it is only measured. */
static int parse(const char *raw, size_t size, size_t *at, struct lam_record *record)
{
	uint16_t head[2];
	uint32_t length;

	if (size - *at < sizeof(head))
		return -EBADMSG;
	memcpy(head, raw + *at, sizeof(head));
	*at += sizeof(head);
	if (head[1] > LAM_PLAN_ARGS)
		return -EBADMSG;
	if (record) {
		record->op = head[0];
		record->count = head[1];
	}
	for (unsigned int i = 0; i < head[1]; i++) {
		if (size - *at < sizeof(length))
			return -EBADMSG;
		memcpy(&length, raw + *at, sizeof(length));
		*at += sizeof(length);
		if (length >= size - *at || raw[*at + length] != '\0')
			return -EBADMSG;
		if (record) {
			record->arg[i] = raw + *at;
			record->length[i] = length;
		}
		*at += (size_t)length + 1;
	}
	return 0;
}

int lam_plan_read(struct lam_plan *plan, int fd)
{
	const size_t start = sizeof(LAM_PLAN_MAGIC) - 1;
	size_t size = 0, at, count = 0;
	int err = slurp(fd, &plan->raw, &size);

	if (err < 0)
		return err;
	if (size < start || memcmp(plan->raw, LAM_PLAN_MAGIC, start) != 0)
		return -EBADMSG;
	for (at = start; at < size; count++) {
		err = parse(plan->raw, size, &at, NULL);
		if (err < 0)
			return err;
	}
	plan->records = calloc(count + 1, sizeof(*plan->records));
	if (!plan->records)
		return -ENOMEM;
	at = start;
	for (plan->count = 0; plan->count < count; plan->count++)
		parse(plan->raw, size, &at, &plan->records[plan->count]);
	return 0;
}

const struct lam_record *lam_plan_next(const struct lam_plan *plan, enum lam_op op,
				       const struct lam_record *last)
{
	const struct lam_record *end = plan->records + plan->count;

	for (last = last ? last + 1 : plan->records; last < end; last++) {
		if (last->op == op)
			return last;
	}
	return NULL;
}

const struct lam_record *lam_plan_first(const struct lam_plan *plan, enum lam_op op)
{
	return lam_plan_next(plan, op, NULL);
}

char **lam_plan_vector(const struct lam_plan *plan, enum lam_op op)
{
	const struct lam_record *record = NULL;
	size_t count = 0;
	char **vector = calloc(plan->count + 1, sizeof(*vector));

	if (!vector)
		return NULL;
	while ((record = lam_plan_next(plan, op, record)) != NULL) {
		if (record->count > 0)
			vector[count++] = (char *)record->arg[0];
	}
	return vector;
}

uint64_t lam_record_number(const struct lam_record *record, unsigned int index, int base)
{
	return record && index < record->count ? strtoull(record->arg[index], NULL, base) : 0;
}

bool lam_record_is(const struct lam_record *record, unsigned int index, const char *word)
{
	return record && index < record->count && strcmp(record->arg[index], word) == 0;
}
