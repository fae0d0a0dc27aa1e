#include "agent/durable_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "net/listen.h"

namespace lotse::agent {
namespace {

Problem problem_from_errno(const std::string& path, std::string_view what) {
  return Problem{path, fmt::format("{}: {}", what, std::strerror(errno))};
}

Done write_all(int fd, const std::string& path, std::string_view content) {
  while (!content.empty()) {
    ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(problem_from_errno(path, "cannot write"));
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return Unit{};
}

// Without it the rename itself may be lost with the power.
Done sync_folder_of(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  net::UniqueFd fd(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail(problem_from_errno(folder, "cannot sync the folder"));
  return Unit{};
}

}  // namespace

Done write_durably(const std::string& path, std::string_view content, Sync sync) {
  std::string temporary = path + ".tmp";
  {
    net::UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd) return fail(problem_from_errno(temporary, "cannot create"));
    Done done = write_all(fd.get(), temporary, content);
    if (done && sync == Sync::yes && ::fsync(fd.get()) != 0) done = fail(problem_from_errno(temporary, "cannot sync"));
    if (!done) {
      ::unlink(temporary.c_str());
      return done;
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    Problem problem = problem_from_errno(path, "cannot replace");
    ::unlink(temporary.c_str());
    return fail(std::move(problem));
  }
  return sync == Sync::yes ? sync_folder_of(path) : Done(Unit{});
}

Result<ReadFile, Problem> read_whole(const std::string& path, std::size_t bytes_max) {
  net::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return ReadFile{};
  if (!fd) return fail(problem_from_errno(path, "cannot open"));
  ReadFile file{.exists = true, .content = {}};
  char buffer[16384];
  for (;;) {
    ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(problem_from_errno(path, "cannot read"));
    if (count == 0) return file;
    file.content.append(buffer, static_cast<std::size_t>(count));
    if (file.content.size() > bytes_max) return fail(Problem{path, "is larger than we ever write it"});
  }
}

Done make_folders(const std::string& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code) return fail(Problem{path, "cannot create the folder: " + code.message()});
  return Unit{};
}

void remove_tree(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

}  // namespace lotse::agent
