#include "tests/agent/fake_scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lotse::agent {
namespace {

http::ServerResponse answer(int status, std::string body) {
  http::ServerResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

}  // namespace

FakeScheduler::FakeScheduler(net::Loop& loop, std::string listen) {
  router_.add("PUT", "/v1/agents/{id}", [this](http::ServerRequest& request, http::Responder responder) {
    on_register(request, std::move(responder));
  });
  router_.add("GET", "/v1/agents/{id}/commands", [this](http::ServerRequest&, http::Responder responder) {
    streams.push_back(responder.stream({}));
    streams.back()->write(": hello\n\n");
  });
  router_.add("POST", "/v1/agents/{id}/status", [this](http::ServerRequest& request, http::Responder responder) {
    on_status(request, std::move(responder));
  });
  server_ = std::make_unique<http::Server>(loop, router_, http::Server::Options{});
  auto bound = server_->listen(net::Address::parse(listen).value());
  EXPECT_TRUE(bound.has_value());
  address = bound->to_string();
}

void FakeScheduler::on_register(http::ServerRequest& request, http::Responder responder) {
  auto registration = model::parse_agent_registration(request.body);
  ASSERT_TRUE(registration.has_value()) << registration.error().text();
  registrations.push_back(std::move(*registration));
  if (registration_status != 200) {
    return responder.respond(answer(registration_status, R"({"message":"another data directory holds this id"})"));
  }
  responder.respond(answer(
      200, model::serialize(model::AgentAnswer{.term = term, .cluster = cluster, .acknowledged = acknowledged})));
}

void FakeScheduler::on_status(http::ServerRequest& request, http::Responder responder) {
  auto report = model::parse_status_report(request.body);
  ASSERT_TRUE(report.has_value()) << report.error().text();
  if (status_status != 200) return responder.respond(answer(status_status, "{}"));
  for (model::TaskStatus& status : report->statuses) {
    if (status.number <= acknowledged) {
      ++doubled;
      continue;
    }
    acknowledged = status.number;
    statuses.push_back(std::move(status));
  }
  for (model::TaskHealth& entry : report->health) health[entry.task] = std::move(entry);
  responder.respond(answer(200, model::serialize(model::StatusAnswer{.term = term, .acknowledged = acknowledged})));
}

void FakeScheduler::send(const model::AgentCommand& command) {
  ASSERT_TRUE(is_connected());
  std::string frame;
  http::append_sse_event(frame, "command", model::serialize(command),
                         std::to_string(command.term) + "-" + std::to_string(++sequence));
  streams.back()->write(frame);
}

void FakeScheduler::launch(const model::LaunchTask& launch) {
  model::AgentCommand command;
  command.term = term;
  command.cluster = cluster;
  command.launch = launch;
  send(command);
}

void FakeScheduler::kill(const model::TaskId& task, double grace_seconds) {
  model::AgentCommand command;
  command.term = term;
  command.cluster = cluster;
  command.kill = model::KillTask{.task = task, .grace_seconds = grace_seconds};
  send(command);
}

const model::TaskStatus* FakeScheduler::last(const model::TaskId& task) const {
  auto found =
      std::find_if(statuses.rbegin(), statuses.rend(), [&](const auto& status) { return status.task == task; });
  return found == statuses.rend() ? nullptr : &*found;
}

bool FakeScheduler::has(const model::TaskId& task, model::TaskState state) const {
  const model::TaskStatus* status = last(task);
  return status != nullptr && status->state == state;
}

std::vector<model::TaskState> FakeScheduler::states(const model::TaskId& task) const {
  std::vector<model::TaskState> list;
  for (const auto& status : statuses) {
    if (status.task == task) list.push_back(status.state);
  }
  return list;
}

const model::TaskHealth* FakeScheduler::health_of(const model::TaskId& task) const {
  auto found = health.find(task);
  return found == health.end() ? nullptr : &found->second;
}

}  // namespace lotse::agent
