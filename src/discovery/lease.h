// The proxy's lease with one scheduler: PUT /v1/proxies/{id}, sent at once when there is something to say, else every
// heartbeat; one at a time, later news coalesced into the next. Knows when the lease ends, not what follows from it.
// Owned by SchedulerSource. Main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "http/client.h"
#include "http/url.h"
#include "model/routes.h"
#include "net/timers.h"

namespace lotse::discovery {

class Lease {
 public:
  struct Options {
    http::Endpoint scheduler;
    std::string proxy_id;
    Duration heartbeat = std::chrono::seconds(3);
    Duration length = std::chrono::seconds(10);  // the scheduler's answer may make it shorter, never longer
    Duration answer_timeout = std::chrono::seconds(3);
  };
  class Owner {
   public:
    virtual model::ProxyReport make_report() = 0;  // asked for at the moment of sending
    virtual bool on_term(std::uint64_t term) = 0;  // false: lower than one seen, the answer does not count
    // until() has moved. Unbroken: the renewal was sent before the last one had run out.
    virtual void on_lease_renewed(Instant sent, bool is_unbroken) = 0;
    virtual void on_lease_refused(const std::string& why) = 0;

   protected:
    ~Owner() = default;
  };
  Lease(http::Client& client, Options options, Owner& owner);

  void start();       // the first report and the heartbeat
  void report_now();  // or right after the one that is under way
  // The lease counts from *sending* its renewal: the scheduler counts from receiving, so ours always ends first.
  Instant until() const { return until_; }  // Instant{}: never had one
  Duration length() const { return options_.length; }
  bool is_under_way() const { return is_under_way_; }  // a report was sent and not answered
  std::uint64_t reports() const { return reports_; }
  std::uint64_t failures() const { return failures_; }

 private:
  void send();
  void on_answer(Instant sent, Result<http::ClientResponse> answer);

  http::Client& client_;
  Options options_;
  Owner& owner_;
  std::unique_ptr<http::Call> call_;  // the one under way
  bool is_under_way_ = false, has_news_ = false;
  Instant until_{};
  std::uint64_t reports_ = 0, failures_ = 0;
  net::Timer heartbeat_;
};

}  // namespace lotse::discovery
