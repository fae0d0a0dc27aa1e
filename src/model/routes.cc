#include "model/routes.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "model/json_reader.h"
#include "model/json_text.h"
#include "model/json_writer.h"

namespace lotse::model {
namespace {

// What an endpoint's JSON takes beyond its texts: names of members, quotes, numbers.
constexpr std::size_t kEndpointBytesGuess = 320;

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

std::string_view to_string(GoneWhy why) { return why == GoneWhy::asked ? "asked" : "lost"; }

void write(JsonWriter& json, const Endpoint& endpoint) {
  json.begin_object();
  json.member("app", endpoint.app);
  if (endpoint.port != 0) json.member("port", endpoint.port);
  if (!endpoint.port_name.empty()) json.member("portName", endpoint.port_name);
  if (endpoint.is_default) json.member("default", true);
  if (endpoint.is_udp) json.member("udp", true);
  json.member("task", endpoint.task);
  if (!endpoint.version.empty()) json.member("version", endpoint.version);
  json.member("host", endpoint.host);
  json.member("hostPort", endpoint.host_port);
  if (endpoint.state != EndpointState::up) json.member("state", to_string(endpoint.state));
  if (endpoint.weight != 100) json.member("weight", endpoint.weight);
  if (!endpoint.zone.empty()) json.member("zone", endpoint.zone);
  if (!endpoint.agent.empty()) json.member("agent", endpoint.agent);
  if (!endpoint.labels.empty()) json.member("labels", endpoint.labels);
  json.end_object();
}

void write(JsonWriter& json, const std::vector<Endpoint>& set) {
  json.key("set");
  json.begin_array();
  for (const Endpoint& endpoint : set) write(json, endpoint);
  json.end_array();
}

void read_state(const JsonReader& in, EndpointState& state) {
  std::string text;
  in.to(text);
  if (in.is_absent() || in.has_problem()) return;
  for (EndpointState each : {EndpointState::up, EndpointState::down, EndpointState::draining}) {
    if (text == to_string(each)) {
      state = each;
      return;
    }
  }
  in.complain("expected up, down or draining");
}

void read(const JsonReader& in, Endpoint& endpoint) {
  if (!in.expect_object()) return;
  in["app"].required().to(endpoint.app);
  in["port"].to(endpoint.port, 0, 65535);
  in["portName"].to(endpoint.port_name);
  in["default"].to(endpoint.is_default);
  in["udp"].to(endpoint.is_udp);
  in["task"].required().to(endpoint.task);
  in["version"].to(endpoint.version);
  in["host"].required().to(endpoint.host);
  in["hostPort"].required().to_port(endpoint.host_port);
  read_state(in["state"], endpoint.state);
  in["weight"].to(endpoint.weight, 0, 1000);
  in["zone"].to(endpoint.zone);
  in["agent"].to(endpoint.agent);
  in["labels"].to(endpoint.labels);
}

void read_set(const JsonReader& in, std::vector<Endpoint>& set) {
  in.each([&](const JsonReader& item) {
    if (item.expect_object()) read(item, set.emplace_back());
  });
}

void read(const JsonReader& in, GoneTask& gone) {
  if (!in.expect_object()) return;
  in["task"].required().to(gone.task);
  std::string why = "asked";
  in["why"].to(why);
  if (why != "asked" && why != "lost") in["why"].complain("expected asked or lost");
  gone.why = why == "lost" ? GoneWhy::lost : GoneWhy::asked;
}

void read(const JsonReader& in, RouteUpdate& update) {
  in["term"].required().to(update.term);
  in["from"].required().to(update.from);
  in["to"].required().to(update.to);
  read_set(in["set"], update.set);
  in["gone"].each([&](const JsonReader& item) { read(item, update.gone.emplace_back()); });
}

void read(const JsonReader& in, SnapshotChunk& chunk) {
  in["term"].required().to(chunk.term);
  in["revision"].required().to(chunk.revision);
  in["index"].required().to(chunk.index);
  in["last"].to(chunk.last);
  read_set(in["set"], chunk.set);
}

void read(const JsonReader& in, ProxyReport& report) {
  in["boot"].required().to(report.boot);
  in["term"].required().to(report.term);
  std::string applied;
  in["applied"].required().to(applied);
  if (auto revision = parse_revision(applied)) {
    report.applied = *revision;
  } else {
    in["applied"].complain("expected <epoch>-<revision>");
  }
  in["pending"].to(report.pending);
  in["draining"].each([&](const JsonReader& item) {
    if (!item.expect_object()) return;
    ProxyReport::Draining& draining = report.draining.emplace_back();
    item["task"].required().to(draining.task);
    item["inFlight"].required().to(draining.in_flight);
  });
  in["address"].to(report.address);
  in["requestsPerSecond"].to(report.requests_per_second);
}

void read(const JsonReader& in, ProxyReportAnswer& answer) {
  in["term"].required().to(answer.term);
  in["cluster"].to(answer.cluster);
  in["leaseSeconds"].to(answer.lease_seconds);
}

template <typename T>
Result<T, Problem> parse(std::string_view text) {
  auto json = parse_json_text(text);
  if (!json) return fail(json.error());
  T value;
  Problem problem;
  JsonReader in(*json, problem);
  if (in.expect_object()) read(in, value);
  if (in.has_problem()) return fail(problem);
  return value;
}

}  // namespace

std::string_view to_string(EndpointState state) {
  switch (state) {
    case EndpointState::up:
      return "up";
    case EndpointState::down:
      return "down";
    case EndpointState::draining:
      return "draining";
  }
  return "up";
}

std::string to_string(Revision revision) {
  return std::to_string(revision.epoch) + "-" + std::to_string(revision.number);
}

std::optional<Revision> parse_revision(std::string_view text) {
  auto hyphen = text.find('-');
  if (hyphen == std::string_view::npos) return std::nullopt;
  auto epoch = parse_number(text.substr(0, hyphen));
  auto number = parse_number(text.substr(hyphen + 1));
  if (!epoch || !number) return std::nullopt;
  return Revision{*epoch, *number};
}

std::string serialize(const RouteUpdate& update) {
  JsonWriter json(128 + update.set.size() * kEndpointBytesGuess);
  json.begin_object();
  json.member("term", update.term);
  json.member("from", update.from);
  json.member("to", update.to);
  if (!update.set.empty()) write(json, update.set);
  if (!update.gone.empty()) {
    json.key("gone");
    json.begin_array();
    for (const GoneTask& gone : update.gone) {
      json.begin_object();
      json.member("task", gone.task);
      json.member("why", to_string(gone.why));
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
  return json.take();
}

std::string serialize(const SnapshotChunk& chunk) {
  JsonWriter json(128 + chunk.set.size() * kEndpointBytesGuess);
  json.begin_object();
  json.member("term", chunk.term);
  json.member("revision", chunk.revision);
  json.member("index", chunk.index);
  if (chunk.last) json.member("last", true);
  if (!chunk.set.empty()) write(json, chunk.set);
  json.end_object();
  return json.take();
}

std::string serialize(const Endpoint& endpoint) {
  JsonWriter json(kEndpointBytesGuess);
  write(json, endpoint);
  return json.take();
}

std::string serialize(const ProxyReport& report) {
  JsonWriter json;
  json.begin_object();
  json.member("boot", report.boot);
  json.member("term", report.term);
  json.member("applied", to_string(report.applied));
  if (!report.pending.empty()) json.member("pending", report.pending);
  if (!report.draining.empty()) {
    json.key("draining");
    json.begin_array();
    for (const ProxyReport::Draining& draining : report.draining) {
      json.begin_object();
      json.member("task", draining.task);
      json.member("inFlight", draining.in_flight);
      json.end_object();
    }
    json.end_array();
  }
  if (!report.address.empty()) json.member("address", report.address);
  if (report.requests_per_second != 0) json.member("requestsPerSecond", report.requests_per_second);
  json.end_object();
  return json.take();
}

std::string serialize(const ProxyReportAnswer& answer) {
  JsonWriter json;
  json.begin_object();
  json.member("term", answer.term);
  json.member("cluster", answer.cluster);
  json.member("leaseSeconds", answer.lease_seconds);
  json.end_object();
  return json.take();
}

Result<RouteUpdate, Problem> parse_route_update(std::string_view json) { return parse<RouteUpdate>(json); }
Result<SnapshotChunk, Problem> parse_snapshot_chunk(std::string_view json) { return parse<SnapshotChunk>(json); }
Result<Endpoint, Problem> parse_endpoint(std::string_view json) { return parse<Endpoint>(json); }
Result<ProxyReport, Problem> parse_proxy_report(std::string_view json) { return parse<ProxyReport>(json); }
Result<ProxyReportAnswer, Problem> parse_proxy_report_answer(std::string_view json) {
  return parse<ProxyReportAnswer>(json);
}

}  // namespace lotse::model
