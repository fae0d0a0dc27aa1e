// Commands as the text that agents read. The definition makes nearly all of a launch, and tasks are launched app by
// app, so the last one is kept as text. Owned by whoever sends commands; loop thread.
#pragma once

#include <string>

#include "model/agent_protocol.h"

namespace lotse::scheduler {

class CommandWriter {
 public:
  std::string text_of(const model::AgentCommand& command);

 private:
  model::App app_;  // the last that was launched
  std::string app_text_;
};

}  // namespace lotse::scheduler
