#include "scheduler/server/start_page.h"

#include <fmt/format.h>

#include <string_view>

#include "scheduler/server/agents_api.h"
#include "scheduler/server/app_view.h"

namespace lotse::scheduler {
namespace {

constexpr std::size_t kAppsMax = 1000;  // a browser's patience, and ours

constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Lotse</title>
<style>body{font:16px/1.5 sans-serif;margin:3em auto;max-width:50em}code{background:#eee;padding:0 .3em}
td,th{text-align:left;padding:0 1.5em .2em 0}</style></head>
<body><h1>Lotse</h1>
)";

constexpr std::string_view kLinks = R"(<h2>More</h2>
<p>Marathon's API is under <code>/v2</code>, our own under <code>/v1</code>.</p>
<ul>
<li><a href="/v1/status">/v1/status</a>: nodes, proxies, apps, deployments, and what is wrong</li>
<li><a href="/v2/apps?embed=apps.tasks">/v2/apps</a>, <a href="/v2/tasks">/v2/tasks</a>,
<a href="/v2/deployments">/v2/deployments</a>, <a href="/v2/queue">/v2/queue</a>, <a href="/v2/info">/v2/info</a></li>
<li><a href="/v1/agents">/v1/agents</a>, <a href="/v1/proxies">/v1/proxies</a>, <a href="/v1/offers">/v1/offers</a>,
<a href="/v1/routes">/v1/routes</a></li>
<li><a href="/metrics/prometheus">/metrics/prometheus</a></li>
</ul></body></html>
)";

// Ids of agents come from their command lines, and may hold anything.
std::string escaped(std::string_view text) {
  std::string out;
  for (char byte : text) {
    if (byte == '<') {
      out += "&lt;";
    } else if (byte == '&') {
      out += "&amp;";
    } else if (byte == '"') {
      out += "&quot;";
    } else {
      out += byte;
    }
  }
  return out;
}

std::string app_row(const State& state, const App& app) {
  const TaskCounts counts = counts_of(state, app);
  std::string remark = app.deployment.empty() ? "" : "being deployed";
  if (app.queued) remark += fmt::format("{}waits for {}", remark.empty() ? "" : ", ", app.queued->count);
  if (counts.unhealthy > 0) remark += fmt::format("{}{} unhealthy", remark.empty() ? "" : ", ", counts.unhealthy);
  const std::string id = escaped(app.id);
  return fmt::format("<tr><td><a href=\"/v2/apps{}\">{}</a></td><td>{} of {}</td><td>{}</td></tr>\n", id, id,
                     counts.running, app.current->instances, remark);
}

std::string apps_table(const State& state) {
  std::string rows;
  std::size_t shown = 0, left_out = 0;
  for (const auto& [id, app] : state.apps) {
    if (app.is_removed) continue;
    if (shown == kAppsMax) {
      ++left_out;
      continue;
    }
    ++shown;
    rows += app_row(state, app);
  }
  if (shown == 0) return "<p>No app is deployed.</p>\n";
  std::string text = "<table><tr><th>app</th><th>running</th><th></th></tr>\n" + rows + "</table>\n";
  if (left_out > 0) text += fmt::format("<p>and {} more</p>\n", left_out);
  return text;
}

std::string nodes_table(const State& state) {
  if (state.agents.empty()) return "<p>No node is registered.</p>\n";
  std::string text = "<table><tr><th>node</th><th>tasks</th><th></th></tr>\n";
  for (const auto& [id, agent] : state.agents) {
    text += fmt::format("<tr><td>{}</td><td>{}</td><td>{}{}</td></tr>\n", escaped(id), agent.tasks.size(),
                        to_string(agent.health), agent.is_draining ? ", draining" : "");
  }
  return text + "</table>\n";
}

}  // namespace

std::string start_page(const State& state) {
  std::string page(kHead);
  page += "<h2>Apps</h2>\n" + apps_table(state);
  page += "<h2>Nodes</h2>\n" + nodes_table(state);
  page += fmt::format("<p>{} deployment{} running, {} prox{}.</p>\n", state.deployments.size(),
                      state.deployments.size() == 1 ? "" : "s", state.proxies.size(),
                      state.proxies.size() == 1 ? "y" : "ies");
  page += kLinks;
  return page;
}

}  // namespace lotse::scheduler
