#include "model/agent_protocol.h"

#include <gtest/gtest.h>

#include "model/app_json.h"
#include "tests/model/test_data.h"

namespace lotse::model {
namespace {

TEST(AgentProtocol, RegistrationComesBackTheSame) {
  AgentRegistration agent{.id = "a1",
                          .data_id = "d",
                          .incarnation = 3,
                          .host = "10.0.0.1",
                          .api = "10.0.0.1:5051",
                          .cpus = 3.5,
                          .mem_mib = 2048,
                          .disk_mib = 1e6,
                          .ports = {31000, 31999},
                          .attributes = {{"rack", "r1"}},
                          .runtime = "process",
                          .runtime_problem = "no \"Docker\"",
                          .term = 7,
                          .cluster = "c"};
  agent.has_tasks = true;
  agent.tasks = {{"t", TaskState::running}, {"u", TaskState::killing}};
  auto again = parse_agent_registration(serialize(agent));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(*again, agent);
  EXPECT_EQ(*parse_agent_registration(serialize(AgentRegistration{})), AgentRegistration{});
}

TEST(AgentProtocol, LaunchOfAnyRealDefinitionComesBackTheSame) {
  for (const auto& file : real_definitions()) {
    auto app = parse_app(definition_in(file));
    if (!app) continue;  // the one that is not valid
    AgentCommand command{.term = 7, .cluster = "c"};
    command.launch = LaunchTask{.task = "t", .app = *app, .host_ports = {31001, 0}, .env = {{"A", "b"}}};
    command.launch->app.version = "2015-08-26T20:23:39.463Z";
    auto again = parse_agent_command(serialize(command));
    ASSERT_TRUE(again) << file << ": " << again.error().text();
    EXPECT_EQ(*again, command) << file;
  }
}

TEST(AgentProtocol, KillComesBackTheSame) {
  AgentCommand command{.term = 7, .cluster = "c", .kill = KillTask{.task = "t", .grace_seconds = 0.25}};
  EXPECT_EQ(*parse_agent_command(serialize(command)), command);
}

TEST(AgentProtocol, ReportComesBackTheSame) {
  StatusReport report{.data_id = "d", .incarnation = 3};
  report.statuses = {{.number = 4, .task = "t", .state = TaskState::starting},
                     {.number = 9,
                      .task = "t",
                      .state = TaskState::failed,
                      .message = "no such image: \n x",
                      .time = "2015-08-26T20:23:39.463Z",
                      .ip_address = "172.17.0.2"}};
  TaskHealth health{.task = "t", .is_ready = true, .alive = false};
  health.results = {{.alive = false, .consecutive_failures = 3, .last_failure = "x", .last_failure_cause = "refused"}};
  health.readiness_passed = true;
  health.wants_kill = true;
  report.health = {health, TaskHealth{.task = "u"}};
  auto again = parse_status_report(serialize(report));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(*again, report);
}

TEST(AgentProtocol, AnswersComeBackTheSame) {
  auto answer = parse_agent_answer(serialize(AgentAnswer{.term = 7, .cluster = "c", .acknowledged = 9}));
  EXPECT_TRUE(answer->term == 7 && answer->cluster == "c" && answer->acknowledged == 9);
  auto status = parse_status_answer(serialize(StatusAnswer{.term = 7, .acknowledged = 9}));
  EXPECT_TRUE(status->term == 7 && status->acknowledged == 9);
  TaskConfirmation confirmation{.task = "t", .app = "/a", .state = TaskState::unreachable, .host_ports = {1, 2}};
  auto again = parse_task_confirmation(serialize(confirmation));
  EXPECT_TRUE(again->task == "t" && again->app == "/a" && again->state == TaskState::unreachable);
  EXPECT_EQ(again->host_ports, confirmation.host_ports);
}

TEST(AgentProtocol, NamesTheMemberThatIsWrong) {
  struct Case {
    const char *json, *problem;
  };
  for (const Case& each : {Case{R"({"term":1,"launch":{"task":"t","app":{"id":"/a","cpus":"x"}}})",
                                "launch.app: app/cpus: error.expected.jsnumber"},
                           {R"({"term":1,"launch":{"task":"t"}})", "launch.app: missing"},
                           {R"({"term":1,"launch":{"task":"t","app":{"id":"/a"},"hostPorts":[1,65536]}})",
                            "launch.hostPorts[1]: expected a number in 0..65535"},
                           {R"({"term":1,"kill":{"task":"t","graceSeconds":-1}})", "kill.graceSeconds: is negative"},
                           {R"({"kill":{"task":"t"}})", "term: missing"}}) {
    EXPECT_EQ(parse_agent_command(each.json).error().text(), each.problem);
  }
  for (const Case& each :
       {Case{R"({"dataId":"d","incarnation":1,"statuses":[{"number":1,"task":"t","state":"dead"}]})",
             "statuses[0].state: not a task state"},
        {R"({"dataId":"d","incarnation":1,"statuses":[{"number":2,"task":"t","state":"running"},
             {"number":2,"task":"t","state":"running"}]})",
         "statuses[1].number: numbers must ascend"},
        {R"({"dataId":"d","incarnation":1.5})", "incarnation: expected a whole number that is not negative"}}) {
    EXPECT_EQ(parse_status_report(each.json).error().text(), each.problem);
  }
  EXPECT_EQ(parse_agent_registration(
                R"({"id":"a","dataId":"d","incarnation":1,"host":"h","api":"a","ports":{"first":9,"last":8}})")
                .error()
                .text(),
            "ports: first is greater than last");
}

}  // namespace
}  // namespace lotse::model
