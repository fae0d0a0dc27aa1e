// A place in a JSON value that knows its own path, for messages of our own (routes, agents): reads what is there into
// C++ values and keeps the first thing that is wrong as a Problem ("set[3].hostPort: expected a number in 1..65535").
// Absent and null members leave the target as it is. Paths are made only on error, so a snapshot pays nothing for them.
// Lives on the stack of one parse function, below the value and the Problem it points to.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lotse::model {

class JsonReader {
 public:
  JsonReader(const nlohmann::json& value, Problem& problem) : value_(&value), problem_(&problem) {}

  JsonReader operator[](std::string_view key) const;  // a member; absent when there is none or it is null
  bool is_absent() const { return value_ == nullptr; }
  const JsonReader& required() const;  // absent is a problem
  bool expect_object() const;

  void to(std::string& target) const;
  void to(bool& target) const;
  void to(double& target) const;
  void to(std::uint64_t& target) const;
  void to(std::map<std::string, std::string>& target) const;
  void to(std::vector<std::string>& target) const;
  void to_port(std::uint16_t& target) const;  // 1..65535
  void to(int& target, int least, int most) const;
  void to(std::uint32_t& target) const;

  template <typename Read>  // Read: void(const JsonReader& item)
  void each(Read read) const {
    for (std::size_t index = 0, count = items(); index < count && !has_problem(); ++index) read(item(index));
  }

  bool has_problem() const { return !problem_->what.empty(); }
  void complain(std::string_view what) const;
  const nlohmann::json& value() const { return *value_; }  // not when absent

 private:
  JsonReader(const nlohmann::json* value, const JsonReader& parent, std::string_view key, std::size_t index)
      : value_(value), problem_(parent.problem_), parent_(&parent), key_(key), index_(index) {}
  std::size_t items() const;  // of an array; anything else but absent is a problem
  JsonReader item(std::size_t index) const;
  std::string path() const;

  const nlohmann::json* value_;
  Problem* problem_;
  const JsonReader* parent_ = nullptr;
  std::string_view key_;
  std::size_t index_ = 0;
};

}  // namespace lotse::model
