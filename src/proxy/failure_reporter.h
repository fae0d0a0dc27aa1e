// A worker's eye on its endpoints: counts what each answer or failure says and posts it to the main thread, at most one
// batch per kReportInterval and nothing at all while all is well. Judges nothing (OutlierDetector does, over all
// workers). One per worker; one loop thread.
#pragma once

#include <functional>
#include <vector>

#include "proxy/deadline.h"
#include "proxy/endpoint_record.h"
#include "proxy/passive_health.h"

namespace lotse::proxy {

class FailureReporter {
 public:
  FailureReporter(net::Loop& loop, std::size_t worker, std::function<void(std::vector<FailureReport>)> post);

  void on_answer(EndpointRecord& record, int status) {
    EndpointState& state = record.states[worker_];
    if (status >= 500)
      return fail(record, status <= 504 && status >= 502 ? FailureKind::gateway : FailureKind::status_5xx);
    state.good_answers.add();
    if (state.has_failures) state.failures.succeed();
  }
  void fail(EndpointRecord& record, FailureKind kind);
  void stop();  // before the loop ends

 private:
  void report();

  std::size_t worker_;
  std::function<void(std::vector<FailureReport>)> post_;
  std::vector<std::shared_ptr<EndpointRecord>> pending_;  // each once: as many as there are endpoints at most
  Deadline report_;
};

}  // namespace lotse::proxy
