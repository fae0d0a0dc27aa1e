// What traffic itself says of an endpoint: failures in a row as a worker saw them (FailureRuns, posted to the main
// thread in batches), and what the main thread made of them (PassiveHealth). Both hang on the EndpointRecord, so they
// survive every change of the table. Data only: FailureReporter fills the first, OutlierDetector the second.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"

namespace lotse::proxy {

struct EndpointRecord;

// Each kind is one of those before it as well: a refused connection is a gateway failure, and the client gets a 5xx.
enum class FailureKind : std::uint8_t {
  status_5xx,  // any answer from 500 on
  gateway,     // 502, 503, 504; no answer in time; the connection was lost before it
  connect,     // not a byte was sent
};
inline constexpr std::size_t kFailureKinds = 3;

// What happened since the last report, in order: by kind, the failures after the last one that was not of it.
struct FailureRuns {
  std::array<std::uint32_t, kFailureKinds> run{}, longest{};
  std::array<bool, kFailureKinds> is_broken{};  // something else came between this run and the report before

  void fail(FailureKind kind) {
    for (std::size_t i = 0; i < kFailureKinds; ++i) {
      if (i > static_cast<std::size_t>(kind)) {
        break_run(i);
      } else {
        longest[i] = std::max(longest[i], ++run[i]);
      }
    }
  }
  void succeed() {
    for (std::size_t i = 0; i < kFailureKinds; ++i) break_run(i);
  }

 private:
  void break_run(std::size_t kind) {
    run[kind] = 0;
    is_broken[kind] = true;
  }
};

struct FailureReport {
  std::shared_ptr<EndpointRecord> record;
  FailureRuns runs;
};

struct PassiveHealth {  // main thread only
  std::array<std::uint32_t, kFailureKinds> run{};
  std::uint64_t good_answers_seen = 0;  // of all workers, at the last report: more of them end every run
  bool is_ejected = false;
  Instant ejected_until{};    // while ejected
  Instant returned_at{};      // the last time
  int ejections_of_late = 0;  // what the next ejection time is multiplied with; falls with time spent in
  std::uint64_t ejections = 0;
};

}  // namespace lotse::proxy
