// Fills a task's sandbox: every URI of `fetch` in its order, unpacked, made executable, given to the task's user, as
// Mesos's fetcher does. All of it or nothing: it grows beside its place and moves there in the end, so a sandbox that
// exists is complete. Blocking: for a fetch thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/fetch_budget.h"
#include "agent/unit_result.h"
#include "model/app.h"

namespace lotse::agent {

struct SandboxOwner {
  int uid = 0, gid = 0;
};
struct SandboxOrder {
  std::string path;        // its parent exists
  std::string cache_path;  // folder of what `cache: true` keeps; made when missing
  std::vector<model::Fetch> fetch;
  std::optional<SandboxOwner> owner;  // absent: ours
  std::int64_t cache_bytes_max = 0;
};

Done fill_sandbox(const SandboxOrder& order, FetchBudget& budget);

std::string half_made(const std::string& sandbox_path);  // where it grows

// The file a URI becomes when `destPath` does not say: what stands behind the last slash. Empty: there is nothing.
std::string file_name_of(const std::string& uri);

}  // namespace lotse::agent
