#include "agent/outbox.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "agent/durable_file.h"
#include "agent/json_fields.h"

namespace lotse::agent {
namespace {

nlohmann::json to_json(const model::TaskStatus& status) {
  return {{"number", status.number},   {"task", status.task}, {"state", model::to_string(status.state)},
          {"message", status.message}, {"time", status.time}, {"ip", status.ip_address}};
}

std::optional<model::TaskStatus> status_from(const nlohmann::json& json) {
  model::TaskStatus status;
  status.number = unsigned_of(json, "number");
  status.task = text_of(json, "task");
  auto state = model::task_state_from(text_of(json, "state"));
  if (status.number == 0 || status.task.empty() || !state) return std::nullopt;
  status.state = *state;
  status.message = text_of(json, "message");
  status.time = text_of(json, "time");
  status.ip_address = text_of(json, "ip");
  return status;
}

}  // namespace

Done Outbox::load() {
  auto file = read_whole(path_);
  if (!file) return fail(file.error());
  if (!file->exists) return Unit{};
  nlohmann::json json = nlohmann::json::parse(file->content, nullptr, false);
  if (!json.is_object()) return fail(Problem{path_, "is damaged; remove it to go on without its statuses"});
  next_number_ = std::max<std::uint64_t>(1, unsigned_of(json, "next"));
  for (const nlohmann::json& entry : member_of(json, "statuses")) {
    auto status = status_from(entry);
    if (!status) return fail(Problem{path_, "holds a status that is damaged"});
    next_number_ = std::max(next_number_, status->number + 1);
    statuses_.push_back(std::move(*status));
  }
  return Unit{};
}

std::uint64_t Outbox::add(model::TaskStatus status) {
  if (statuses_.size() >= kStatusesMax) drop_overtaken();
  status.number = next_number_++;
  statuses_.push_back(std::move(status));
  is_dirty_ = true;
  return next_number_ - 1;
}

// Tasks are bounded, so one status for each is bounded too: what a later status overtook tells nobody anything.
void Outbox::drop_overtaken() {
  std::set<model::TaskId> seen;
  std::deque<model::TaskStatus> kept;
  for (auto status = statuses_.rbegin(); status != statuses_.rend(); ++status) {
    if (seen.insert(status->task).second) kept.push_front(std::move(*status));
  }
  statuses_ = std::move(kept);
}

Done Outbox::flush() {
  if (!is_dirty_) return Unit{};
  nlohmann::json json{{"next", next_number_}, {"statuses", nlohmann::json::array()}};
  for (const model::TaskStatus& status : statuses_) json["statuses"].push_back(to_json(status));
  Done done = write_durably(path_, dump(json) + "\n");
  if (done) is_dirty_ = false;
  return done;
}

void Outbox::acknowledge(std::uint64_t number) {
  while (!statuses_.empty() && statuses_.front().number <= number) {
    statuses_.pop_front();
  }
  if (number >= next_number_) {
    next_number_ = number + 1;
    is_dirty_ = true;
  }
}

std::vector<model::TaskStatus> Outbox::first(std::size_t count) const {
  auto end = statuses_.begin() + static_cast<std::ptrdiff_t>(std::min(count, statuses_.size()));
  return {statuses_.begin(), end};
}

bool Outbox::has_status_of(const model::TaskId& task) const {
  return std::any_of(statuses_.begin(), statuses_.end(), [&](const auto& status) { return status.task == task; });
}

}  // namespace lotse::agent
