#include "agent/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <optional>

namespace lotse::agent {
namespace {

// Mesos's list (fetcher.cpp); ".gz" alone is one file, and every name that ends in ".tar.gz" ends in ".gz" too.
constexpr std::array<std::string_view, 8> kTars{".tar",  ".tar.gz", ".tgz", ".tar.bz2",
                                                ".tbz2", ".tar.xz", ".txz", ".zip"};
constexpr std::string_view kOneFile = ".gz";
constexpr std::size_t kBlockBytes = 64 * 1024;

using Reader = std::unique_ptr<archive, decltype(&archive_read_free)>;
using Writer = std::unique_ptr<archive, decltype(&archive_write_free)>;

bool is_one_of_several(std::string_view name) {
  return std::any_of(kTars.begin(), kTars.end(),
                     [&](std::string_view suffix) { return name.size() > suffix.size() && name.ends_with(suffix); });
}

std::string words_of(archive* failed) {
  const char* words = archive_error_string(failed);
  return words != nullptr ? words : "cannot be unpacked";
}

bool leaves_folder(const std::string& name) {
  return name.starts_with('/') || ("/" + name + "/").find("/../") != std::string::npos;
}

// Why this entry is not for us; nullopt: it is.
std::optional<std::string> fault_of(archive_entry* entry) {
  const char* name = archive_entry_pathname(entry);
  if (name == nullptr || *name == '\0') return "holds an entry whose name cannot be read";
  if (leaves_folder(name)) return fmt::format("holds \"{}\", which lies outside of the sandbox", name);
  if (const char* target = archive_entry_hardlink(entry); target != nullptr) {
    if (leaves_folder(target)) return fmt::format("holds \"{}\", a link to outside of the sandbox", name);
    return std::nullopt;
  }
  auto type = archive_entry_filetype(entry);
  if (type == AE_IFREG || type == AE_IFDIR || type == AE_IFLNK) return std::nullopt;
  return fmt::format("holds \"{}\", which is neither file, folder nor link", name);
}

class Unpacking {
 public:
  Unpacking(const std::string& where, std::string folder, FetchBudget& budget)
      : where_(where),
        folder_(std::move(folder)),
        budget_(budget),
        reader_(archive_read_new(), &archive_read_free),
        writer_(archive_write_disk_new(), &archive_write_free) {}

  Done run(const std::string& path, bool is_one_file, const std::string& one_name) {
    if (!reader_ || !writer_) return fail(Problem{where_, "libarchive does not start"});
    archive_read_support_filter_all(reader_.get());
    if (is_one_file) {
      archive_read_support_format_raw(reader_.get());
    } else {
      archive_read_support_format_tar(reader_.get());
      archive_read_support_format_zip(reader_.get());
    }
    // Without ARCHIVE_EXTRACT_PERM the umask holds and set-user-id goes; owners are ours to give.
    archive_write_disk_set_options(
        writer_.get(), ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT);
    if (archive_read_open_filename(reader_.get(), path.c_str(), kBlockBytes) != ARCHIVE_OK) return broken(reader_);
    for (std::size_t count = 0;; ++count) {
      archive_entry* entry = nullptr;
      int code = archive_read_next_header(reader_.get(), &entry);
      if (code == ARCHIVE_EOF) break;
      if (code < ARCHIVE_WARN) return broken(reader_);
      if (count == FetchBounds::kEntriesMax) {
        return fail(Problem{where_, fmt::format("holds more than {} files", FetchBounds::kEntriesMax)});
      }
      if (is_one_file) archive_entry_set_pathname(entry, one_name.c_str());
      if (Done done = take(entry); !done) return done;
    }
    return archive_write_close(writer_.get()) == ARCHIVE_OK ? Done(Unit{}) : broken(writer_);
  }

 private:
  template <typename Archive>
  Done broken(const Archive& failed) {
    return fail(Problem{where_, words_of(failed.get())});
  }

  Done take(archive_entry* entry) {
    if (auto fault = fault_of(entry)) return fail(Problem{where_, *fault});
    if (auto why = budget_.spend(0)) return fail(Problem{where_, *why});
    std::string target = folder_ + "/" + archive_entry_pathname(entry);
    archive_entry_set_pathname(entry, target.c_str());
    if (const char* link = archive_entry_hardlink(entry); link != nullptr) {
      archive_entry_set_hardlink(entry, (folder_ + "/" + link).c_str());
    }
    if (archive_write_header(writer_.get(), entry) < ARCHIVE_WARN) return broken(writer_);
    if (archive_entry_hardlink(entry) == nullptr) {
      if (Done done = copy_data(); !done) return done;
    }
    return archive_write_finish_entry(writer_.get()) < ARCHIVE_WARN ? broken(writer_) : Done(Unit{});
  }

  Done copy_data() {
    for (;;) {
      const void* bytes = nullptr;
      std::size_t count = 0;
      la_int64_t offset = 0;
      int code = archive_read_data_block(reader_.get(), &bytes, &count, &offset);
      if (code == ARCHIVE_EOF) return Unit{};
      if (code < ARCHIVE_WARN) return broken(reader_);
      if (auto why = budget_.spend(static_cast<std::int64_t>(count))) return fail(Problem{where_, *why});
      if (archive_write_data_block(writer_.get(), bytes, count, offset) < ARCHIVE_WARN) return broken(writer_);
    }
  }

  const std::string& where_;
  std::string folder_;
  FetchBudget& budget_;
  Reader reader_;
  Writer writer_;
};

}  // namespace

bool is_archive(std::string_view name) {
  return is_one_of_several(name) || (name.size() > kOneFile.size() && name.ends_with(kOneFile));
}

Done unpack(const std::string& where, const std::string& path, const std::string& name, const std::string& folder,
            FetchBudget& budget) {
  // libarchive refuses to write through any link, so those that lead to the sandbox itself are resolved first.
  std::error_code code;
  std::string real = std::filesystem::canonical(folder, code).string();
  if (code) return fail(Problem{folder, code.message()});
  Unpacking unpacking(where, std::move(real), budget);
  bool is_one_file = !is_one_of_several(name);
  return unpacking.run(path, is_one_file, is_one_file ? name.substr(0, name.size() - kOneFile.size()) : "");
}

}  // namespace lotse::agent
