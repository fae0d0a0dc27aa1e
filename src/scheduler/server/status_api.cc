#include "scheduler/server/status_api.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "scheduler/server/app_view.h"
#include "scheduler/server/deployments_api.h"
#include "scheduler/server/info_api.h"
#include "scheduler/server/proxies_api.h"
#include "scheduler/server/responses.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
double count(std::uint64_t number) { return static_cast<double>(number); }

json app_line(const State& state, const App& app) {
  TaskCounts counts = counts_of(state, app);
  return {{"id", app.id},
          {"instances", app.current->instances},
          {"staged", counts.staged},
          {"running", counts.running},
          {"healthy", counts.healthy},
          {"unhealthy", counts.unhealthy},
          {"hasHealthChecks", !app.current->health_checks.empty()},
          {"version", app.current->version},
          {"deployment", app.deployment},
          {"waiting", app.queued ? app.queued->count : 0}};
}

void add_app_problems(json& problems, const State& state, Now now) {
  for (const auto& [id, app] : state.apps) {
    if (app.is_removed) continue;
    if (app.queued) {
      problems.push_back(
          {{"where", "app " + id},
           {"what", fmt::format("waits for {} instance{}: {}", app.queued->count, app.queued->count == 1 ? "" : "s",
                                reason_of_waiting(state, app, now))}});
    }
    if (int unhealthy = counts_of(state, app).unhealthy; unhealthy > 0) {
      problems.push_back({{"where", "app " + id}, {"what", fmt::format("{} unhealthy", unhealthy)}});
    }
  }
}

json problems_of(const State& state, const std::optional<std::string>& store_problem, Now now) {
  json problems = json::array();
  if (store_problem) problems.push_back({{"where", "store"}, {"what", "cannot write: " + *store_problem}});
  for (const auto& [id, agent] : state.agents) {
    std::string where = "node " + id;
    if (agent.health != AgentHealth::live) {
      std::string what = fmt::format("{}: not heard of for {:.0f} s", to_string(agent.health),
                                     seconds(now.instant - agent.last_heard));
      problems.push_back({{"where", where}, {"what", what}});
    }
    if (!agent.registration.runtime_problem.empty()) {
      problems.push_back({{"where", where}, {"what", agent.registration.runtime_problem}});
    }
  }
  if (state.agents.empty()) problems.push_back({{"where", "nodes"}, {"what", "no agent is registered"}});
  for (const auto& [key, proxy] : state.proxies) {
    if (!proxy.applied) {
      problems.push_back({{"where", "proxy " + proxy.id}, {"what", "holds a lease but has not applied a table yet"}});
    }
  }
  add_app_problems(problems, state, now);
  return problems;
}

std::map<std::string, std::size_t> tasks_by_state(const State& state) {
  std::map<std::string, std::size_t> counts;
  for (const char* name : {"staging", "starting", "running", "killing", "unreachable"}) counts[name] = 0;
  for (const auto& [id, task] : state.tasks) {
    if (!task.is_zombie) ++counts[std::string(model::to_string(shown_state(task)))];
  }
  return counts;
}

struct Sample {
  std::string name, labels;
  double value;
  const char* type;
  const char* help;
};

// The labels' values are ours: words without quotes.
void append(std::string& text, const Sample& sample, std::string& last_name) {
  if (sample.name != last_name) {
    text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", sample.name, sample.help, sample.name, sample.type);
    last_name = sample.name;
  }
  text += fmt::format("{}{} {}\n", sample.name, sample.labels, sample.value);
}

