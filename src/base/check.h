// CHECK aborts, in release too, on a state we believe impossible. Never on input: what others can cause is a Result.
#pragma once

namespace lotse {
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
}

#define CHECK(expression) \
  (static_cast<bool>(expression) ? static_cast<void>(0) : ::lotse::check_failed(#expression, __FILE__, __LINE__))
