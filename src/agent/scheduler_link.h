// The agent's side of the conversation with the scheduler (model/agent_protocol.h): registration and heartbeat, the
// command stream, statuses and health. Everything may fail at any time and is tried again; terms fence out a scheduler
// that was replaced. Owned by the agent; one loop thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "agent/data_dir.h"
#include "agent/outbox.h"
#include "http/client.h"
#include "http/sse.h"
#include "model/agent_protocol.h"
#include "net/loop.h"
#include "net/timers.h"

namespace lotse::agent {

class SchedulerLink final : private http::SseListener {
 public:
  struct Callbacks {
    std::function<model::AgentRegistration()> registration;  // as of now
    std::function<void(const model::LaunchTask&)> on_launch;
    std::function<void(const model::KillTask&)> on_kill;
    std::function<std::optional<model::TaskHealth>(const model::TaskId&)> health_of;
    std::function<std::vector<model::TaskId>()> tasks_with_health;
    std::function<void(const Problem&)> on_refused;
    std::function<void()> on_registered;
  };
  struct Counters {
    std::uint64_t registrations = 0, registration_failures = 0, reports = 0, report_failures = 0, commands = 0,
                  refused_commands = 0;
  };
  SchedulerLink(net::Loop& loop, http::Endpoint scheduler, Duration heartbeat_interval, DataDir& data, Outbox& outbox,
                Callbacks callbacks);

  void start();
  void stop_commands();  // from here on nothing is taken; statuses still go out
  void register_now();
  void on_status_added();
  void flush_now();  // the outbox is on disk when it returns, or the log says why not
  void on_health_changed(const model::TaskId& task);

  bool is_registered() const { return is_registered_; }
  const Counters& counters() const { return counters_; }

 private:
  void on_registration_answer(Result<http::ClientResponse> answer);
  void accept_registration(const model::AgentAnswer& answer);
  bool admit(std::uint64_t term, const std::string& cluster);
  void refuse(Problem problem);
  void lose(const std::string& why);
  void open_commands();

  void on_open() override;
  void on_event(const http::SseEvent& event) override;
  void on_lost(const Problem& why) override;
  void take_command(const model::AgentCommand& command);

  void report_soon(Duration delay = Duration::zero());
  void report();
  void on_report_answer(Result<http::ClientResponse> answer, std::uint64_t last_sent);
  void retry_report();

  http::ClientRequest request(std::string method, std::string_view rest, std::string body) const;

  net::Loop& loop_;
  http::Endpoint scheduler_;
  Duration heartbeat_interval_;
  DataDir& data_;
  Outbox& outbox_;
  Callbacks callbacks_;
  http::Client client_;
  net::Timer heartbeat_timer_, report_timer_;
  std::unique_ptr<http::Call> registering_, reporting_;
  std::unique_ptr<http::SseSource> commands_;
  std::set<model::TaskId> health_to_send_, health_sent_;
  std::string last_refusal_, last_loss_;
  Duration report_retry_;
  bool is_registered_ = false, registers_again_ = false, takes_commands_ = true, was_registered_ = false;
  Counters counters_;
};

}  // namespace lotse::agent
