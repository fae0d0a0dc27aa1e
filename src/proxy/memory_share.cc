#include "proxy/memory_share.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <string>

namespace lotse::proxy {

namespace {

constexpr std::uint64_t kBytesMin = 16 * 1024 * 1024;  // below, a few hundred large heads would be too many

// "max" or a number of bytes; false: no such limit.
bool read_limit(const std::string& path, std::uint64_t& bytes) {
  std::ifstream file(path);
  std::string text;
  if (!(file >> text)) return false;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  return code == std::errc{} && end == text.data() + text.size();
}

// "0::/system.slice/lotse.service" of /proc/self/cgroup, "" in the root or in a namespace of its own.
std::string control_group() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::/")) return line.substr(3) == "/" ? "" : line.substr(3);
  }
  return "";
}

}  // namespace

std::size_t memory_bytes_max_by_machine() {
  std::uint64_t least = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(getpagesize());
  std::uint64_t bytes = 0;
  for (std::string group = control_group();; group.resize(group.rfind('/'))) {  // a limit of a parent's holds as well
    if (read_limit("/sys/fs/cgroup" + group + "/memory.max", bytes)) least = std::min(least, bytes);
    if (group.empty()) break;
  }
  if (read_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes", bytes)) least = std::min(least, bytes);
  return static_cast<std::size_t>(std::max(least / 4, kBytesMin));
}

}  // namespace lotse::proxy
