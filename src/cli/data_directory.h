// The proxy's data directory: made when missing, held by one process at a time, remembers the proxy's id. Main thread.
#pragma once

#include <string>

#include "base/result.h"
#include "net/listen.h"

namespace lotse::cli {

class DataDirectory {
 public:
  static Result<DataDirectory, Problem> open(const std::string& path);
  // In a takeover: `lock` is a copy of the running process's. The lock goes with the last copy.
  static bool is_in_use(const std::string& path);  // somebody holds the lock
  static DataDirectory adopt(const std::string& path, net::UniqueFd lock);
  net::UniqueFd copy_of_lock() const;
  const std::string& path() const { return path_; }

  // `wanted`, or the stored one, or the host name; stored from then on.
  Result<std::string, Problem> identity(const std::string& wanted) const;

 private:
  std::string path_;
  net::UniqueFd lock_;
};

}  // namespace lotse::cli
