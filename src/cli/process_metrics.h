// What Prometheus's own clients tell of a process, under the same names: processor time, memory, descriptors, start;
// and which build this is. Reads /proc; what cannot be read is left out. Any thread.
#pragma once

#include <string>

namespace lotse::cli {

void write_process_metrics(std::string& prometheus_text);

}  // namespace lotse::cli
