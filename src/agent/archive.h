// Archives as Mesos unpacks them: tar (plain, gz, bz2, xz), zip, and a single file in gz, told apart by their names.
// By libarchive, and by rules that are ours: nothing outside of the folder is written, no device and no FIFO is made,
// no set-user-id survives. Blocking: for a fetch thread.
#pragma once

#include <string>
#include <string_view>

#include "agent/fetch_budget.h"
#include "agent/unit_result.h"

namespace lotse::agent {

bool is_archive(std::string_view file_name);

// `where` is what the Problem names. `folder` exists. `name`: what the archive is called, which says what it is.
Done unpack(const std::string& where, const std::string& path, const std::string& name, const std::string& folder,
            FetchBudget& budget);

}  // namespace lotse::agent
