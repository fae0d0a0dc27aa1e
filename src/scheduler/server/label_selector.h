// Marathon's label selectors: `a`, `!a`, `a==x`, `a!=x`, `a in (x,y)`, `a notin (x,y)`, joined by commas (AND); a
// backslash escapes the next character. Pure text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/app.h"

namespace lotse::scheduler {

class LabelSelector {
 public:
  static Result<LabelSelector, Problem> parse(std::string_view text);
  bool matches(const model::Labels& labels) const;

 private:
  struct Term {
    std::string name;
    bool wants_any_value = false;  // `a` and `!a`: only whether it is there
    bool is_negated = false;
    std::vector<std::string> values;
  };
  std::vector<Term> terms_;  // all must hold
};

}  // namespace lotse::scheduler
