// Asks an endpoint's agent whether the task is still where the table says (P2): GET http://<agent>/v1/tasks/{id}. A
// question that is already under way is not asked twice. Keeps no answers: that is its user's policy. Main thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "http/client.h"
#include "model/agent_protocol.h"
#include "model/routes.h"

namespace lotse::discovery {

enum class Confirmed : std::uint8_t {
  yes,
  no,      // the agent says that the task is not there, not running, or has another port
  silent,  // no agent, no answer in time, or one that makes no sense
};

class AgentConfirmer {
 public:
  struct Options {
    Duration timeout = std::chrono::seconds(1);
    std::size_t concurrent_max = 64;  // more wait
    std::size_t waiting_max = 4096;   // more are answered `silent` at once
  };
  explicit AgentConfirmer(http::Client& client) : AgentConfirmer(client, Options{}) {}
  AgentConfirmer(http::Client& client, Options options);
  ~AgentConfirmer();  // unanswered questions stay so

  // The answer comes from the loop, never from inside this call.
  void confirm(const model::Endpoint& endpoint, std::function<void(Confirmed)> on_answer);

 private:
  struct Asker {
    model::Endpoint endpoint;
    std::function<void(Confirmed)> on_answer;
  };
  struct Question {  // by agent and task; a task with several ports is asked for once
    std::vector<Asker> askers;
    std::unique_ptr<http::Call> call;  // null: waits
  };
  using QuestionKey = std::pair<std::string, model::TaskId>;

  void ask_next();
  void ask(const QuestionKey& key, Question& question);
  void on_answer(const QuestionKey& key, const Result<http::ClientResponse>& answer);
  void answer_later(std::function<void()> call);

  http::Client& client_;
  Options options_;
  std::map<QuestionKey, Question> questions_;
  std::deque<QuestionKey> waiting_;
  std::size_t under_way_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace lotse::discovery
