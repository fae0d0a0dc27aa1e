// URLs that want every event by HTTP POST. Only the set is kept here, so that it outlives a restart; calling them is
// the shell's.
#include "scheduler/core/handlers.h"
#include "scheduler/core/records.h"

namespace lotse::scheduler {
namespace {

constexpr std::size_t kCallbacksMax = 100;  // each costs a request an event

}  // namespace

void handle(Turn& turn, const SetCallback& event) {
  std::set<std::string>& callbacks = turn.state.callbacks;
  if (event.is_wanted && callbacks.size() >= kCallbacksMax && !callbacks.contains(event.url)) {
    turn.refuse(event.token, 503, "There are " + std::to_string(kCallbacksMax) + " event subscriptions already");
    return;
  }
  const bool has_changed = event.is_wanted ? callbacks.insert(event.url).second : callbacks.erase(event.url) > 0;
  if (has_changed) {
    turn.records[callback_key(event.url)] = event.is_wanted ? std::optional(encode_callback(event.url)) : std::nullopt;
  }
  turn.reply(event.token, Done{});
}

}  // namespace lotse::scheduler
