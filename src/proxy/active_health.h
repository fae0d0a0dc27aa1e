// What the proxy's own checks (apps.*.health) say of an endpoint. Hangs on the EndpointRecord, so it survives every
// change of the table. Data only: HealthChecker fills it, EndpointRegistry tells it on in the sets. Main thread only.
#pragma once

#include <cstdint>
#include <string>

namespace lotse::proxy {

struct ActiveHealth {
  enum class Verdict : std::uint8_t {
    unchecked,  // nobody checks, or nothing is known yet: what discovery says holds
    pending,    // new, and `start: down`: nothing for it before its first passed check
    up,
    down,
  };
  Verdict verdict = Verdict::unchecked;
  int passes = 0, failures = 0;  // in a row
  std::string problem;           // of the last check; empty: it passed
};

}  // namespace lotse::proxy
