// Files of the source tree that tests of this room read: real definitions and fuzz corpora.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lotse::model {

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline std::vector<std::filesystem::path> files_of(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(LOTSE_SOURCE_DIR) / folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The definitions of tests/model/marathon-apps; SOURCES.tsv beside them says where each is from.
inline std::vector<std::filesystem::path> real_definitions() {
  auto files = files_of("tests/model/marathon-apps");
  std::erase_if(files, [](const auto& file) { return file.extension() != ".json"; });
  return files;
}

inline nlohmann::json definition_in(const std::filesystem::path& file) {
  return nlohmann::json::parse(read_file(file));
}

}  // namespace lotse::model
