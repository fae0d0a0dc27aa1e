#include "scheduler/server/info_api.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/log.h"
#include "model/app_json.h"
#include "scheduler/server/responses.h"
#include "scheduler/server/start_page.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

constexpr double kLogLevelSecondsMax = 7 * 24 * 3600;

std::string level_name(log::Level level) {
  switch (level) {
    case log::Level::debug:
      return "DEBUG";
    case log::Level::info:
      return "INFO";
    case log::Level::warn:
      return "WARN";
    case log::Level::error:
      return "ERROR";
  }
  return "INFO";
}

std::optional<log::Level> level_named(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (text == "trace" || text == "debug" || text == "all") return log::Level::debug;
  if (text == "info") return log::Level::info;
  if (text == "warn" || text == "warning") return log::Level::warn;
  if (text == "error" || text == "fatal" || text == "off") return log::Level::error;
  return std::nullopt;
}

// The path in a parameter that holds a file:// URL; "" when there is none.
Result<std::string, model::ApiError> file_in(const http::ServerRequest& request, std::string_view name) {
  const std::string url(request.parameter(name).value_or(""));
  constexpr std::string_view kScheme = "file://";
  if (url.empty()) return std::string();
  if (!url.starts_with(std::string(kScheme) + "/")) {
    return fail(model::ApiError{400, "The parameter " + std::string(name) + " must be a file:/// URL", {}, "", {}});
  }
  return url.substr(kScheme.size());
}

}  // namespace

InfoApi::InfoApi(net::Loop& loop, Engine& engine, Store& store, EventStreams& events, Options options)
    : engine_(engine), store_(store), events_(events), options_(std::move(options)), log_level_over_(loop.timers(), [] {
        log::set_level(log::Level::info);
      }) {}

InfoApi::~InfoApi() {
  if (log_level_over_.is_armed()) log::set_level(log::Level::info);
}

void InfoApi::add_to(http::Router& router) {
  using http::Responder;
  using http::ServerRequest;
  router.add("GET", "/v2/info", [this](ServerRequest&, Responder responder) { info(std::move(responder)); });
  router.add("GET", "/v2/leader", [this](ServerRequest&, Responder responder) {
    respond_json(responder, 200, {{"leader", options_.leader}});
  });
  router.add("DELETE", "/v2/leader",
             [this](ServerRequest& request, Responder responder) { abdicate(request, std::move(responder)); });
  router.add("POST", "/v1/backup",
             [this](ServerRequest& request, Responder responder) { back_up(request, std::move(responder)); });
  router.add("GET", "/config", [this](ServerRequest&, Responder responder) { config(std::move(responder)); });
  router.add("GET", "/logging", [this](ServerRequest&, Responder responder) { show_logging(std::move(responder)); });
  router.add("POST", "/logging",
             [this](ServerRequest& request, Responder responder) { change_logging(request, std::move(responder)); });
  router.add("GET", "/v2/plugins", [](ServerRequest&, Responder responder) {
    respond_json(responder, 200, {{"plugins", json::array()}});
  });
  router.add("GET", "/ping",
             [this](ServerRequest& request, Responder responder) { ping(request, std::move(responder)); });
  router.add("GET", "/v2/events",
             [this](ServerRequest& request, Responder responder) { follow_events(request, std::move(responder)); });
  router.add("GET", "/ui", [this](ServerRequest&, Responder responder) { page(std::move(responder)); });
  router.add("GET", "/", [](ServerRequest&, Responder responder) {
    http::ServerResponse response;
    response.status = 302;
    response.fields.emplace_back("Location", "/ui/");
    responder.respond(std::move(response));
  });
}

void InfoApi::info(http::Responder responder) {
  const Settings& settings = engine_.state().settings;
  // Nothing that Marathon's does not have: marathon-python makes an object of it, and knows its fields by name.
  json marathon_config = {{"master", "lotse"},
                          {"ha", false},
                          {"checkpoint", true},
                          {"framework_name", "marathon"},
                          {"hostname", options_.leader.substr(0, options_.leader.rfind(':'))},
                          {"leader_proxy_connection_timeout_ms", 5000},
                          {"leader_proxy_read_timeout_ms", 10000},
                          {"local_port_min", settings.service_port_first},
                          {"local_port_max", settings.service_port_last},
                          {"mesos_role", "*"},
                          {"features", json::array()},
                          {"webui_url", nullptr}};
  respond_json(responder, 200,
               {{"name", "marathon"},
                {"version", kMarathonVersion},
                {"buildref", "lotse-" + options_.lotse_version},
                {"elected", true},
                {"leader", options_.leader},
                {"frameworkId", engine_.state().cluster},
                {"marathon_config", std::move(marathon_config)},
                {"zookeeper_config", json::object()},
                {"event_subscriber", nullptr},
                {"http_config", {{"http_port", options_.port}, {"https_port", nullptr}}}});
}

void InfoApi::ping(const http::ServerRequest& request, http::Responder responder) {
  if (accepts(request, "text/plain")) return respond_text(responder, 200, "pong", "text/plain");
  if (accepts(request, "application/json")) return respond_text(responder, 200, "\"pong\"", "application/json");
  respond_text(responder, 204, "", "text/plain");
}

