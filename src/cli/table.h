// Columns for people: padded to the widest cell, two spaces between, header in capitals. Values only.
#pragma once

#include <string>
#include <vector>

namespace lotse::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool is_empty() const { return rows_.size() == 1; }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "12s", "5m", "3h", "2d": how long ago a timestamp was; "-" when it is none.
std::string age_of(const std::string& timestamp);

}  // namespace lotse::cli