std::vector<Sample> store_samples(const Store& store, const Engine& engine) {
  const StoreStats& stats = store.stats();
  return {
      {"lotse_store_commits_total", "", count(stats.commits), "counter", "Synced commits of the store"},
      {"lotse_store_transactions_total", "", count(stats.transactions), "counter", "Steps committed, in groups"},
      {"lotse_store_group_size_max", "", count(stats.group_max), "gauge", "The largest group of one commit"},
      {"lotse_store_failures_total", "", count(stats.failures), "counter", "Commits that failed"},
      {"lotse_store_commit_seconds_total", "", seconds(stats.commit_total), "counter", "Time spent in commits"},
      {"lotse_store_commit_seconds_max", "", seconds(stats.commit_max), "gauge", "The longest commit"},
      {"lotse_store_revision", "", count(stats.revision), "gauge", "Revision of the store"},
      {"lotse_store_queued", "", count(store.queued()), "gauge", "Commits under way"},
      {"lotse_store_read_only", "", engine.store_problem() ? 1.0 : 0.0, "gauge", "1 while changes cannot be stored"},
  };
}

std::vector<Sample> dns_samples(const DnsService& dns) {
  const dns::ServerCounters& counters = dns.server().counters();
  return {
      {"lotse_dns_names", "", count(dns.names()), "gauge", "Names that DNS knows, with those between"},
      {"lotse_dns_queries_total", "{protocol=\"udp\"}", count(counters.udp_queries), "counter", "DNS queries"},
      {"lotse_dns_queries_total", "{protocol=\"tcp\"}", count(counters.tcp_queries), "counter", "DNS queries"},
      {"lotse_dns_malformed_total", "", count(counters.malformed), "counter", "DNS queries that could not be read"},
      {"lotse_dns_refused_total", "", count(counters.refused), "counter", "DNS queries for what is not ours"},
      {"lotse_dns_truncated_total", "", count(counters.truncated), "counter", "DNS answers that said: ask by TCP"},
      {"lotse_dns_limited_total", "", count(counters.limited), "counter", "Of them, those over the rate of a network"},
      {"lotse_dns_connections", "", count(dns.server().connections()), "gauge", "Open TCP connections for DNS"},
      {"lotse_dns_connections_closed_total", "", count(counters.connections_closed), "counter",
       "TCP connections for DNS closed at their bound for a new one"},
  };
}

}  // namespace

void StatusApi::add_to(http::Router& router) {
  using http::Responder;
  using http::ServerRequest;
  router.add("GET", "/v1/status", [this](ServerRequest&, Responder responder) { status(std::move(responder)); });
  router.add("GET", "/metrics",
             [this](ServerRequest& request, Responder responder) { metrics(request, std::move(responder)); });
  router.add("GET", "/metrics/prometheus", [this](ServerRequest&, Responder responder) {
    respond_text(responder, 200, prometheus_text(), "text/plain; version=0.0.4");
  });
}

void StatusApi::status(http::Responder responder) {
  const State& state = parts_.engine.state();
  Now now = parts_.engine.now();
  json nodes = json::array(), proxies = json::array(), apps = json::array(), deployments = json::array();
  for (const auto& [id, agent] : state.agents) nodes.push_back(agent_info(agent, now));
  for (const auto& [key, proxy] : state.proxies) proxies.push_back(proxy_info(state, proxy, now));
  for (const auto& [id, app] : state.apps) {
    if (!app.is_removed) apps.push_back(app_line(state, app));
  }
  for (const auto& [id, deployment] : state.deployments) deployments.push_back(deployment_info(state, deployment));
  respond_json(responder, 200,
               {{"version", parts_.version},
                {"cluster", state.cluster},
                {"leader", parts_.leader},
                {"term", state.term},
                {"revision", model::to_string(model::Revision{state.term, state.revision})},
                {"storeRevision", parts_.store.stats().revision},
                {"readOnly", parts_.engine.store_problem().has_value()},
                {"nodes", std::move(nodes)},
                {"proxies", std::move(proxies)},
                {"apps", std::move(apps)},
                {"deployments", std::move(deployments)},
                {"tasks", tasks_by_state(state)},
                {"problems", problems_of(state, parts_.engine.store_problem(), now)}});
}

// Marathon's /metrics is JSON; who asks for text is a scraper.
void StatusApi::metrics(const http::ServerRequest& request, http::Responder responder) {
  bool wants_text = accepts_explicitly(request, "text/plain") || accepts_explicitly(request, "openmetrics");
  if (!wants_text) return respond_json(responder, 200, metrics_json());
  respond_text(responder, 200, prometheus_text(), "text/plain; version=0.0.4");
}

