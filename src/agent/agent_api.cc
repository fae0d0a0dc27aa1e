#include "agent/agent_api.h"

#include <nlohmann/json.hpp>

#include "agent/json_fields.h"

namespace lotse::agent {
namespace {

constexpr std::size_t kFollowQueueHigh = 256 * 1024;
constexpr std::size_t kFollowQueueMax = 4 * 1024 * 1024;

http::ServerResponse message(int status, const std::string& text) {
  http::ServerResponse response;
  response.status = status;
  response.body = dump({{"message", text}}) + "\n";
  return response;
}

http::ServerResponse text(std::string body) {
  http::ServerResponse response;
  response.body = std::move(body);
  response.content_type = "text/plain; charset=utf-8";
  return response;
}

std::string confirmation(const TaskRecord& record) {
  return model::serialize(model::TaskConfirmation{
      .task = record.id(), .app = record.launch.app.id, .state = record.state, .host_ports = record.launch.host_ports});
}

}  // namespace

AgentApi::AgentApi(net::Loop& loop, Tasks& tasks, std::function<Runtime&(RuntimeKind)> runtime_of,
                   std::function<std::string()> metrics)
    : loop_(loop),
      tasks_(tasks),
      runtime_of_(std::move(runtime_of)),
      metrics_(std::move(metrics)),
      sweep_timer_(loop.timers(), [this] { sweep(); }),
      server_(loop, router_, {}) {
  add_routes();
}

AgentApi::~AgentApi() {  // answers under way before the server they go through
  follows_.clear();
  log_answers_.clear();
}

void AgentApi::add_routes() {
  router_.add("GET", "/ping",
              [](http::ServerRequest&, http::Responder responder) { responder.respond(text("pong\n")); });
  router_.add("GET", "/metrics", [this](http::ServerRequest&, http::Responder responder) {
    http::ServerResponse response = text(metrics_());
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    responder.respond(std::move(response));
  });
  router_.add("GET", "/v1/tasks",
              [this](http::ServerRequest&, http::Responder responder) { list_tasks(std::move(responder)); });
  router_.add("GET", "/v1/tasks/{id}", [this](http::ServerRequest& request, http::Responder responder) {
    confirm_task(request.captures[0], std::move(responder));
  });
  router_.add("GET", "/v1/tasks/{id}/logs", [this](http::ServerRequest& request, http::Responder responder) {
    answer_log(request, std::move(responder));
  });
}

void AgentApi::list_tasks(http::Responder responder) const {
  std::string list;
  for (const auto& [task, driver] : tasks_.all()) {
    if (!driver->record().is_over()) list += (list.empty() ? "" : ",") + confirmation(driver->record());
  }
  http::ServerResponse response;
  response.body = "{\"tasks\":[" + list + "]}\n";
  responder.respond(std::move(response));
}

// A proxy out of touch with the scheduler asks this before it opens new connections, so what is not certain is not
// said.
void AgentApi::confirm_task(const std::string& task, http::Responder responder) const {
  const TaskDriver* driver = tasks_.find(task);
  if (driver == nullptr || driver->record().is_over()) {
    return responder.respond(message(404, "Task '" + task + "' does not run on this agent"));
  }
  if (!driver->has_looked())
    return responder.respond(message(503, "this agent has just started and has not looked yet"));
  http::ServerResponse response;
  response.body = confirmation(driver->record()) + "\n";
  responder.respond(std::move(response));
}

void AgentApi::answer_log(const http::ServerRequest& request, http::Responder responder) {
  const TaskDriver* driver = tasks_.find(request.captures[0]);
  if (driver == nullptr) return responder.respond(message(404, "Task '" + request.captures[0] + "' is not known here"));
  if (driver->record().is_over()) return responder.respond(text(driver->record().log_tail));
  if (request.flag("follow", false)) return follow_log(*driver, std::move(responder));
  log_answers_.remove_if([](const Async<Unit>& answer) { return answer.done(); });
  if (log_answers_.size() >= kLogAnswersMax) return responder.respond(message(503, "too many logs are being read"));
  log_answers_.push_back(send_log(driver->record().id(), driver->record().runtime, std::move(responder)));
  log_answers_.back().start();
}

Async<Unit> AgentApi::send_log(model::TaskId task, RuntimeKind kind, http::Responder responder) {
  auto reading = runtime_of_(kind).log_tail(task, kLogBytesMax);
  std::string tail = co_await reading;
  http::ServerResponse response = text(std::move(tail));
  responder.respond(std::move(response));
  co_return Unit{};
}

void AgentApi::follow_log(const TaskDriver& driver, http::Responder responder) {
  if (follows_.size() >= kFollowersMax) return responder.respond(message(503, "too many logs are being followed"));
  std::uint64_t number = next_follow_++;
  Follow& follow = follows_[number];
  http::StreamOptions options;
  options.content_type = "text/plain; charset=utf-8";
  options.queue_bytes_max = kFollowQueueMax;
  follow.stream = responder.stream(std::move(options));
  follow.follower = runtime_of_(driver.record().runtime)
                        .follow_log(driver.record().id(), {.on_text =
                                                               [this, number](std::string_view bytes) {
                                                                 Follow& known = follows_[number];
                                                                 if (known.is_over) return;
                                                                 if (!known.stream->write(bytes))
                                                                   return end_follow(number);
                                                                 if (known.stream->queued_bytes() > kFollowQueueHigh)
                                                                   known.follower->pause();
                                                               },
                                                           .on_end = [this, number] { end_follow(number); }});
  follow.stream->set_callbacks([this, number] { follows_[number].follower->resume(); },
                               [this, number] { end_follow(number); });
}

// Later, from a timer: whoever calls is the stream or the follower that is to be destroyed.
void AgentApi::end_follow(std::uint64_t number) {
  if (auto found = follows_.find(number); found != follows_.end()) found->second.is_over = true;
  sweep_timer_.start(Duration::zero());
}

void AgentApi::sweep() {
  std::erase_if(follows_, [](const auto& entry) { return entry.second.is_over; });
}

}  // namespace lotse::agent
