// Prometheus text format, as far as the agent needs it: one family after the other. Pure.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace lotse::agent {

class MetricsText {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
  }
  void sample(double value, std::string_view labels = {}) {  // labels: `state="running"`
    text_ += labels.empty() ? fmt::format("{} {}\n", name_, value) : fmt::format("{}{{{}}} {}\n", name_, labels, value);
  }
  void one(std::string_view name, std::string_view type, std::string_view help, double value) {
    family(name, type, help);
    sample(value);
  }
  const std::string& text() const { return text_; }

 private:
  std::string name_, text_;
};

}  // namespace lotse::agent