std::string StatusApi::prometheus_text() {
  const State& state = parts_.engine.state();
  std::vector<Sample> samples = store_samples(parts_.store, parts_.engine);
  auto gauge = [&](std::string name, std::size_t value, const char* help, std::string labels = {}) {
    samples.push_back({std::move(name), std::move(labels), static_cast<double>(value), "gauge", help});
  };
  gauge("lotse_scheduler_term", state.term, "Starts of this scheduler's store, the epoch of routes");
  gauge("lotse_scheduler_steps_total", parts_.engine.steps(), "Events handled");
  samples.back().type = "counter";
  gauge("lotse_scheduler_steps_waiting", parts_.engine.waiting(), "Steps whose effects wait for the disk");
  gauge("lotse_routes_revision", parts_.routes.revision().number, "Revision of the route table in this epoch");
  gauge("lotse_routes_endpoints", parts_.routes.endpoints(), "Endpoints in the route table");
  gauge("lotse_routes_subscribers", parts_.routes.subscribers(), "Open route streams");
  gauge("lotse_routes_queued_bytes_peak", parts_.routes.queued_bytes_peak(), "Most bytes queued behind one follower");
  gauge("lotse_events_subscribers", parts_.events.subscribers(), "Open event streams");
  gauge("lotse_events_dropped_subscribers_total", parts_.events.dropped_subscribers(),
        "Event streams closed because they lagged");
  samples.back().type = "counter";
  gauge("lotse_agents_streams", parts_.agents.streams(), "Open command streams");
  gauge("lotse_proxies_live", state.proxies.size(), "Proxies that hold a lease");
  std::map<std::string, std::size_t> agents{{"live", 0}, {"suspect", 0}, {"lost", 0}};
  for (const auto& [id, agent] : state.agents) ++agents[std::string(to_string(agent.health))];
  for (const auto& [name, count] : agents) {
    gauge("lotse_agents", count, "Registered agents by state", "{state=\"" + name + "\"}");
  }
  gauge("lotse_apps", state.apps.size(), "Apps");
  gauge("lotse_deployments", state.deployments.size(), "Running deployments");
  gauge("lotse_queue", state.queue.size(), "Apps that wait for instances");
  for (const auto& [name, count] : tasks_by_state(state)) {
    gauge("lotse_tasks", count, "Tasks by state", "{state=\"" + name + "\"}");
  }
  samples.push_back({"lotse_loop_busy_seconds_max", "", seconds(parts_.loop.load().take_longest()), "gauge",
                     "The longest turn of the event loop since the last scrape"});
  if (dns_ != nullptr) {
    for (Sample& sample : dns_samples(*dns_)) samples.push_back(std::move(sample));
  }
  std::string text, last_name;
  for (const Sample& sample : samples) append(text, sample, last_name);
  return text;
}

json StatusApi::metrics_json() {
  const State& state = parts_.engine.state();
  auto gauge = [](auto value) { return json{{"value", value}}; };
  std::map<std::string, std::size_t> tasks = tasks_by_state(state);
  json gauges = {{"service.mesosphere.marathon.app.count", gauge(state.apps.size())},
                 {"service.mesosphere.marathon.deployment.count", gauge(state.deployments.size())},
                 {"service.mesosphere.marathon.task.running.count", gauge(tasks["running"])},
                 {"service.mesosphere.marathon.task.staged.count", gauge(tasks["staging"] + tasks["starting"])},
                 {"lotse.proxies.live", gauge(state.proxies.size())},
                 {"lotse.agents", gauge(state.agents.size())}};
  json counters = {{"lotse.store.commits", {{"count", parts_.store.stats().commits}}},
                   {"lotse.store.failures", {{"count", parts_.store.stats().failures}}}};
  return {{"version", kMarathonVersion},  {"counters", std::move(counters)}, {"gauges", std::move(gauges)},
          {"histograms", json::object()}, {"meters", json::object()},        {"timers", json::object()}};
}

}  // namespace lotse::scheduler
