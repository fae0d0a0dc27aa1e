// A place in a posted app definition: reads what is there into C++ values and collects everything that is wrong in
// Marathon's words and paths ("/healthChecks(0)/portIndex": "error.expected.jsnumber"), so that one answer tells all.
// Absent and null members leave the target, and thereby Marathon's default, as it is.
// Lives on the stack of one parse, below the JSON and the problems it points to. No rules: app_rules.h.
#pragma once

#include <algorithm>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/api_error.h"
#include "model/app.h"

namespace lotse::model {

// Appends `error` to the detail of that path, once.
void add_detail(std::vector<ErrorDetail>& details, std::string_view path, std::string_view error);

struct DefinitionProblems {
  std::vector<ErrorDetail> types;  // wrong type, missing: "Invalid JSON"
  std::vector<ErrorDetail> rules;  // a rule that cannot be told any more once the App is built: "Object is not valid"
  std::string clash;               // old and new form at once: the whole message
  bool empty() const { return types.empty() && rules.empty() && clash.empty(); }
};

bool equals_ignoring_case(std::string_view left, std::string_view right);

class DefinitionField {
 public:
  DefinitionField(const nlohmann::json& value, DefinitionProblems& problems) : value_(&value), problems_(&problems) {}

  DefinitionField operator[](std::string_view key) const;
  bool is_given() const { return value_ != nullptr; }  // there, and not null
  const nlohmann::json& value() const { return *value_; }
  bool is_string() const;
  bool is_object() const;                   // given and an object
  bool expect_object() const;               // the same, and anything else that is given is a type error
  const DefinitionField& required() const;  // absent: error.path.missing

  void to(std::string& target) const;
  void to(bool& target) const;
  void to(int& target) const;
  void to(double& target) const;
  void to(Seconds& target) const;
  void to(Labels& target) const;
  void to(std::vector<std::string>& target) const;
  void to(std::vector<int>& target) const;
  template <typename T>
  void to(std::optional<T>& target) const {
    if (!is_given()) return;
    T read{};
    to(read);
    target = std::move(read);
  }
  // Names are compared without case, as Marathon does.
  template <typename Enum, std::size_t Count>
  void to_one_of(const std::pair<std::string_view, Enum> (&names)[Count], Enum& target) const {
    if (!is_given()) return;
    if (is_string()) {
      for (const auto& [name, meaning] : names) {
        if (equals_ignoring_case(text(), name)) {
          target = meaning;
          return;
        }
      }
    }
    wrong_type("error.unknown.enum.literal");
  }

  template <typename Read>  // Read: void(const DefinitionField& item)
  void each(Read read) const {
    for (std::size_t index = 0, count = items(); index < count; ++index) read(item(index));
  }
  template <typename Read>  // Read: void(const std::string& name, const DefinitionField& member)
  void each_member(Read read) const {
    for (const std::string& name : names()) read(name, raw_member(name));
  }

  void wrong_type(std::string_view code) const { add_detail(problems_->types, path(), code); }
  void broken_rule(std::string_view sentence) const { add_detail(problems_->rules, path(), sentence); }
  void clash(std::string_view message) const {
    if (problems_->clash.empty()) problems_->clash = message;
  }

 private:
  DefinitionField(const nlohmann::json* value, const DefinitionField& parent, std::string_view key, std::size_t index)
      : value_(value), problems_(parent.problems_), parent_(&parent), key_(key), index_(index) {}
  std::string_view text() const;
  std::size_t items() const;
  DefinitionField item(std::size_t index) const;
  std::vector<std::string> names() const;
  DefinitionField raw_member(const std::string& name) const;  // null is a value here
  std::string path() const;

  const nlohmann::json* value_;
  DefinitionProblems* problems_;
  const DefinitionField* parent_ = nullptr;
  std::string_view key_;
  std::size_t index_ = 0;
};

}  // namespace lotse::model
