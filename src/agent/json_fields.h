// Reading JSON that others wrote: a member that is missing or of the wrong type is its default, never an exception.
// Text goes out with broken UTF-8 replaced, so dump() never throws. Values only.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace lotse::agent {

const nlohmann::json& member_of(const nlohmann::json& json, const char* name);  // null when missing
std::string text_of(const nlohmann::json& json, const char* name);
std::uint64_t unsigned_of(const nlohmann::json& json, const char* name);
std::int64_t integer_of(const nlohmann::json& json, const char* name, std::int64_t otherwise = 0);
double number_of(const nlohmann::json& json, const char* name, double otherwise = 0);
bool bool_of(const nlohmann::json& json, const char* name, bool otherwise = false);
std::string dump(const nlohmann::json& json);

}  // namespace lotse::agent
