// Files that survive a crash in the middle of writing them: a temporary file beside the target, fsync, rename, fsync of
// the folder. Blocking calls of a few milliseconds; the agent's loop serves nobody who would notice.
#pragma once

#include <string>
#include <string_view>

#include "agent/unit_result.h"
#include "base/result.h"

namespace lotse::agent {

enum class Sync : std::uint8_t { yes, no };  // no: survives our crash, not the machine's

Done write_durably(const std::string& path, std::string_view content, Sync sync = Sync::yes);

// Errc-like split for callers: a file that is not there is an empty optional inside the caller's logic, so `exists`.
struct ReadFile {
  bool exists = false;
  std::string content;
};
Result<ReadFile, Problem> read_whole(const std::string& path, std::size_t bytes_max = 16 * 1024 * 1024);

Done make_folders(const std::string& path);  // as mkdir -p, 0755
void remove_tree(const std::string& path);   // as rm -rf, never following links; missing is fine

}  // namespace lotse::agent
