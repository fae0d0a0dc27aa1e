#include "scheduler/core/constraints.h"

#include <gtest/gtest.h>

namespace lotse::scheduler {
namespace {

using model::Constraint;
using Op = model::ConstraintOperator;

model::AgentRegistration agent(const std::string& id, std::map<std::string, std::string> attributes = {}) {
  model::AgentRegistration result;
  result.id = id;
  result.host = "host-" + id;
  result.attributes = std::move(attributes);
  return result;
}

struct Row {
  const char* what;
  Constraint constraint;
  std::vector<model::AgentRegistration> placed;
  model::AgentRegistration candidate;
  bool allowed;
};

TEST(Constraints, AllowAndRefuseByOperator) {
  const auto a = agent("a", {{"rack", "1"}, {"zone", "north"}}), b = agent("b", {{"rack", "2"}}), bare = agent("c");
  const Row rows[] = {
      {"UNIQUE: a free one", {"hostname", Op::unique, {}}, {a}, b, true},
      {"UNIQUE: taken", {"hostname", Op::unique, {}}, {a}, a, false},
      {"UNIQUE by attribute", {"rack", Op::unique, {}}, {agent("x", {{"rack", "1"}})}, a, false},
      {"UNIQUE: no such attribute", {"rack", Op::unique, {}}, {}, bare, false},
      {"CLUSTER: the value", {"rack", Op::cluster, "1"}, {}, a, true},
      {"CLUSTER: another", {"rack", Op::cluster, "1"}, {}, b, false},
      {"CLUSTER without value: the first chooses", {"rack", Op::cluster, {}}, {}, b, true},
      {"CLUSTER without value: the rest follows", {"rack", Op::cluster, {}}, {a}, b, false},
      {"CLUSTER without value: same", {"rack", Op::cluster, {}}, {a}, a, true},
      {"CLUSTER by host", {"hostname", Op::cluster, "host-a"}, {}, a, true},
      {"CLUSTER by the agent's id", {"hostname", Op::cluster, "a"}, {}, a, true},
      {"LIKE: whole match", {"hostname", Op::like, "host-[ab]"}, {}, a, true},
      {"LIKE: a part is not enough", {"hostname", Op::like, "host"}, {}, a, false},
      {"LIKE: no such attribute", {"rack", Op::like, ".*"}, {}, bare, false},
      {"LIKE: a broken pattern matches nothing", {"rack", Op::like, "("}, {}, a, false},
      {"UNLIKE", {"rack", Op::unlike, "1"}, {}, a, false},
      {"UNLIKE: another", {"rack", Op::unlike, "1"}, {}, b, true},
      {"UNLIKE: no such attribute", {"rack", Op::unlike, "1"}, {}, bare, true},
      {"MAX_PER: room", {"rack", Op::max_per, "2"}, {a}, a, true},
      {"MAX_PER: full", {"rack", Op::max_per, "2"}, {a, a}, a, false},
      {"MAX_PER: no such attribute", {"rack", Op::max_per, "2"}, {}, bare, false},
      {"IS: text", {"zone", Op::is, "north"}, {}, a, true},
      {"IS: @zone is the attribute zone", {"@zone", Op::is, "north"}, {}, a, true},
      {"IS: number", {"rack", Op::is, "1.0"}, {}, a, true},
      {"IS: not", {"rack", Op::is, "3"}, {}, a, false},
      {"GROUP_BY: the emptier group", {"rack", Op::group_by, "2"}, {a}, b, true},
      {"GROUP_BY: half is there already", {"rack", Op::group_by, "2"}, {a, a}, a, false},
      {"GROUP_BY: no such attribute", {"rack", Op::group_by, "2"}, {}, bare, false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    ConstraintCheck check({row.constraint}, 4);
    for (const auto& place : row.placed) check.placed(place);
    EXPECT_EQ(check.allows(row.candidate), row.allowed);
  }
}

TEST(Constraints, GroupByGivesTheRemainderOneEach) {
  const auto a = agent("a", {{"rack", "1"}}), b = agent("b", {{"rack", "2"}}), c = agent("c", {{"rack", "3"}});
  ConstraintCheck check({{"rack", Op::group_by, {}}}, 5);  // 2, 2, 1
  for (const auto& seen : {a, b, c}) check.saw(seen);
  for (const auto& place : {a, a, b}) check.placed(place);
  EXPECT_FALSE(check.allows(a));
  EXPECT_TRUE(check.allows(b));
  check.placed(b);
  EXPECT_FALSE(check.allows(b));
  EXPECT_TRUE(check.allows(c));
  check.placed(c);
  EXPECT_FALSE(check.allows(c));
}

TEST(Constraints, AllOfThemMustAllow) {
  const auto a = agent("a", {{"rack", "1"}});
  ConstraintCheck check({{"rack", Op::is, "1"}, {"hostname", Op::unique, {}}}, 2);
  EXPECT_TRUE(check.allows(a));
  check.placed(a);
  EXPECT_FALSE(check.allows(a));
}

TEST(Constraints, ShrinkingKeepsGroupsEven) {
  const auto a = agent("a", {{"rack", "1"}}), b = agent("b", {{"rack", "2"}});
  const std::vector<const model::AgentRegistration*> places{&a, &b, &b, &b, &a};
  const std::vector<std::size_t> preferred{0, 1, 2, 3, 4};
  EXPECT_EQ(evening_order({{"rack", Op::group_by, {}}}, places, preferred, 3), (std::vector<std::size_t>{1, 0, 2}));
  EXPECT_EQ(evening_order({}, places, preferred, 3), preferred);
}

}  // namespace
}  // namespace lotse::scheduler
