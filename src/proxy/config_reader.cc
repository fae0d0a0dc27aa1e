#include "proxy/config_reader.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace lotse::proxy {
namespace {

std::string_view kind_name(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::null:
      return "nothing";
    case YamlNode::Kind::scalar:
      return "a value";
    case YamlNode::Kind::list:
      return "a list";
    case YamlNode::Kind::map:
      return "a map";
  }
  return "";
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kShownMax = 80;
  return fmt::format("\"{}{}\"", text.substr(0, kShownMax), text.size() > kShownMax ? "..." : "");
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::string join_key(const std::string& parent, std::string_view name) {
  return parent.empty() ? std::string(name) : fmt::format("{}.{}", parent, name);
}

}  // namespace

std::string_view ConfigReader::last_name(std::string_view key, std::string_view parent) {
  return parent.empty() ? key : key.substr(parent.size() + 1);
}

std::vector<Located> ConfigReader::entries(const Located& at, const std::vector<std::string_view>* known,
                                           const std::vector<std::string_view>& required) {
  std::vector<Located> found;
  if (at.node.kind != YamlNode::Kind::map && at.node.kind != YamlNode::Kind::null) {
    problem(at, fmt::format("must be a map, but is {}", kind_name(at.node)));
    return found;
  }
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < at.node.keys.size(); ++i) {
    const YamlNode &name = at.node.keys[i], &value = at.node.items[i];
    if (name.kind != YamlNode::Kind::scalar) {
      report_.problem(name.place, at.key, fmt::format("a key must be a word, but is {}", kind_name(name)));
      continue;
    }
    std::string key = join_key(at.key, name.text);
    if (known != nullptr && std::find(known->begin(), known->end(), name.text) == known->end()) {
      report_unknown(name.place, key, name.text, *known);
    } else if (!seen.insert(name.text).second) {
      report_.problem(name.place, key, fmt::format("repeated; first in line {}", report_.place_of(key).line));
    } else {
      report_.note_place(key, name.place);
      found.push_back({value, std::move(key)});
    }
  }
  for (std::string_view name : required) {
    if (!seen.contains(name)) problem(at, fmt::format("\"{}\" is missing", name));
  }
  return found;
}

void ConfigReader::report_unknown(Place place, const std::string& key, std::string_view name,
                                  const std::vector<std::string_view>& known) {
  std::string_view suggestion = nearest(name, known);
  std::string what = "unknown key; ";
  if (!suggestion.empty())
    what += fmt::format("did you mean \"{}\"?", suggestion);
  else
    what += fmt::format("known here: {}", fmt::join(known, ", "));
  report_.problem(place, key, what);
}

std::vector<Located> ConfigReader::items(const Located& at) {
  std::vector<Located> found;
  if (at.node.kind == YamlNode::Kind::null) return found;
  if (at.node.kind != YamlNode::Kind::list) {
    problem(at, fmt::format("must be a list, but is {}", kind_name(at.node)));
    return found;
  }
  for (std::size_t i = 0; i < at.node.items.size(); ++i) {
    std::string key = fmt::format("{}[{}]", at.key, i);
    report_.note_place(key, at.node.items[i].place);
    found.push_back({at.node.items[i], std::move(key)});
  }
  return found;
}

std::vector<Located> ConfigReader::items_or_one(const Located& at) {
  if (at.node.kind == YamlNode::Kind::list || at.node.kind == YamlNode::Kind::null) return items(at);
  return {at};
}

std::optional<std::string> ConfigReader::text(const Located& at) {
  if (at.node.kind != YamlNode::Kind::scalar) {
    problem(at, fmt::format("must be text, but is {}", kind_name(at.node)));
    return std::nullopt;
  }
  if (at.node.text.empty()) {
    problem(at, "must not be empty");
    return std::nullopt;
  }
  return at.node.text;
}

std::optional<bool> ConfigReader::boolean(const Located& at) {
  bool is_plain = at.node.kind == YamlNode::Kind::scalar && !at.node.is_quoted;
  if (is_plain && at.node.text == "true") return true;
  if (is_plain && at.node.text == "false") return false;
  problem(at, "must be true or false");
  return std::nullopt;
}

std::optional<std::int64_t> ConfigReader::integer(const Located& at, IntRange range) {
  auto value = at.node.kind == YamlNode::Kind::scalar && !at.node.is_quoted ? parse_number<std::int64_t>(at.node.text)
                                                                            : std::nullopt;
  if (!value || *value < range.min || *value > range.max) {
    problem(at, fmt::format("must be a whole number from {} to {}", range.min, range.max));
    return std::nullopt;
  }
  return value;
}

std::optional<Duration> ConfigReader::duration(const Located& at) {
  auto value = at.node.kind == YamlNode::Kind::scalar ? parse_duration(at.node.text) : std::nullopt;
  if (!value && at.node.kind == YamlNode::Kind::scalar && parse_number<std::int64_t>(at.node.text)) {
    problem(at, fmt::format("needs a unit: \"{0}ms\", \"{0}s\", \"{0}m\" or \"{0}h\"", at.node.text));
    return std::nullopt;
  }
  if (!value) {
    problem(at, "must be a duration like 250ms, 20s, 1m or 1h");
    return std::nullopt;
  }
  if (*value <= Duration::zero() || *value > std::chrono::hours(24 * 30)) {
    problem(at, "must be more than 0 and at most 720h");
    return std::nullopt;
  }
  return value;
}

std::optional<int> ConfigReader::percent(const Located& at) {
  std::string_view text = at.node.kind == YamlNode::Kind::scalar ? std::string_view(at.node.text) : "";
  auto value = text.ends_with('%') ? parse_number<int>(text.substr(0, text.size() - 1)) : std::nullopt;
  if (!value || *value < 0 || *value > 100) {
    problem(at, "must be a percentage from 0% to 100%, with the sign");
    return std::nullopt;
  }
  return value;
}

std::optional<std::size_t> ConfigReader::bytes(const Located& at) {
  constexpr std::size_t kMax = std::size_t{1} << 40;
  std::string_view text = at.node.kind == YamlNode::Kind::scalar ? std::string_view(at.node.text) : "";
  std::size_t unit = 1;
  if (text.ends_with("KiB")) unit = 1024;
  if (text.ends_with("MiB")) unit = 1024 * 1024;
  if (unit > 1) text.remove_suffix(3);
  while (text.ends_with(' ')) text.remove_suffix(1);
  auto value = parse_number<std::size_t>(text);
  if (!value || *value < 1 || *value > kMax / unit) {
    problem(at, "must be a number of bytes like 65536, 64KiB or 1MiB");
    return std::nullopt;
  }
  return *value * unit;
}

std::optional<std::size_t> ConfigReader::one_of(const Located& at, const std::vector<std::string_view>& words) {
  if (at.node.kind == YamlNode::Kind::scalar) {
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words[i] == at.node.text) return i;
    }
    if (std::string_view near = nearest(at.node.text, words); !near.empty()) {
      problem(at, fmt::format("{} is not known; did you mean \"{}\"?", quoted(at.node.text), near));
      return std::nullopt;
    }
  }
  problem(at, fmt::format("must be {}{}", words.size() == 1 ? "" : "one of ", fmt::join(words, ", ")));
  return std::nullopt;
}

}  // namespace lotse::proxy
