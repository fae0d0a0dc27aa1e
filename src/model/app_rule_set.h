// The rules of app_rules.h by noun, and what they write their findings to. Internal to the app_*rules.cc files.
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "model/api_error.h"
#include "model/app.h"

namespace lotse::model {

struct Broken {
  std::vector<ErrorDetail> details;

  void add(std::string_view path, std::string_view sentence);
  // "is less than 0", "is greater than 1": Marathon's words.
  void unless_within(std::string_view path, double value, double least,
                     double most = std::numeric_limits<double>::max());
};

std::string item(std::string_view list, std::size_t index, std::string_view member = {});  // "/fetch(2)/uri"
std::string number_text(double value);

void check_container(const App& app, Broken& broken);
void check_networking(const App& app, Broken& broken);   // networks, port mappings, port definitions
void check_health(const App& app, Broken& broken);       // health and readiness checks
void check_unsupported(const App& app, Broken& broken);  // what Marathon knows and Lotse cannot honour

}  // namespace lotse::model
