#include "http/h2_flood.h"

namespace lotse::http {

namespace {
constexpr Duration kSpan = std::chrono::seconds(10);
}

bool H2FloodMeter::is_too_much(H2Flood kind, Instant now) {
  if (now - span_begin_ >= kSpan) {
    span_begin_ = now;
    seen_.fill(0);
    earned_.fill(0);
  }
  const auto place = static_cast<std::size_t>(kind);
  return ++seen_[place] > limits_[place] + earned_[place];
}

}  // namespace lotse::http
