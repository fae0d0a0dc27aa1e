// g++ 12 takes the variant within <regex> for uninitialised once sanitizers are on (gcc bug 105562).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include "scheduler/core/constraints.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <regex>
#include <set>

namespace lotse::scheduler {
namespace {

using model::AgentRegistration;
using model::Constraint;
using model::ConstraintOperator;

constexpr std::size_t kMatchedBytesMax = 512;  // std::regex recurses for every byte; no name or attribute needs more

bool is_hostname(std::string_view field) { return field == "hostname" || field == "@hostname"; }

std::optional<int> integer(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  int value = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size()) return std::nullopt;
  return value;
}

std::optional<double> number(const std::string& text) {
  if (text.empty()) return std::nullopt;
  char* end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  if (end != text.c_str() + text.size()) return std::nullopt;
  return value;
}

bool same_text_or_number(const std::string& a, const std::string& b) {
  if (a == b) return true;
  auto x = number(a), y = number(b);
  return x && y && *x == *y;
}

// An agent is known by its address and by its id, which is the machine's name by default: a constraint may name either.
std::vector<std::string> values_of(const AgentRegistration& agent, const std::string& field) {
  std::vector<std::string> values;
  if (auto value = field_value(agent, field)) values.push_back(*value);
  if (is_hostname(field) && !agent.attributes.contains(field) && agent.id != agent.host) values.push_back(agent.id);
  return values;
}

}  // namespace

std::optional<std::string> field_value(const AgentRegistration& agent, std::string_view field) {
  if (auto exact = agent.attributes.find(std::string(field)); exact != agent.attributes.end()) return exact->second;
  if (is_hostname(field)) return agent.host;
  if (field.starts_with('@')) {
    if (auto plain = agent.attributes.find(std::string(field.substr(1))); plain != agent.attributes.end()) {
      return plain->second;
    }
  }
  return std::nullopt;
}

struct ConstraintCheck::Rule {
  Constraint constraint;
  int instances = 0;
  std::optional<std::regex> pattern;      // LIKE, UNLIKE; absent there: the pattern is broken and matches nothing
  std::map<std::string, int> tasks_with;  // value -> tasks there
  std::set<std::string> seen;             // values of all agents

  bool matches(const AgentRegistration& agent) const {
    if (!pattern) return false;
    auto values = values_of(agent, constraint.field);
    return std::any_of(values.begin(), values.end(), [&](const std::string& v) {
      if (v.size() > kMatchedBytesMax) return false;
      try {
        return std::regex_match(v, *pattern);
      } catch (const std::regex_error&) {  // too complex for its implementation
        return false;
      }
    });
  }
  int tasks_at(const std::string& value) const {
    auto found = tasks_with.find(value);
    return found == tasks_with.end() ? 0 : found->second;
  }
  // Per group instances / groups, and the remainder one each.
  bool group_has_room(const std::string& value) const {
    int groups = integer(constraint.value).value_or(0);
    if (groups <= 0) groups = std::max<int>(1, static_cast<int>(seen.size()));
    const int target = instances / groups, remainder = instances % groups;
    const int here = tasks_at(value);
    if (here < target) return true;
    if (here > target) return false;
    auto larger = std::count_if(tasks_with.begin(), tasks_with.end(), [&](const auto& g) { return g.second > target; });
    return larger < remainder;
  }
  bool allows(const AgentRegistration& agent) const {
    if (constraint.op == ConstraintOperator::like) return matches(agent);
    if (constraint.op == ConstraintOperator::unlike) return pattern && !matches(agent);
    const auto value = field_value(agent, constraint.field);
    if (!value) return false;
    switch (constraint.op) {
      case ConstraintOperator::unique:
        return tasks_at(*value) == 0;
      case ConstraintOperator::max_per:
        return tasks_at(*value) < integer(constraint.value).value_or(0);
      case ConstraintOperator::group_by:
        return group_has_room(*value);
      case ConstraintOperator::cluster:
        if (constraint.value && !constraint.value->empty()) {
          auto values = values_of(agent, constraint.field);
          return std::find(values.begin(), values.end(), *constraint.value) != values.end();
        }
        return tasks_with.empty() || tasks_at(*value) > 0;
      case ConstraintOperator::is: {
        auto values = values_of(agent, constraint.field);
        const std::string wanted = constraint.value.value_or("");
        return std::any_of(values.begin(), values.end(),
                           [&](const std::string& v) { return same_text_or_number(v, wanted); });
      }
      case ConstraintOperator::like:
      case ConstraintOperator::unlike:
        break;
    }
    return false;
  }
};

