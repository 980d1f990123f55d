"""Where a target is known to differ, and the paragraph of docs/conformance.md that says why.

Patterns are matched against `target/placement/theme/case`.  An entry is a strict expected
failure: the day the difference goes, its test fails until the entry goes too.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

_LINK_CASES = (
    "broken_up_link_groups_stay_readable",
    "existing_links_read_through_one_written_through_other",
    "existing_links_stay_one_file_when_changed",
    "existing_links_stay_one_file_when_the_mode_changes",
    "link_moves_alone",
    "link_to_a_file_shows_changes_under_both_names",
    "many_links_of_one_file",
    "nlink_counts_down_with_rename_over",
    "nlink_counts_down_with_unlink",
    "third_name_joins_existing_links",
)
_RENAME_CASES = (
    "directory_over_a_full_directory",
    "exchange_swaps_directories_and_files",
    "existing_directory_into_another",
    "existing_directory_over_an_empty_one",
    "existing_directory_to_a_new_name",
    "renamed_directory_is_lived_in",
    "working_directory_follows_its_rename",
)
_METACOPY_CASES = (
    "chmod_copies_no_data",
    "chown_copies_no_data",
    "rename_copies_no_data",
    "setxattr_copies_no_data",
    "utimens_copies_no_data",
)

_STAYS_BELOW = "passthrough-of-lower-files"
KNOWN: tuple[tuple[str, str], ...] = (
    # the kernel, whichever way it is mounted
    ("kernel-*/mixed*/rename/file_over_a_file", "kernel-open-lower-file"),
    ("kernel-*/all-lower/rename/file_over_a_file", "kernel-open-lower-file"),
    ("kernel-*/all-lower/remove/unlinked_file_open_for_reading_can_be_changed", "kernel-open-lower-file"),
    ("kernel-*/mixed*/readdir/types_and_inodes_equal_lstat", "kernel-d_ino-of-merged-directories"),
    ("kernel-*/layers/whiteout/stale_whiteouts_do_not_block_removal", "kernel-stale-whiteouts"),
    # the kernel, mounted by an unprivileged user
    ("kernel-userns/*/redirect/*", "kernel-userxattr-has-no-redirects"),
    *((f"kernel-userns/*/rename/{case}", "kernel-userxattr-has-no-redirects") for case in _RENAME_CASES),
    *((f"kernel-userns/*/copyup/{case}", "kernel-userxattr-has-no-metacopy") for case in _METACOPY_CASES),
    *((f"kernel-userns/all-lower/link/{case}", "kernel-userxattr-has-no-index") for case in _LINK_CASES),
    ("kernel-userns/*/link/link_of_a_symlink_is_the_symlink", "kernel-userxattr-has-no-index"),
    ("kernel-userns/all-lower/mmap/sqlite_database_with_two_names", "kernel-userxattr-has-no-index"),
    ("kernel-userns/all-lower/rename/two_names_of_one_file_do_nothing", "kernel-userxattr-has-no-index"),
    ("kernel-userns/*/copyup/link_group_shares_its_copy", "kernel-userxattr-has-no-index"),
    ("kernel-userns/stack/test_content_and_inode_numbers_survive_a_remount", "kernel-userxattr-has-no-index"),
    # ours with passthrough=on alone
    ("lamina-passthrough-on/all-lower/open/proc_self_fd_reopens_for_writing", _STAYS_BELOW),
    (
        "lamina-passthrough-on/all-lower/locks/lock_of_a_reader_excludes_the_writer_that_copies_up",
        _STAYS_BELOW,
    ),
    ("lamina-passthrough-on/all-lower/remove/unlinked_file_open_for_reading_can_be_changed", _STAYS_BELOW),
    (
        "lamina-passthrough-on/all-lower/link/existing_links_read_through_one_written_through_other",
        _STAYS_BELOW,
    ),
    ("lamina-passthrough-on/all-lower/identity/open_descriptor_and_path_agree", _STAYS_BELOW),
    ("lamina-passthrough-on/layers/copyup/metadata_copy_is_completed_by_a_write", _STAYS_BELOW),
    # ours with pyfuse3 alone
    ("lamina-pyfuse3/*/data/holes_are_found", "pyfuse3-lacks-handlers"),
    ("lamina-pyfuse3/*/data/fallocate_extends", "pyfuse3-lacks-handlers"),
    ("lamina-pyfuse3/*/data/fallocate_keep_size_keeps_the_size", "pyfuse3-lacks-handlers"),
    ("lamina-pyfuse3/*/data/fallocate_punches_holes", "pyfuse3-lacks-handlers"),
    ("lamina-pyfuse3/*/open/tmpfile_*", "pyfuse3-lacks-handlers"),
    ("lamina-pyfuse3/*/flags/flags_are_set_and_read", "pyfuse3-lacks-handlers"),
    ("lamina-pyfuse3/*/flags/immutable_files_refuse_changes", "pyfuse3-lacks-handlers"),
    ("lamina-pyfuse3/*/acl/default_acl_rules_tmpfiles_too", "pyfuse3-lacks-handlers"),
    ("lamina-pyfuse3/*/mode/umask_applies_to_every_type", "pyfuse3-lacks-handlers"),
    ("lamina-pyfuse3/*/acl/default_acl_is_inherited_instead_of_umask", "pyfuse3-masks-first"),
    ("lamina-pyfuse3/*/acl/minimal_default_acl_replaces_umask", "pyfuse3-masks-first"),
)


def deviation(cell: str) -> str | None:
    """Return the anchor in docs/conformance.md for a known deviation."""
    return next((anchor for pattern, anchor in KNOWN if fnmatchcase(cell, pattern)), None)
