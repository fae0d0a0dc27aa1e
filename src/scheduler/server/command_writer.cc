#include "scheduler/server/command_writer.h"

#include "model/app_json.h"

namespace lotse::scheduler {

std::string CommandWriter::text_of(const model::AgentCommand& command) {
  if (!command.launch) return model::serialize(command);
  if (app_text_.empty() || !(app_ == command.launch->app)) {
    app_ = command.launch->app;
    app_text_ = model::serialize_app(app_);
  }
  return model::serialize(command, app_text_);
}

}  // namespace lotse::scheduler
