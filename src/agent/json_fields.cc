#include "agent/json_fields.h"

#include <nlohmann/json.hpp>

namespace lotse::agent {

const nlohmann::json& member_of(const nlohmann::json& json, const char* name) {
  static const nlohmann::json kNull;
  if (!json.is_object()) return kNull;
  auto found = json.find(name);
  return found == json.end() ? kNull : *found;
}

std::string text_of(const nlohmann::json& json, const char* name) {
  const nlohmann::json& value = member_of(json, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::uint64_t unsigned_of(const nlohmann::json& json, const char* name) {
  const nlohmann::json& value = member_of(json, name);
  return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

std::int64_t integer_of(const nlohmann::json& json, const char* name, std::int64_t otherwise) {
  const nlohmann::json& value = member_of(json, name);
  return value.is_number_integer() ? value.get<std::int64_t>() : otherwise;
}

double number_of(const nlohmann::json& json, const char* name, double otherwise) {
  const nlohmann::json& value = member_of(json, name);
  return value.is_number() ? value.get<double>() : otherwise;
}

bool bool_of(const nlohmann::json& json, const char* name, bool otherwise) {
  const nlohmann::json& value = member_of(json, name);
  return value.is_boolean() ? value.get<bool>() : otherwise;
}

std::string dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace lotse::agent
