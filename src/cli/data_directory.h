// The proxy's data directory: made when missing, held by one process at a time, remembers the proxy's id. Main thread.
#pragma once

#include <string>

#include "base/result.h"
#include "net/listen.h"

namespace lotse::cli {

class DataDirectory {
 public:
  static Result<DataDirectory, Problem> open(const std::string& path);
  const std::string& path() const { return path_; }

  // `wanted`, or the stored one, or the host name; stored from then on.
  Result<std::string, Problem> identity(const std::string& wanted) const;

 private:
  std::string path_;
  net::UniqueFd lock_;
};

}  // namespace lotse::cli