void InfoApi::follow_events(const http::ServerRequest& request, http::Responder responder) {
  // Marathon refuses curl's */* as well; nobody depends on that, and `curl -N` is how people look.
  if (!accepts(request, "text/event-stream")) {
    return respond_text(responder, 405,
                        "<html><head><title>Error 405</title></head><body><h2>HTTP ERROR 405</h2>"
                        "<p>This is a stream of server-sent events: ask with Accept: text/event-stream.</p>"
                        "</body></html>\n",
                        "text/html");
  }
  std::set<std::string> types;
  for (const auto& [name, value] : request.parameters) {
    if (name == "event_type" && !value.empty()) types.insert(value);
  }
  const bool is_light = request.parameter("plan-format") == "light";
  events_.follow(std::move(responder), std::move(types), request.peer.ip(), is_light);
}

// ?backup=file:///path and ?restore=file:///path, as in Marathon: a copy before, and what to lead again from.
void InfoApi::abdicate(const http::ServerRequest& request, http::Responder responder) {
  auto backup = file_in(request, "backup"), restore = file_in(request, "restore");
  if (!backup) return respond_error(responder, backup.error());
  if (!restore) return respond_error(responder, restore.error());
  if (!restore->empty() && ::access(restore->c_str(), R_OK) != 0) {
    return respond_error(responder, {400, "The backup " + *restore + " cannot be read", {}, "", {}});
  }
  // The answer is on its way first: Marathon waits half a second, too.
  auto waiting = std::make_shared<http::Responder>(std::move(responder));
  auto step_down = [this, waiting, from = *restore](const Result<Unit, Problem>& copied) {
    if (!copied) return respond_error(*waiting, {500, "No backup: " + copied.error().text(), {}, "", {}});
    respond_json(*waiting, 200, {{"message", "Leadership abdicated"}});
    if (options_.on_abdicate) options_.on_abdicate(from);
  };
  if (backup->empty()) return step_down(Unit{});
  store_.back_up(*backup, step_down);
}

// POST /v1/backup?file=/absolute/path, on the scheduler's machine.
void InfoApi::back_up(const http::ServerRequest& request, http::Responder responder) {
  const std::string file(request.parameter("file").value_or(""));
  if (!file.starts_with('/')) {
    return respond_error(responder, {400, "The parameter file must be an absolute path", {}, "", {}});
  }
  auto waiting = std::make_shared<http::Responder>(std::move(responder));
  store_.back_up(file, [waiting, file](const Result<Unit, Problem>& copied) {
    if (!copied) return respond_error(*waiting, {409, copied.error().text(), {}, "", {}});
    respond_json(*waiting, 200, {{"file", file}});
  });
}

void InfoApi::config(http::Responder responder) {
  const Settings& settings = engine_.state().settings;
  auto seconds = [](Duration duration) { return std::chrono::duration<double>(duration).count(); };
  respond_json(responder, 200,
               {{"listen_port", options_.port},
                {"leader", options_.leader},
                {"proxy_lease_seconds", seconds(settings.proxy_lease)},
                {"agent_suspect_seconds", seconds(settings.agent_suspect_after)},
                {"agent_lost_seconds", seconds(settings.agent_lost_after)},
                {"agent_forget_seconds", seconds(settings.agent_forget_after)},
                {"drain_deadline_seconds", seconds(settings.drain_deadline)},
                {"port_quarantine_seconds", seconds(settings.port_quarantine)},
                {"local_port_min", settings.service_port_first},
                {"local_port_max", settings.service_port_last},
                {"versions_max", settings.versions_max},
                {"max_running_deployments", settings.deployments_max}});
}

void InfoApi::show_logging(http::Responder responder) {
  respond_json(responder, 200, {{"ROOT", level_name(log::level())}});
}

// {"level": "debug", "logger": "ROOT", "durationSeconds": 300}: there is one logger, whatever its name.
void InfoApi::change_logging(const http::ServerRequest& request, http::Responder responder) {
  auto body = model::parse_json(request.body);
  if (!body) return respond_error(responder, body.error());
  if (!body->is_object() || !body->contains("level") || !(*body)["level"].is_string()) {
    return respond_error(responder, {422, "Invalid JSON", {{"/level", {"error.path.missing"}}}, "", {}});
  }
  const auto level = level_named((*body)["level"].get<std::string>());
  if (!level) {
    return respond_error(responder,
                         rule_broken("/level", "must be one of trace, debug, info, warn, error, fatal, off"));
  }
  const json duration = body->value("durationSeconds", json());
  if (!duration.is_null() && !duration.is_number()) {
    return respond_error(responder, {422, "Invalid JSON", {{"/durationSeconds", {"error.expected.jsnumber"}}}, "", {}});
  }
  log::set_level(*level);
  log_level_over_.stop();
  if (duration.is_number()) {
    const double seconds = std::clamp(duration.get<double>(), 0.0, kLogLevelSecondsMax);
    log_level_over_.start(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds)));
  }
  respond_json(responder, 200, *body);
}

void InfoApi::page(http::Responder responder) {
  respond_text(responder, 200, start_page(engine_.state()), "text/html; charset=utf-8");
}

}  // namespace lotse::scheduler
