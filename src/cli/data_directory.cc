#include "cli/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "cli/role.h"

namespace lotse::cli {

Result<DataDirectory, Problem> DataDirectory::open(const std::string& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code) return fail(Problem{path, "the data directory cannot be made: " + code.message()});
  DataDirectory directory;
  directory.path_ = path;
  directory.lock_ = net::UniqueFd(::open((path + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!directory.lock_)
    return fail(Problem{path, std::string("the data directory is not writable: ") + std::strerror(errno)});
  if (::flock(directory.lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(Problem{path,
                        "the data directory is in use by another process: choose another one with "
                        "--data, or take over from that process with --takeover"});
  }
  return directory;
}

bool DataDirectory::is_in_use(const std::string& path) {
  net::UniqueFd lock(::open((path + "/lock").c_str(), O_RDWR | O_CLOEXEC));
  return lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0;
}

DataDirectory DataDirectory::adopt(const std::string& path, net::UniqueFd lock) {
  DataDirectory directory;
  directory.path_ = path;
  directory.lock_ = std::move(lock);
  return directory;
}

net::UniqueFd DataDirectory::copy_of_lock() const { return net::UniqueFd(::fcntl(lock_.get(), F_DUPFD_CLOEXEC, 0)); }

Result<std::string, Problem> DataDirectory::identity(const std::string& wanted) const {
  const std::string file = path_ + "/id";
  std::string stored;
  std::getline(std::ifstream(file), stored);
  if (wanted.empty() && !stored.empty()) return stored;
  std::string id = wanted.empty() ? host_name() : wanted;
  if (id == stored) return id;
  std::ofstream stream(file, std::ios::trunc);
  stream << id << '\n';
  if (!stream.flush()) return fail(Problem{file, "cannot be written"});
  return id;
}

}  // namespace lotse::cli
