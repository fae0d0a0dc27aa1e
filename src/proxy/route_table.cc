#include "proxy/route_table.h"

#include <algorithm>

namespace lotse::proxy {

namespace {

RetryRules compile(const RetryPolicy& policy) {
  RetryRules rules{.attempts = policy.attempts,
                   .when_connect = policy.when_connect,
                   .when_refused = policy.when_refused,
                   .budget_percent = policy.budget_percent,
                   .per_try = policy.per_try.value_or(Duration::zero())};
  for (const auto& range : policy.when_statuses) {
    for (int status = std::max(range.first, 500); status <= std::min(range.last, 599); ++status) {
      rules.when_statuses.set(static_cast<std::size_t>(status - 500));
    }
  }
  for (const int status : policy.when_grpc) rules.when_grpc.set(static_cast<std::size_t>(status));
  return rules;
}

}  // namespace

std::vector<Route::Target> compile_targets(const std::vector<WeightedTarget>& to, const SlotOf& slot_of) {
  std::vector<Route::Target> targets;
  for (const WeightedTarget& target : to) {
    targets.push_back({slot_of(target.app), static_cast<std::uint32_t>(std::max(target.weight, 0)), target.app});
  }
  return targets;
}

RouteTable::RouteTable(const Config& config, const SlotOf& slot_of) : tcp_(config, slot_of), expose_(config.expose) {
  routes_.reserve(config.routes.size());
  for (const RouteConfig& given : config.routes) {
    Route route;
    route.targets = compile_targets(given.to, slot_of);
    route.listeners = given.match.listeners;
    if (given.retry) route.retry = compile(*given.retry);
    route.host = given.match.host;
    route.path = given.match.path;
    route.where = given.where;
    routes_.push_back(std::move(route));
  }
  for (std::uint32_t i = 0; i < routes_.size(); ++i) {
    const HostPattern& host = routes_[i].host;
    Tree& tree = host.text.empty() ? any_host_ : (host.is_wildcard ? wildcard_ : exact_)[host.text];
    add(tree, i);
  }
}

void RouteTable::add(Tree& tree, std::uint32_t index) {
  std::uint32_t node = 0;
  for_each_segment(routes_[index].path, [&](std::string_view segment) {
    auto& children = tree.nodes[node].children;
    auto place = std::lower_bound(children.begin(), children.end(), segment,
                                  [](const auto& child, std::string_view wanted) { return child.first < wanted; });
    if (place != children.end() && place->first == segment) {
      node = place->second;
      return true;
    }
    auto added = static_cast<std::uint32_t>(tree.nodes.size());
    children.emplace(place, segment, added);
    tree.nodes.emplace_back();  // `children` is gone from here on
    node = added;
    return true;
  });
  auto& here = tree.nodes[node].routes;
  // A route bound to listeners is more specific than one for all of them.
  if (routes_[index].listeners.empty()) return here.push_back(index);
  here.insert(
      std::find_if(here.begin(), here.end(), [&](std::uint32_t other) { return routes_[other].listeners.empty(); }),
      index);
}

const Route* RouteTable::find(std::string_view host, std::string_view path, std::string_view listener) const {
  if (!exact_.empty()) {
    if (auto tree = exact_.find(host); tree != exact_.end()) {
      if (const Route* route = find_in(tree->second, path, listener)) return route;
    }
  }
  if (!wildcard_.empty()) {
    // The longest suffix first. A wildcard stands for one label or more, so the first dot may not be in front.
    for (std::size_t dot = host.find('.', 1); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
      auto tree = wildcard_.find(host.substr(dot));
      if (tree == wildcard_.end()) continue;
      if (const Route* route = find_in(tree->second, path, listener)) return route;
    }
  }
  return find_in(any_host_, path, listener);
}

bool RouteTable::knows_host(std::string_view host) const {
  if (exact_.find(host) != exact_.end()) return true;
  for (std::size_t dot = host.find('.', 1); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
    if (wildcard_.find(host.substr(dot)) != wildcard_.end()) return true;
  }
  return false;
}

const Route* RouteTable::find_in(const Tree& tree, std::string_view path, std::string_view listener) const {
  const Node* node = &tree.nodes[0];
  const Route* best = first_for(*node, listener);
  for_each_segment(path, [&](std::string_view segment) {
    auto place = std::lower_bound(node->children.begin(), node->children.end(), segment,
                                  [](const auto& child, std::string_view wanted) { return child.first < wanted; });
    if (place == node->children.end() || place->first != segment) return false;
    node = &tree.nodes[place->second];
    if (const Route* route = first_for(*node, listener)) best = route;
    return true;
  });
  return best;
}

const Route* RouteTable::first_for(const Node& node, std::string_view listener) const {
  for (std::uint32_t index : node.routes) {
    const Route& route = routes_[index];
    if (route.listeners.empty()) return &route;
    if (std::find(route.listeners.begin(), route.listeners.end(), listener) != route.listeners.end()) return &route;
  }
  return nullptr;
}

}  // namespace lotse::proxy
