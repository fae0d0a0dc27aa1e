#include "model/json_reader.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

namespace lotse::model {
namespace {

using nlohmann::json;

// A whole number in any spelling; 3.0 counts, as everywhere in this API.
std::optional<std::int64_t> whole_number(const json& value) {
  if (value.is_number_unsigned()) {
    auto number = value.get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    return static_cast<std::int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  double number = value.get<double>();
  if (number != std::trunc(number) || std::abs(number) > 9e15) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

}  // namespace

JsonReader JsonReader::operator[](std::string_view key) const {
  const json* found = nullptr;
  if (value_ != nullptr && value_->is_object()) {
    auto at = value_->find(key);
    if (at != value_->end() && !at->is_null()) found = &*at;
  }
  return JsonReader(found, *this, key, 0);
}

const JsonReader& JsonReader::required() const {
  if (is_absent()) complain("missing");
  return *this;
}

bool JsonReader::expect_object() const {
  if (is_absent()) return false;
  if (!value_->is_object()) complain("expected an object");
  return value_->is_object();
}

void JsonReader::to(std::string& target) const {
  if (is_absent()) return;
  if (!value_->is_string()) return complain("expected a string");
  target = value_->get_ref<const std::string&>();
}

void JsonReader::to(bool& target) const {
  if (is_absent()) return;
  if (!value_->is_boolean()) return complain("expected true or false");
  target = value_->get<bool>();
}

void JsonReader::to(double& target) const {
  if (is_absent()) return;
  if (!value_->is_number()) return complain("expected a number");
  target = value_->get<double>();
}

void JsonReader::to(std::uint64_t& target) const {
  if (is_absent()) return;
  if (value_->is_number_unsigned()) {
    target = value_->get<std::uint64_t>();
    return;
  }
  auto number = whole_number(*value_);
  if (!number || *number < 0) return complain("expected a whole number that is not negative");
  target = static_cast<std::uint64_t>(*number);
}

void JsonReader::to(std::uint32_t& target) const {
  std::uint64_t number = target;
  to(number);
  if (number > std::numeric_limits<std::uint32_t>::max()) return complain("expected a number below 2^32");
  target = static_cast<std::uint32_t>(number);
}

void JsonReader::to(int& target, int least, int most) const {
  if (is_absent()) return;
  auto number = whole_number(*value_);
  if (!number || *number < least || *number > most) {
    return complain("expected a number in " + std::to_string(least) + ".." + std::to_string(most));
  }
  target = static_cast<int>(*number);
}

void JsonReader::to_port(std::uint16_t& target) const {
  int number = target;
  to(number, 1, 65535);
  target = static_cast<std::uint16_t>(number);
}

void JsonReader::to(std::map<std::string, std::string>& target) const {
  if (!expect_object()) return;
  target.clear();
  for (const auto& [key, value] : value_->items()) {
    if (!value.is_string()) return JsonReader(&value, *this, key, 0).complain("expected a string");
    target.emplace_hint(target.end(), key, value.get_ref<const std::string&>());
  }
}

void JsonReader::to(std::vector<std::string>& target) const {
  if (is_absent()) return;
  target.clear();
  each([&](const JsonReader& item) { item.to(target.emplace_back()); });
}

void JsonReader::complain(std::string_view what) const {
  if (has_problem()) return;
  problem_->where = path();
  problem_->what = what;
}

std::size_t JsonReader::items() const {
  if (is_absent()) return 0;
  if (!value_->is_array()) complain("expected a list");
  return value_->is_array() ? value_->size() : 0;
}

JsonReader JsonReader::item(std::size_t index) const { return JsonReader(&(*value_)[index], *this, {}, index); }

std::string JsonReader::path() const {
  if (parent_ == nullptr) return "";
  std::string before = parent_->path();
  if (key_.empty()) return before + "[" + std::to_string(index_) + "]";
  return before.empty() ? std::string(key_) : before + "." + std::string(key_);
}

}  // namespace lotse::model
