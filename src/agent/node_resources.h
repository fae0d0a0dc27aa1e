// What the machine has to give: cores we may use, memory, disk below the data directory. Read once at start and with
// each registration for the disk.
#pragma once

#include <string>

namespace lotse::agent {

struct NodeResources {
  double cpus = 0, mem_mib = 0, disk_mib = 0;
};
NodeResources read_node_resources(const std::string& data_path);
bool is_short_of_disk(const std::string& data_path);  // less than a tenth is free

}  // namespace lotse::agent
