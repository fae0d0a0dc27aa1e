#include "model/definition_field.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace lotse::model {
namespace {

using nlohmann::json;

// A body of a million wrong items must not become an answer of a million details; nobody reads past the first hundred.
constexpr std::size_t kDetailsMax = 500;

char lower(char byte) { return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte; }

// 3.0 counts as 3 (marathonctl sends it); 3.5 and what does not fit 32 bits do not.
std::optional<int> whole_number(const json& value) {
  double number = value.get<double>();  // exact for every 32-bit number
  if (number != std::trunc(number) || std::abs(number) > std::numeric_limits<int>::max()) return std::nullopt;
  return static_cast<int>(number);
}

}  // namespace

void add_detail(std::vector<ErrorDetail>& details, std::string_view path, std::string_view error) {
  auto known = std::find_if(details.begin(), details.end(), [&](const ErrorDetail& each) { return each.path == path; });
  if (known == details.end() && details.size() == kDetailsMax) return;
  if (known == details.end()) known = details.insert(details.end(), ErrorDetail{std::string(path), {}});
  auto& errors = known->errors;
  if (std::find(errors.begin(), errors.end(), error) == errors.end()) errors.emplace_back(error);
}

bool equals_ignoring_case(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

DefinitionField DefinitionField::operator[](std::string_view key) const {
  const json* found = nullptr;
  if (is_object()) {
    auto at = value_->find(key);
    if (at != value_->end() && !at->is_null()) found = &*at;
  }
  return DefinitionField(found, *this, key, 0);
}

DefinitionField DefinitionField::raw_member(const std::string& name) const {
  return DefinitionField(&*value_->find(name), *this, name, 0);
}

bool DefinitionField::is_string() const { return is_given() && value_->is_string(); }
bool DefinitionField::is_object() const { return is_given() && value_->is_object(); }

bool DefinitionField::expect_object() const {
  if (is_given() && !value_->is_object()) wrong_type("error.expected.jsobject");
  return is_object();
}

const DefinitionField& DefinitionField::required() const {
  if (!is_given()) wrong_type("error.path.missing");
  return *this;
}

void DefinitionField::to(std::string& target) const {
  if (!is_given()) return;
  if (!value_->is_string()) return wrong_type("error.expected.jsstring");
  target = value_->get_ref<const std::string&>();
}

void DefinitionField::to(bool& target) const {
  if (!is_given()) return;
  if (!value_->is_boolean()) return wrong_type("error.expected.jsboolean");
  target = value_->get<bool>();
}

void DefinitionField::to(int& target) const {
  if (!is_given()) return;
  if (!value_->is_number()) return wrong_type("error.expected.jsnumber");
  auto number = whole_number(*value_);
  if (!number) return wrong_type("error.expected.int");
  target = *number;
}

void DefinitionField::to(double& target) const {
  if (!is_given()) return;
  if (!value_->is_number()) return wrong_type("error.expected.jsnumber");
  target = value_->get<double>();
}

void DefinitionField::to(Seconds& target) const {
  double seconds = target.count();
  to(seconds);
  target = Seconds(seconds);
}

void DefinitionField::to(Labels& target) const {
  if (!expect_object()) return;
  target.clear();
  each_member([&](const std::string& name, const DefinitionField& member) { member.to(target[name]); });
}

void DefinitionField::to(std::vector<std::string>& target) const {
  if (!is_given()) return;
  target.clear();
  each([&](const DefinitionField& item) { item.to(target.emplace_back()); });
}

void DefinitionField::to(std::vector<int>& target) const {
  if (!is_given()) return;
  target.clear();
  each([&](const DefinitionField& item) { item.to(target.emplace_back()); });
}

std::string_view DefinitionField::text() const { return value_->get_ref<const std::string&>(); }

std::size_t DefinitionField::items() const {
  if (!is_given()) return 0;
  if (!value_->is_array()) wrong_type("error.expected.jsarray");
  return value_->is_array() ? value_->size() : 0;
}

DefinitionField DefinitionField::item(std::size_t index) const {
  return DefinitionField(&(*value_)[index], *this, {}, index);
}

std::vector<std::string> DefinitionField::names() const {
  std::vector<std::string> names;
  if (!expect_object()) return names;
  for (const auto& [name, value] : value_->items()) names.push_back(name);
  return names;
}

std::string DefinitionField::path() const {
  if (parent_ == nullptr) return "/";
  std::string before = parent_->path();
  if (parent_->parent_ == nullptr) before.clear();
  if (key_.data() == nullptr) return before + "(" + std::to_string(index_) + ")";
  return before + "/" + std::string(key_);
}

}  // namespace lotse::model
