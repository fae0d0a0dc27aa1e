#include "scheduler/server/command_writer.h"

#include <gtest/gtest.h>

namespace lotse::scheduler {
namespace {

model::AgentCommand launch_of(const std::string& app, const std::string& version, const std::string& task) {
  model::AgentCommand command{.term = 3, .cluster = "c"};
  command.launch = model::LaunchTask{.task = task, .host_ports = {31005}};
  command.launch->app.id = app;
  command.launch->app.version = version;
  command.launch->app.cmd = "run " + version;
  return command;
}

TEST(CommandWriter, SaysOfEachTaskTheDefinitionThatItIsLaunchedWith) {
  CommandWriter writer;
  model::AgentCommand kill{.term = 3, .cluster = "c"};
  kill.kill = model::KillTask{.task = "a.1"};
  for (const model::AgentCommand& command :
       {launch_of("/a", "1", "a.1"), launch_of("/a", "1", "a.2"), kill, launch_of("/a", "2", "a.3"),
        launch_of("/b", "2", "b.1"), launch_of("/a", "1", "a.4")}) {
    EXPECT_EQ(writer.text_of(command), model::serialize(command));
    auto read = model::parse_agent_command(writer.text_of(command));
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, command);
  }
}

}  // namespace
}  // namespace lotse::scheduler
