/* SPDX-License-Identifier: MIT */
/* test_image - tars that are odd, cut or hostile; the fuzzers' corpus once more */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <lamina/image/index.h>
#include <lamina/image/tar.h>

#include "image_fuzz.h"
#include "kernel.h"

#define CORPUS "tests/corpus"

/* A tar of up to eight headers without data. */
struct sheet {
	unsigned char bytes[10 * LAM_TAR_BLOCK];
	size_t size;
};

static unsigned char *add(struct sheet *sheet, const char *name, char type, const char *link)
{
	unsigned char *block = sheet->bytes + sheet->size;

	memset(block, 0, LAM_TAR_BLOCK);
	memcpy(block, name, strlen(name));
	memcpy(block + 100, "0000644", 7);
	memcpy(block + 257, "ustar\00000", 8);
	block[156] = (unsigned char)type;
	memcpy(block + 157, link, strlen(link));
	image_seal_header(block);
	sheet->size += LAM_TAR_BLOCK;
	return block;
}

/* Scan byte by byte; the error, or 0 and the first entry's kind and path. */
static int scan(const struct sheet *sheet, struct lam_index_entry *entry, char path[LAM_INDEX_PATH_MAX + 1])
{
	struct lam_index *reader = NULL;
	struct lam_tar *tar;
	const void *index;
	size_t size;
	int err = 0;

	EXPECT(lam_tar_open(&tar) == 0);
	for (size_t i = 0; i < sheet->size && !err; i++)
		err = lam_tar_feed(tar, sheet->bytes + i, 1);
	if (!err)
		err = lam_tar_finish(tar, &index, &size);
	if (!err && entry) {
		EXPECT(lam_index_open(index, size, &reader) == 0);
		memset(entry, 0xff, sizeof(*entry));
		if (lam_index_next(reader, entry) == 1) {
			memcpy(path, entry->path, entry->path_size);
			path[entry->path_size] = '\0';
		}
		lam_index_free(reader);
	}
	lam_tar_free(tar);
	return err;
}

