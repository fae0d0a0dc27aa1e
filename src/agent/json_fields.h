// Reading JSON that others wrote: a member that is missing or of the wrong type is its default, never an exception. For
// .cc files only (it includes nlohmann/json.hpp). Text goes out with broken UTF-8 replaced, so dump() never throws.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace lotse::agent {

inline const nlohmann::json& member_of(const nlohmann::json& json, const char* name) {
  static const nlohmann::json kNull;
  if (!json.is_object()) return kNull;
  auto found = json.find(name);
  return found == json.end() ? kNull : *found;
}
inline std::string text_of(const nlohmann::json& json, const char* name) {
  const nlohmann::json& value = member_of(json, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}
inline std::uint64_t unsigned_of(const nlohmann::json& json, const char* name) {
  const nlohmann::json& value = member_of(json, name);
  return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}
inline std::int64_t integer_of(const nlohmann::json& json, const char* name, std::int64_t otherwise = 0) {
  const nlohmann::json& value = member_of(json, name);
  return value.is_number_integer() ? value.get<std::int64_t>() : otherwise;
}
inline double number_of(const nlohmann::json& json, const char* name, double otherwise = 0) {
  const nlohmann::json& value = member_of(json, name);
  return value.is_number() ? value.get<double>() : otherwise;
}
inline bool bool_of(const nlohmann::json& json, const char* name, bool otherwise = false) {
  const nlohmann::json& value = member_of(json, name);
  return value.is_boolean() ? value.get<bool>() : otherwise;
}
inline std::string dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace lotse::agent
