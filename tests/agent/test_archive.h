// Archives for tests, honest and hostile, in any format libarchive writes.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lotse::agent {

struct TestEntry {
  std::string name, content;
  std::string symlink, hardlink;
  int type = AE_IFREG;
  int mode = 0644;
};

// The format by the name: .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .zip, .gz.
inline void write_archive(const std::string& path, const std::vector<TestEntry>& entries) {
  archive* writer = archive_write_new();
  bool is_tar = path.find(".tar") != std::string::npos || path.ends_with(".tgz");
  if (path.ends_with(".zip")) {
    archive_write_set_format_zip(writer);
  } else if (is_tar) {
    archive_write_set_format_ustar(writer);
  } else {
    archive_write_set_format_raw(writer);
  }
  if (path.ends_with("gz")) archive_write_add_filter_gzip(writer);
  if (path.ends_with(".bz2")) archive_write_add_filter_bzip2(writer);
  if (path.ends_with(".xz")) archive_write_add_filter_xz(writer);
  ASSERT_EQ(archive_write_open_filename(writer, path.c_str()), ARCHIVE_OK) << archive_error_string(writer);
  for (const TestEntry& each : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, each.name.c_str());
    archive_entry_set_filetype(entry, static_cast<unsigned>(each.symlink.empty() ? each.type : AE_IFLNK));
    archive_entry_set_perm(entry, static_cast<unsigned>(each.mode));
    if (!each.symlink.empty()) archive_entry_set_symlink(entry, each.symlink.c_str());
    if (!each.hardlink.empty()) archive_entry_set_hardlink(entry, each.hardlink.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(each.content.size()));
    ASSERT_EQ(archive_write_header(writer, entry), ARCHIVE_OK) << archive_error_string(writer);
    archive_write_data(writer, each.content.data(), each.content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
}

}  // namespace lotse::agent
