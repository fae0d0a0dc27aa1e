#include "scheduler/server/label_selector.h"

#include <gtest/gtest.h>

namespace lotse::scheduler {
namespace {

const model::Labels kLabels{{"env", "prod"}, {"tier", "front end"}, {"in", "x"}, {"a,b", "c=d"}};

TEST(LabelSelector, MatchesAsMarathonDoes) {
  const std::pair<const char*, bool> cases[] = {
      {"env", true},
      {"!env", false},
      {"missing", false},
      {"!missing", true},
      {"env==prod", true},
      {"env == prod", true},
      {"env==dev", false},
      {"env!=dev", true},
      {"env!=prod", false},
      {"missing!=x", false},
      {"env in (dev,prod)", true},
      {"env in ( dev , prod )", true},
      {"env in (dev)", false},
      {"env notin (dev)", true},
      {"env notin (prod, dev)", false},
      {"missing notin (x)", false},
      {"env==prod,tier==front\\ end", true},
      {"env==prod, tier==back", false},
      {"in", true},
      {"in==x", true},
      {"a\\,b==c\\=d", true},
  };
  for (const auto& [text, expected] : cases) {
    auto selector = LabelSelector::parse(text);
    ASSERT_TRUE(selector) << text << ": " << selector.error().what;
    EXPECT_EQ(selector->matches(kLabels), expected) << text;
  }
}

TEST(LabelSelector, SaysWhereItDoesNotUnderstand) {
  for (const char* text : {"", ",", "a,", "==x", "a in x", "a in (x", "!a==b", "a b", "a==x y", "!a in (x)"}) {
    auto selector = LabelSelector::parse(text);
    ASSERT_FALSE(selector) << text;
    EXPECT_NE(selector.error().what.find("character"), std::string::npos);
  }
}

TEST(LabelSelector, SurvivesEveryPrefixOfItsInputs) {
  for (std::string_view text : {"env in (dev,prod),!x, tier==front\\ end", "a notin (b\\", "!!!", "((((", "a==,b!="}) {
    for (std::size_t length = 0; length <= text.size(); ++length) {
      if (auto selector = LabelSelector::parse(text.substr(0, length))) (void)selector->matches(kLabels);
    }
  }
}

}  // namespace
}  // namespace lotse::scheduler
