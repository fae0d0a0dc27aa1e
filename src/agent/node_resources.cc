#include "agent/node_resources.h"

#include <sched.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

namespace lotse::agent {

NodeResources read_node_resources(const std::string& data_path) {
  constexpr double kMebibyte = 1024.0 * 1024.0;
  NodeResources resources;
  resources.cpus = static_cast<double>(::sysconf(_SC_NPROCESSORS_ONLN));
  if (struct sysinfo info{}; ::sysinfo(&info) == 0) {
    resources.mem_mib = static_cast<double>(info.totalram) * static_cast<double>(info.mem_unit) / kMebibyte;
  }
  if (struct statvfs disk{}; ::statvfs(data_path.c_str(), &disk) == 0) {
    resources.disk_mib = static_cast<double>(disk.f_blocks) * static_cast<double>(disk.f_frsize) / kMebibyte;
  }
  return resources;
}

bool is_short_of_disk(const std::string& data_path) {
  struct statvfs disk {};
  return ::statvfs(data_path.c_str(), &disk) == 0 && disk.f_bavail < disk.f_blocks / 10;
}

}  // namespace lotse::agent