ConstraintCheck::ConstraintCheck(const std::vector<Constraint>& constraints, int instances) {
  for (const Constraint& constraint : constraints) {
    Rule& rule = rules_.emplace_back();
    rule.constraint = constraint;
    rule.instances = instances;
    if (constraint.op != ConstraintOperator::like && constraint.op != ConstraintOperator::unlike) continue;
    try {
      rule.pattern.emplace(constraint.value.value_or(""));
    } catch (const std::regex_error&) {  // refused by the rules of definitions already; here it allows nothing
    }
  }
}

ConstraintCheck::~ConstraintCheck() = default;

void ConstraintCheck::saw(const AgentRegistration& agent) {
  for (Rule& rule : rules_) {
    if (rule.constraint.op != ConstraintOperator::group_by) continue;
    if (auto value = field_value(agent, rule.constraint.field)) rule.seen.insert(std::move(*value));
  }
}

void ConstraintCheck::placed(const AgentRegistration& agent) {
  for (Rule& rule : rules_) {
    if (auto value = field_value(agent, rule.constraint.field)) ++rule.tasks_with[*value];
  }
}

bool ConstraintCheck::allows(const AgentRegistration& agent) const {
  return std::all_of(rules_.begin(), rules_.end(), [&](const Rule& rule) { return rule.allows(agent); });
}

int ConstraintCheck::crowding(const AgentRegistration& agent) const {
  int tasks = 0;
  for (const Rule& rule : rules_) {
    if (rule.constraint.op != ConstraintOperator::group_by) continue;
    if (auto value = field_value(agent, rule.constraint.field)) tasks += rule.tasks_at(*value);
  }
  return tasks;
}

bool ConstraintCheck::empty() const { return rules_.empty(); }

bool ConstraintCheck::groups() const {
  return std::any_of(rules_.begin(), rules_.end(),
                     [](const Rule& rule) { return rule.constraint.op == ConstraintOperator::group_by; });
}

std::vector<std::size_t> evening_order(const std::vector<Constraint>& constraints,
                                       const std::vector<const AgentRegistration*>& places,
                                       const std::vector<std::size_t>& preferred, std::size_t wanted) {
  auto group_by = std::find_if(constraints.begin(), constraints.end(),
                               [](const Constraint& c) { return c.op == ConstraintOperator::group_by; });
  if (group_by == constraints.end()) return preferred;
  // The preferred order within each group, and the groups by what they still have.
  std::map<std::string, std::vector<std::size_t>> groups;
  for (std::size_t index : preferred) {
    std::string value;
    if (places[index] != nullptr) value = field_value(*places[index], group_by->field).value_or("");
    groups[value].push_back(index);
  }
  std::map<std::string, std::size_t> taken;
  std::map<std::size_t, std::size_t> rank;
  for (std::size_t i = 0; i < preferred.size(); ++i) rank[preferred[i]] = i;
  std::vector<std::size_t> order;
  while (order.size() < std::min(wanted, preferred.size())) {
    std::size_t most = 0;
    for (const auto& [value, members] : groups) most = std::max(most, members.size() - taken[value]);
    const std::string* chosen = nullptr;  // of the largest groups the one whose next comes first in `preferred`
    for (const auto& [value, members] : groups) {
      if (members.size() - taken[value] != most) continue;
      if (chosen == nullptr || rank[members[taken[value]]] < rank[groups[*chosen][taken[*chosen]]]) chosen = &value;
    }
    order.push_back(groups[*chosen][taken[*chosen]++]);
  }
  return order;
}

}  // namespace lotse::scheduler
