// Reads typed values out of a YAML tree by tables of keys: `Key<ListenerConfig>{"name", field<&ListenerConfig::name>}`.
// Reports what does not fit and goes on, so that one pass finds every problem. Knows no particular key; the tables are
// in config_schema.cc. Lives for one parse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "proxy/config_report.h"
#include "proxy/config_yaml.h"

namespace lotse::proxy {

class ConfigReader;

struct Located {  // a node and the key that leads to it
  const YamlNode& node;
  std::string key;
};

template <typename T>
struct Key {
  std::string_view name;
  void (*read)(ConfigReader& reader, const Located& at, T& into);
  bool is_required = false;
};

struct IntRange {
  std::int64_t min = 0, max = std::numeric_limits<int>::max();
};

class ConfigReader {
 public:
  explicit ConfigReader(ConfigReport& report) : report_(report) {}
  ConfigReport& report() { return report_; }

  template <typename T>
  void map(const Located& at, T& into, std::span<const Key<T>> keys) {
    std::vector<std::string_view> names, required;
    for (const Key<T>& key : keys) {
      names.push_back(key.name);
      if (key.is_required) required.push_back(key.name);
    }
    for (const Located& entry : entries(at, &names, required)) {
      std::string_view name = last_name(entry.key, at.key);
      for (const Key<T>& key : keys) {
        if (key.name == name) key.read(*this, entry, into);
      }
    }
  }

  // The entries of a map, each with its key appended; repeated keys, and unknown ones if `known` is given, are reported
  // and left out.
  std::vector<Located> entries(const Located& at, const std::vector<std::string_view>* known,
                               const std::vector<std::string_view>& required = {});
  std::vector<Located> items(const Located& at);         // of a list
  std::vector<Located> items_or_one(const Located& at);  // a list, or one value that stands for a list of itself
  static std::string_view last_name(std::string_view key, std::string_view parent);  // what entries() appended

  // Each reports and returns nullopt when the node does not fit.
  std::optional<std::string> text(const Located& at);  // not empty
  std::optional<bool> boolean(const Located& at);
  std::optional<std::int64_t> integer(const Located& at, IntRange range);
  std::optional<Duration> duration(const Located& at);  // more than 0, at most 30 days; a unit is required
  std::optional<int> percent(const Located& at);        // "50%", 0..100
  std::optional<std::size_t> bytes(const Located& at);  // 1024, "64KiB", "1MiB"; at least 1
  // One of `words`; its index.
  std::optional<std::size_t> one_of(const Located& at, const std::vector<std::string_view>& words);

  void problem(const Located& at, std::string what) { report_.problem(at.node.place, at.key, std::move(what)); }

 private:
  void report_unknown(Place place, const std::string& key, std::string_view name,
                      const std::vector<std::string_view>& known);

  ConfigReport& report_;
};

// Readers for single members, to be named in tables.
template <typename Member>
struct MemberOf;
template <typename T, typename V>
struct MemberOf<V T::*> {
  using Owner = T;
  using Value = V;
};
template <auto member>
using OwnerOf = typename MemberOf<decltype(member)>::Owner;

template <auto member>
void text_field(ConfigReader& reader, const Located& at, OwnerOf<member>& into) {
  if (auto value = reader.text(at)) into.*member = *value;
}
template <auto member>
void bool_field(ConfigReader& reader, const Located& at, OwnerOf<member>& into) {
  if (auto value = reader.boolean(at)) into.*member = *value;
}
template <auto member, std::int64_t min, std::int64_t max>
void int_field(ConfigReader& reader, const Located& at, OwnerOf<member>& into) {
  using Value = typename MemberOf<decltype(member)>::Value;
  if (auto value = reader.integer(at, {min, max})) into.*member = static_cast<Value>(*value);
}
template <auto member>
void duration_field(ConfigReader& reader, const Located& at, OwnerOf<member>& into) {
  if (auto value = reader.duration(at)) into.*member = *value;
}
template <auto member>
void percent_field(ConfigReader& reader, const Located& at, OwnerOf<member>& into) {
  if (auto value = reader.percent(at)) into.*member = *value;
}
template <auto member>
void bytes_field(ConfigReader& reader, const Located& at, OwnerOf<member>& into) {
  if (auto value = reader.bytes(at)) into.*member = *value;
}
// An optional map: there with its defaults as soon as it is named.
template <auto member, const auto& keys>
void map_field(ConfigReader& reader, const Located& at, OwnerOf<member>& into) {
  using Value = typename MemberOf<decltype(member)>::Value::value_type;
  reader.map<Value>(at, (into.*member).emplace(), keys);
}

}  // namespace lotse::proxy
