// What is wrong with a configuration file, for people: every problem and warning with file, line, column, key and the
// source line with a caret. Owned by one parse. Knows no keys and no YAML library.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config_yaml.h"

namespace lotse::proxy {

struct ConfigProblem {
  std::string file;
  Place place;
  std::string key;  // "routes[0].retry.atempts"; empty: the file as a whole
  std::string what;
  std::string source;                   // the line, for the caret; empty: none
  std::string text() const;             // `lb.yaml:8:13: routes[0].retry.atempts: unknown key`
  std::string text_with_caret() const;  // text(), the source line and a caret under the place
};

inline constexpr std::size_t kConfigProblemsMax = 100;  // more are counted, not kept

class ConfigReport {
 public:
  ConfigReport(std::string file, std::string_view text);  // `text` outlives the report's use

  void note_place(const std::string& key, Place place) { places_[key] = place; }
  Place place_of(std::string_view key) const;  // the nearest known one: a.b.c, else a.b, else a

  void problem(Place place, std::string key, std::string what);
  void problem(const std::string& key, std::string what) { problem(place_of(key), key, std::move(what)); }
  void warning(const std::string& key, std::string what);
  std::string where(const std::string& key) const;  // "routes[0] (lb.yaml:12)"

  std::string file_beside(const std::string& path) const;  // a path in the file is relative to the file's folder

  bool is_good() const { return problems_.empty(); }
  std::vector<ConfigProblem> take_problems();  // ordered by place; the last says how many were dropped
  std::vector<ConfigProblem> take_warnings();

 private:
  ConfigProblem make(Place place, std::string key, std::string what) const;
  std::string source_line(int line) const;

  std::string file_;
  std::string_view text_;
  std::vector<std::size_t> line_starts_;
  std::map<std::string, Place, std::less<>> places_;
  std::vector<ConfigProblem> problems_, warnings_;
  std::size_t problems_dropped_ = 0;
};

// The candidate most like `word`, if it is near enough to be a slip of the finger; empty: none.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace lotse::proxy
