// A YAML document as a plain tree with the place of every node. The one wall around yaml-cpp: what it throws is caught
// in the .cc, and nothing else includes it. Knows nothing of our keys. No I/O, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lotse::proxy {

struct Place {  // 1-based; 0: unknown. Columns count bytes
  int line = 0, column = 0;
};

struct YamlNode {
  enum class Kind : std::uint8_t { null, scalar, list, map };
  Kind kind = Kind::null;
  Place place;
  std::string text;             // scalars
  bool is_quoted = false;       // "8080" is not the number 8080
  std::vector<YamlNode> keys;   // maps: one for each of `items`, in order, repeated ones kept
  std::vector<YamlNode> items;  // lists and maps
};

struct YamlError {
  Place place;
  std::string what;
};

inline constexpr std::size_t kYamlBytesMax = 16 * 1024 * 1024;  // larger files are refused
inline constexpr std::size_t kYamlNodesMax = 1'000'000;  // counted after aliases were expanded ("billion laughs")

// One document. An empty one is a null node. Aliases (*x) are copies of their anchor.
Result<YamlNode, YamlError> parse_yaml(std::string_view text);

}  // namespace lotse::proxy
