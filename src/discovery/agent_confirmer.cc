#include "discovery/agent_confirmer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "net/loop.h"

namespace lotse::discovery {
namespace {

Confirmed judge(const model::Endpoint& endpoint, const model::TaskConfirmation& task) {
  bool is_same = task.task == endpoint.task && task.app == endpoint.app && !model::is_terminal(task.state);
  bool has_port =
      std::find(task.host_ports.begin(), task.host_ports.end(), endpoint.host_port) != task.host_ports.end();
  return is_same && has_port ? Confirmed::yes : Confirmed::no;
}

}  // namespace

AgentConfirmer::AgentConfirmer(http::Client& client, Options options) : client_(client), options_(options) {}
AgentConfirmer::~AgentConfirmer() = default;

void AgentConfirmer::confirm(const model::Endpoint& endpoint, std::function<void(Confirmed)> on_answer) {
  QuestionKey key{endpoint.agent, endpoint.task};
  auto found = questions_.find(key);
  bool is_known = found != questions_.end();
  bool has_agent = !endpoint.agent.empty() && http::parse_url("http://" + endpoint.agent).has_value();
  if (!has_agent || (!is_known && waiting_.size() >= options_.waiting_max) ||
      (is_known && found->second.askers.size() >= options_.waiting_max)) {
    return answer_later([on_answer = std::move(on_answer)] { on_answer(Confirmed::silent); });
  }
  questions_[key].askers.push_back({endpoint, std::move(on_answer)});
  if (is_known) return;
  waiting_.push_back(std::move(key));
  ask_next();
}

void AgentConfirmer::answer_later(std::function<void()> call) {
  client_.loop().post([call = std::move(call), alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) call();
  });
}

void AgentConfirmer::ask_next() {
  while (!waiting_.empty() && under_way_ < options_.concurrent_max) {
    QuestionKey key = std::move(waiting_.front());
    waiting_.pop_front();
    ask(key, questions_[key]);
  }
}

void AgentConfirmer::ask(const QuestionKey& key, Question& question) {
  ++under_way_;
  http::ClientRequest request;
  request.endpoint = http::parse_url("http://" + key.first)->endpoint;
  request.target = "/v1/tasks/" + http::percent_encode(key.second);
  request.timeout = options_.timeout;
  request.body_bytes_max = 64 * 1024;
  question.call =
      client_.send(std::move(request), [this, key](Result<http::ClientResponse> answer) { on_answer(key, answer); });
}

void AgentConfirmer::on_answer(const QuestionKey& key_of_call, const Result<http::ClientResponse>& answer) {
  QuestionKey key = key_of_call;  // the call that owns it goes now
  auto node = questions_.extract(key);
  --under_way_;
  std::optional<model::TaskConfirmation> task;
  if (answer && answer->status == 200) {
    if (auto parsed = model::parse_task_confirmation(answer->body)) task = std::move(*parsed);
  }
  bool is_unknown_there = answer && answer->status == 404;
  ask_next();
  std::weak_ptr alive = alive_;
  for (Asker& asker : node.mapped().askers) {
    if (alive.expired()) return;
    asker.on_answer(task ? judge(asker.endpoint, *task) : is_unknown_there ? Confirmed::no : Confirmed::silent);
  }
}

}  // namespace lotse::discovery
