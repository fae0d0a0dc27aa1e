// The last table of one source on disk (P3), so that a proxy that starts without its scheduler serves what it last
// knew. JSON lines: a header {"format":1,"source":"http://...","term":7,"endpoints":2}, then one endpoint a line.
// Blocking I/O: saving is done on a thread of its own, by way of shared immutable endpoints.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "discovery/source.h"

namespace lotse::discovery {

struct SavedTable {
  std::string source;      // whose word it was: the scheduler's URL
  std::uint64_t term = 0;  // the highest seen: a fenced scheduler stays refused after a restart
  std::vector<EndpointPtr> endpoints;
};

// Replaces the file as a whole, synced: after a crash it is the old one or the new one.
Result<Unit, Problem> save_table(const std::string& path, const SavedTable& table);

// A file that is damaged in any place is refused as a whole: half a table looks like a loss that nobody reported.
Result<SavedTable, Problem> load_table(const std::string& path);

}  // namespace lotse::discovery
