// One URI into one file: http and https by libcurl (with the machine's certificates and proxies), file by copying.
// Blocking: for a fetch thread, never for the loop's.
#pragma once

#include <string>
#include <string_view>

#include "agent/fetch_budget.h"
#include "agent/unit_result.h"

namespace lotse::agent {

void prepare_downloads();  // once per process, before there are threads

// `path` is made new; what stood there goes. The Problem names the URI, without what a user or a query may hide in it.
Done download(const std::string& uri, const std::string& path, FetchBudget& budget);
Done copy_file(const std::string& from, const std::string& to, FetchBudget& budget);

// "http://user:secret@host/a?token=x" -> "http://host/a": what a message may say.
std::string shown_uri(std::string_view uri);

}  // namespace lotse::agent
