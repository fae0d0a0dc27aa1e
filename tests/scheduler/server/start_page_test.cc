#include "scheduler/server/start_page.h"

#include <gtest/gtest.h>

#include "tests/scheduler/core/harness.h"

namespace lotse::scheduler {
namespace {

TEST(StartPage, ShowsWhatRunsAndLeadsToTheRest) {
  Harness cluster;
  EXPECT_NE(start_page(cluster.state).find("No app is deployed"), std::string::npos);
  cluster.add_agents(2);
  cluster.deploy(make_app("/shop/api", 2));
  model::App large = make_app("/large");
  large.cpus = 100;
  cluster.put(large);
  const std::string page = start_page(cluster.state);
  EXPECT_NE(page.find(R"(<a href="/v2/apps/shop/api">/shop/api</a></td><td>2 of 2</td>)"), std::string::npos) << page;
  EXPECT_NE(page.find("<td>0 of 1</td><td>being deployed, waits for 1</td>"), std::string::npos) << page;
  EXPECT_NE(page.find("<td>a1</td><td>1</td><td>live</td>"), std::string::npos) << page;
  EXPECT_NE(page.find("1 deployment running, 0 proxies."), std::string::npos) << page;
  EXPECT_NE(page.find(R"(<a href="/v1/status">)"), std::string::npos);
}

TEST(StartPage, ANodesNameCannotCarryMarkup) {
  Harness cluster;
  cluster.heartbeat("<script>");
  EXPECT_EQ(start_page(cluster.state).find("<script>"), std::string::npos);
}

}  // namespace
}  // namespace lotse::scheduler
