#include "cli/process_metrics.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>

namespace lotse::cli {
namespace {

// The fields of /proc/self/stat from the third on: the second, the name, may hold anything.
struct Stat {
  bool is_known = false;
  double start_ticks = 0, resident_pages = 0;
};

Stat read_stat() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  if (!std::getline(file, line)) return {};
  std::size_t end_of_name = line.rfind(')');
  if (end_of_name == std::string::npos) return {};
  std::istringstream fields(line.substr(end_of_name + 1));
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;  // proc(5): 22 starttime, 23 vsize, 24 rss
  Stat stat;
  stat.is_known = static_cast<bool>(fields >> stat.start_ticks >> skipped >> stat.resident_pages);
  return stat;
}

double boot_time() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("btime ")) return std::strtod(line.c_str() + 6, nullptr);
  }
  return 0;
}

int open_descriptors() {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return -1;
  int count = -1;  // the folder's own
  while (const dirent* entry = readdir(folder)) count += entry->d_name[0] != '.' ? 1 : 0;
  closedir(folder);
  return count;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

void write_process_metrics(std::string& out) {
  auto one = [&](const char* name, const char* type, const char* help, double value) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
  };
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    one("process_cpu_seconds_total", "counter", "Processor time, in user code and in the kernel.",
        seconds(usage.ru_utime) + seconds(usage.ru_stime));
  }
  if (Stat stat = read_stat(); stat.is_known) {
    one("process_resident_memory_bytes", "gauge", "Memory that is resident.",
        stat.resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE)));
    one("process_start_time_seconds", "gauge", "Start of the process, seconds since 1970.",
        boot_time() + stat.start_ticks / static_cast<double>(sysconf(_SC_CLK_TCK)));
  }
  if (int count = open_descriptors(); count >= 0) one("process_open_fds", "gauge", "Open descriptors.", count);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    one("process_max_fds", "gauge", "Descriptors that may be open.", static_cast<double>(limit.rlim_cur));
  fmt::format_to(std::back_inserter(out),
                 "# HELP lotse_build_info 1; the label tells the version.\n# TYPE lotse_build_info gauge\n"
                 "lotse_build_info{{version=\"{}\"}} 1\n",
                 LOTSE_VERSION);
}

}  // namespace lotse::cli
