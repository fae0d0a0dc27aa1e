#include "scheduler/core/deployment_plan.h"

#include <gtest/gtest.h>

namespace lotse::scheduler {
namespace {

Definition app(const std::string& id, int instances = 1, std::vector<std::string> dependencies = {}) {
  model::App result;
  result.id = id;
  result.instances = instances;
  result.dependencies = std::move(dependencies);
  return std::make_shared<const model::App>(std::move(result));
}
Definition changed(const std::string& id, int instances = 1) {
  model::App result = *app(id, instances);
  result.labels["changed"] = "yes";
  return std::make_shared<const model::App>(std::move(result));
}

std::string text(const std::vector<AppChange>& changes) {
  std::map<model::AppId, std::vector<model::AppId>> dependencies;
  for (const AppChange& change : changes) {
    if (change.after != nullptr) dependencies[change.id] = change.after->dependencies;
  }
  auto steps = plan_steps(changes, [&](const model::AppId& id) { return dependencies[id]; });
  if (!steps) return "error";
  std::string result;
  for (const DeploymentStep& step : *steps) {
    if (!result.empty()) result += "; ";
    for (std::size_t i = 0; i < step.actions.size(); ++i) {
      if (i > 0) result += ", ";
      result += std::string(to_marathon(step.actions[i].kind)) + " " + step.actions[i].app;
    }
  }
  return result;
}

TEST(DeploymentPlan, HasMarathonsSteps) {
  struct Row {
    const char* what;
    std::vector<AppChange> changes;
    const char* steps;
  };
  const Row rows[] = {
      {"nothing", {}, ""},
      {"unchanged", {{"/a", app("/a"), app("/a")}}, ""},
      {"new", {{"/a", nullptr, app("/a")}}, "StartApplication /a; ScaleApplication /a"},
      {"removed", {{"/a", app("/a"), nullptr}}, "StopApplication /a"},
      {"scaled", {{"/a", app("/a"), app("/a", 3)}}, "ScaleApplication /a"},
      {"changed", {{"/a", app("/a"), changed("/a")}}, "RestartApplication /a"},
      {"changed and scaled", {{"/a", app("/a"), changed("/a", 3)}}, "RestartApplication /a"},
      {"changed and scaled to nothing", {{"/a", app("/a"), changed("/a", 0)}}, "ScaleApplication /a"},
      {"restarted", {{"/a", app("/a"), app("/a"), true}}, "RestartApplication /a"},
      {"restarted without instances", {{"/a", app("/a", 0), app("/a", 0), true}}, ""},
      {"everything at once, dependencies first",
       {{"/db", nullptr, app("/db")},
        {"/old", app("/old"), nullptr},
        {"/web", app("/web"), app("/web", 2, {"/api"})},
        {"/api", nullptr, app("/api", 1, {"/db"})}},
       "StopApplication /old; StartApplication /db, StartApplication /api; ScaleApplication /db; ScaleApplication "
       "/api; "
       "RestartApplication /web"},
      {"a cycle", {{"/a", nullptr, app("/a", 1, {"/b"})}, {"/b", nullptr, app("/b", 1, {"/a"})}}, "error"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    EXPECT_EQ(text(row.changes), row.steps);
  }
}

TEST(DeploymentPlan, ShowsItselfAsMarathonDoes) {
  Deployment deployment{
      .id = "d", .version = "v", .steps = {{{{ActionKind::start, "/a"}}}, {{{ActionKind::scale, "/a"}}}}};
  EXPECT_EQ(plan_json(deployment), R"({"id":"d","steps":[{"actions":[{"action":"StartApplication","app":"/a"}]},)"
                                   R"({"actions":[{"action":"ScaleApplication","app":"/a"}]}],"version":"v"})");
  EXPECT_EQ(step_json(deployment.steps[1]), R"({"actions":[{"action":"ScaleApplication","app":"/a"}]})");
}

}  // namespace
}  // namespace lotse::scheduler
