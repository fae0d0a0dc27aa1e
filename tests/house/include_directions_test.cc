// The map of docs/architecture.md, read by a machine: a file includes its own room and those it stands on, never
// sideways or up. Linking alone would let a header-only cheat pass.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const std::map<std::string, std::set<std::string>> kMayInclude{
    {"base", {}},
    {"net", {"base"}},
    {"model", {"base"}},
    {"http", {"base", "net"}},
    {"dns", {"base", "net"}},
    {"discovery", {"base", "net", "http", "model"}},
    {"proxy", {"base", "net", "http", "model"}},
    {"scheduler/core", {"base", "model"}},
    {"scheduler/server", {"base", "net", "http", "dns", "model", "scheduler/core"}},
    {"agent", {"base", "net", "http", "model"}},
    {"cli",
     {"base", "net", "http", "dns", "model", "discovery", "proxy", "scheduler/core", "scheduler/server", "agent"}},
};

// Headers that one room alone may see.
const std::map<std::string, std::string> kOnlyIn{
    {"uv.h", "net"}, {"llhttp.h", "http"}, {"nghttp2.h", "http"}, {"sqlite3.h", "scheduler/server"}, {"ldns.h", "dns"}};

std::string room_of(const std::string& path) {
  for (const auto& [room, below] : kMayInclude) {
    if (path.starts_with(room + "/")) return room;
  }
  return {};
}

struct Include {
  std::string file, line;
  int number;
  bool is_quoted;
  std::string target;
};

std::vector<Include> includes_of(const fs::path& root) {
  std::vector<Include> found;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".h" && entry.path().extension() != ".cc") continue;
    std::ifstream stream(entry.path());
    std::string line;
    for (int number = 1; std::getline(stream, line); ++number) {
      if (!line.starts_with("#include ")) continue;
      auto open = line.find_first_of("\"<"), close = line.find_last_of("\">");
      if (open == std::string::npos || close <= open) continue;
      found.push_back({fs::relative(entry.path(), root).string(), line, number, line[open] == '"',
                       line.substr(open + 1, close - open - 1)});
    }
  }
  return found;
}

TEST(House, EveryFileIncludesOnlyRoomsItStandsOn) {
  const fs::path root = fs::path(LOTSE_SOURCE_DIR) / "src";
  std::size_t checked = 0;
  for (const Include& include : includes_of(root)) {
    if (!include.is_quoted) continue;
    std::string from = room_of(include.file), to = room_of(include.target);
    ASSERT_FALSE(from.empty()) << include.file << " is in no room of the map";
    EXPECT_FALSE(to.empty()) << include.file << ':' << include.number << ": " << include.line
                             << ": includes are written from src/, as \"room/file.h\"";
    EXPECT_TRUE(from == to || kMayInclude.at(from).contains(to))
        << include.file << ':' << include.number << ": " << from << " may not include " << to;
    ++checked;
  }
  EXPECT_GT(checked, 50u);
}

TEST(House, ALibraryWithARoomOfItsOwnIsSeenByThatRoomOnly) {
  for (const Include& include : includes_of(fs::path(LOTSE_SOURCE_DIR) / "src")) {
    auto name = include.target.substr(include.target.rfind('/') + 1);
    if (auto found = kOnlyIn.find(name); found != kOnlyIn.end()) {
      EXPECT_EQ(room_of(include.file), found->second) << include.file << ':' << include.number << ": " << include.line;
    }
  }
}

TEST(House, TheJsonLibraryStaysOutOfHeaders) {
  for (const Include& include : includes_of(fs::path(LOTSE_SOURCE_DIR) / "src")) {
    if (!include.file.ends_with(".h")) continue;
    EXPECT_NE(include.target, "nlohmann/json.hpp") << include.file << ": use nlohmann/json_fwd.hpp";
  }
}

}  // namespace
