#include "discovery/agent_confirmer.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/discovery/fake_scheduler.h"
#include "tests/discovery/fakes.h"

namespace lotse::discovery {
namespace {

using namespace std::chrono_literals;

class AgentConfirmerTest : public testing::Test {
 protected:
  AgentConfirmerTest() : client_(loop_), server_(loop_, router_, {}) {
    router_.add("GET", "/v1/tasks/{id}", [this](http::ServerRequest& request, http::Responder responder) {
      ++asked_;
      if (is_silent_) return held_.push_back(std::move(responder));
      auto found = tasks_.find(request.captures.at(0));
      http::ServerResponse response;
      if (found == tasks_.end())
        response.status = 404;
      else
        response.body = model::serialize(found->second);
      responder.respond(std::move(response));
    });
    address_ = *server_.listen(*net::Address::parse("127.0.0.1:0"));
    tasks_["t 1"] = {"t 1", "/a", model::TaskState::running, {31000, 31001}};
  }

  model::Endpoint at_agent(const std::string& task, int port) {
    model::Endpoint value = endpoint(task, port);
    value.agent = address_.to_string();
    return value;
  }

  Confirmed ask(const model::Endpoint& what, AgentConfirmer::Options options = {}) {
    AgentConfirmer confirmer(client_, options);
    std::optional<Confirmed> answer;
    confirmer.confirm(what, [&](Confirmed confirmed) { answer = confirmed; });
    EXPECT_FALSE(answer);  // never from inside of the call
    run_until(loop_, [&] { return answer.has_value(); });
    return answer.value_or(Confirmed::silent);
  }

  net::Loop loop_;
  http::Client client_;
  http::Router router_;
  http::Server server_;
  net::Address address_;
  std::map<std::string, model::TaskConfirmation> tasks_;
  std::vector<http::Responder> held_;
  int asked_ = 0;
  bool is_silent_ = false;
};

TEST_F(AgentConfirmerTest, ConfirmsATaskThatIsWhereTheTableSays) {
  EXPECT_EQ(ask(at_agent("t 1", 31000)), Confirmed::yes);
  EXPECT_EQ(ask(at_agent("t 1", 31001)), Confirmed::yes);
}

TEST_F(AgentConfirmerTest, DeniesWhatTheAgentDoesNotHave) {
  EXPECT_EQ(ask(at_agent("t2", 31000)), Confirmed::no);
  EXPECT_EQ(ask(at_agent("t 1", 31002)), Confirmed::no);
  tasks_["t 1"].app = "/other";
  EXPECT_EQ(ask(at_agent("t 1", 31000)), Confirmed::no);
  tasks_["t 1"].app = "/a";
  tasks_["t 1"].state = model::TaskState::failed;
  EXPECT_EQ(ask(at_agent("t 1", 31000)), Confirmed::no);
}

TEST_F(AgentConfirmerTest, NoAnswerIsSilence) {
  EXPECT_EQ(ask(endpoint("t 1")), Confirmed::silent);  // no agent
  model::Endpoint odd = endpoint("t 1");
  odd.agent = "not an address";
  EXPECT_EQ(ask(odd), Confirmed::silent);
  is_silent_ = true;
  EXPECT_EQ(ask(at_agent("t 1", 31000), {.timeout = 20ms}), Confirmed::silent);
}

TEST_F(AgentConfirmerTest, AsksOncePerTaskAndSoManyAtATime) {
  is_silent_ = true;
  AgentConfirmer confirmer(client_, {.timeout = 10s, .concurrent_max = 2, .waiting_max = 3});
  std::map<std::string, int> answers;
  auto count = [&](const std::string& what) { return [&, what](Confirmed) { ++answers[what]; }; };
  confirmer.confirm(at_agent("t 1", 31000), count("first"));
  confirmer.confirm(at_agent("t 1", 31001), count("second"));
  for (int i = 0; i < 5; ++i) confirmer.confirm(at_agent("x" + std::to_string(i), 1), count("other"));
  run_until(loop_, [&] { return asked_ == 2 && answers["other"] == 1; });  // 1 + 1 under way, 3 wait, 1 is too many
  is_silent_ = false;
  for (auto& responder : held_) responder.respond({});
  run_until(loop_, [&] { return answers["first"] == 1 && answers["second"] == 1 && answers["other"] == 5; });
  EXPECT_EQ(asked_, 5);
}

}  // namespace
}  // namespace lotse::discovery