static void names_are_tidied_or_refused(void)
{
	static const struct {
		const char *name;
		int result;
		int kind;
		const char *path;
	} cases[] = {
		{ "./a//b/./c", 0, LAM_KIND_FILE, "a/b/c" },
		{ "/etc/x", 0, LAM_KIND_FILE, "etc/x" },
		{ "/../x", 0, LAM_KIND_FILE, "x" },
		{ "a/../b", 0, LAM_KIND_FILE, "b" },
		{ "../x", -EXDEV, 0, "" },
		{ "a/../../x", -EXDEV, 0, "" },
		{ "d/.wh.x", 0, LAM_KIND_WHITEOUT, "d/x" },
		{ "d/.wh..x", 0, LAM_KIND_WHITEOUT, "d/.x" },
		{ ".wh..wh..opq", 0, LAM_KIND_OPAQUE, "" },
		{ "d/.wh..wh..opq", 0, LAM_KIND_OPAQUE, "d" },
		{ "d/.wh.", -EBADMSG, 0, "" },
		{ "d/.wh..", -EBADMSG, 0, "" },
		{ "d/.wh...", -EBADMSG, 0, "" },
		{ ".wh.d/x", -EBADMSG, 0, "" },
		{ "", -EBADMSG, 0, "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[LAM_INDEX_PATH_MAX + 1];
		struct lam_index_entry entry;
		struct sheet sheet = { .size = 0 };

		add(&sheet, cases[i].name, '0', "");
		EXPECT(scan(&sheet, &entry, path) == cases[i].result);
		if (!cases[i].result)
			EXPECT(entry.kind == cases[i].kind && strcmp(path, cases[i].path) == 0);
	}
}

static void aufs_leftovers_are_skipped(void)
{
	struct sheet sheet = { .size = 0 };
	struct lam_index_entry entry;
	char path[LAM_INDEX_PATH_MAX + 1];

	add(&sheet, ".wh..wh.plnk/12.34", '0', "");
	add(&sheet, ".wh..wh.aufs", '0', "");
	EXPECT(scan(&sheet, &entry, path) == 0);
	EXPECT(entry.kind == 0xff);
}

static void both_checksums_are_known(void)
{
	struct sheet sheet = { .size = 0 };
	unsigned char *block = add(&sheet, "\xff\xfe", '0', "");
	unsigned int sum = 0;
	char text[8];

	EXPECT(scan(&sheet, NULL, NULL) == 0);
	memset(block + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned int)(signed char)block[i];
	snprintf(text, sizeof(text), "%06o", sum);
	memcpy(block + 148, text, 7);
	EXPECT(scan(&sheet, NULL, NULL) == 0);
	block[0] = 'a';
	EXPECT(scan(&sheet, NULL, NULL) == -EBADMSG);
}

static void what_is_cut_is_refused(void)
{
	struct sheet sheet = { .size = 0 };
	unsigned char *block = add(&sheet, "f", '0', "");

	memcpy(block + 124, "00000001000", 11); /* one block of data */
	image_seal_header(block);
	EXPECT(scan(&sheet, NULL, NULL) == -ENODATA);
	sheet.size += LAM_TAR_BLOCK - 1;
	EXPECT(scan(&sheet, NULL, NULL) == -ENODATA);
	sheet.size += 1;
	EXPECT(scan(&sheet, NULL, NULL) == 0);
	sheet.size += 1;
	EXPECT(scan(&sheet, NULL, NULL) == -ENODATA);
	sheet.size = 0;
	EXPECT(scan(&sheet, NULL, NULL) == 0);
	add(&sheet, "x", 'x', "");
	EXPECT(scan(&sheet, NULL, NULL) == -ENODATA);
}

static void the_end_is_two_blocks_of_zeros(void)
{
	struct sheet sheet = { .size = 0 };

	add(&sheet, "f", '0', "");
	memset(sheet.bytes + sheet.size, 0, LAM_TAR_BLOCK);
	sheet.size += LAM_TAR_BLOCK;
	EXPECT(scan(&sheet, NULL, NULL) == 0);
	memset(sheet.bytes + sheet.size, 'g', 3);
	sheet.size += LAM_TAR_BLOCK;
	EXPECT(scan(&sheet, NULL, NULL) == -EBADMSG);
	memset(sheet.bytes + sheet.size - LAM_TAR_BLOCK, 0, LAM_TAR_BLOCK);
	memset(sheet.bytes + sheet.size, 'g', 7);
	sheet.size += 7;
	EXPECT(scan(&sheet, NULL, NULL) == 0);
}

static void odd_types_are_refused_or_skipped(void)
{
	static const struct {
		char type;
		const char *link;
		int result;
	} cases[] = {
		{ 'V', "", 0 },		 { 'M', "", -EOPNOTSUPP }, { 'Z', "", -EOPNOTSUPP },
		{ '1', "../x", -EXDEV }, { '2', "", -EBADMSG },	   { '2', "../../x", 0 },
		{ '7', "", 0 },		 { '6', "", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sheet sheet = { .size = 0 };

		add(&sheet, "f", cases[i].type, cases[i].link);
		EXPECT(scan(&sheet, NULL, NULL) == cases[i].result);
	}
}

static unsigned int replay(const char *name, void (*body)(const uint8_t *data, size_t size))
{
	char path[512];
	unsigned int count = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", CORPUS, name);
	dir = opendir(path);
	EXPECT(dir);
	while ((entry = readdir(dir))) {
		unsigned char *data = malloc(1 << 20);
		ssize_t size;
		int fd;

		if (entry->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s/%s", CORPUS, name, entry->d_name);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			EXPECT(fd >= 0 && data);
			size = read(fd, data, 1 << 20);
			EXPECT(size >= 0);
			body(data, (size_t)size);
			close(fd);
			count++;
		}
		free(data);
	}
	closedir(dir);
	return count;
}

int main(void)
{
	kernel_watchdog(100);
	names_are_tidied_or_refused();
	aufs_leftovers_are_skipped();
	both_checksums_are_known();
	what_is_cut_is_refused();
	the_end_is_two_blocks_of_zeros();
	odd_types_are_refused_or_skipped();
	EXPECT(replay("tar", image_fuzz_tar) >= 8);
	EXPECT(replay("index", image_fuzz_index) >= 8);
	return 0;
}
