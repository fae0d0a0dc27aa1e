#include "proxy/admin.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "proxy/listener_sockets.h"

namespace lotse::proxy {
namespace {

std::string message(std::string_view text) {
  return nlohmann::json{{"message", text}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

http::ServerResponse json_answer(int status, std::string body) {
  http::ServerResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

http::ServerResponse text_answer(int status, std::string body) {
  http::ServerResponse response = json_answer(status, std::move(body));
  response.content_type = "text/plain; charset=utf-8";
  return response;
}

}  // namespace

AdminServer::AdminServer(net::Loop& loop, Callbacks callbacks) : loop_(loop), callbacks_(std::move(callbacks)) {
  add_pages();
}

AdminServer::~AdminServer() = default;

Result<Unit, Problem> AdminServer::prepare(const std::string& address, net::UniqueFd inherited) {
  prepared_ = {};
  if (current_.server && current_.wanted == address) return Unit{};
  auto parsed = net::Address::parse(address);
  if (!parsed) return fail(Problem{"admin.address", parsed.error().text()});
  Bound fresh;
  fresh.wanted = address;
  fresh.is_inherited = static_cast<bool>(inherited);
  auto socket = fresh.is_inherited ? Result<net::UniqueFd>(std::move(inherited)) : net::make_listening_socket(*parsed);
  if (!socket) return fail(Problem{"admin.address", address + ": " + describe(socket.error())});
  if (!fresh.is_inherited) fresh.file = net::SocketFile(net::local_address(socket->get()));
  fresh.server = std::make_unique<http::Server>(loop_, router_, http::Server::Options{});
  if (is_held_) fresh.server->hand_over();
  fresh.socket = copy_of(*socket);
  auto listening = fresh.server->adopt(std::move(*socket));
  if (!listening) return fail(Problem{"admin.address", address + ": " + describe(listening.error())});
  fresh.bound = *listening;
  prepared_ = std::move(fresh);
  return Unit{};
}

void AdminServer::commit() {
  if (!prepared_.server) return;
  std::shared_ptr<http::Server> old = std::move(current_.server);
  current_ = std::exchange(prepared_, {});
  if (old) loop_.defer([old] {});  // we may be inside of one of its requests
}

void AdminServer::abandon() { prepared_ = {}; }

void AdminServer::hold() {
  is_held_ = true;
  current_.file.release();
  if (current_.server) current_.server->hand_over();
}

void AdminServer::begin_accepting() {
  if (!std::exchange(is_held_, false)) return;
  current_.file = net::SocketFile(current_.bound);
  if (current_.server) current_.server->take_back();
}

net::UniqueFd AdminServer::copy_of_socket() const { return copy_of(current_.socket); }

void AdminServer::add_pages() {
  router_.add("GET", "/metrics", [this](http::ServerRequest&, http::Responder responder) {
    http::ServerResponse response = text_answer(200, "");
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    callbacks_.write_metrics(response.body);
    responder.respond(std::move(response));
  });
  router_.add("GET", "/healthz", [this](http::ServerRequest&, http::Responder responder) {
    std::string reason = callbacks_.unhealthy_reason();
    responder.respond(reason.empty() ? text_answer(200, "ok\n") : text_answer(503, reason + "\n"));
  });
  router_.add("GET", "/readyz", [this](http::ServerRequest&, http::Responder responder) {
    std::string reason = callbacks_.not_ready_reason();
    responder.respond(reason.empty() ? text_answer(200, "ready\n") : text_answer(503, reason + "\n"));
  });
  router_.add("GET", "/v1/routes", [this](http::ServerRequest&, http::Responder responder) {
    responder.respond(json_answer(200, callbacks_.routes_json()));
  });
  router_.add("GET", "/v1/stats", [this](http::ServerRequest&, http::Responder responder) {
    responder.respond(json_answer(200, callbacks_.stats_json()));
  });
  router_.add("GET", "/v1/config", [this](http::ServerRequest&, http::Responder responder) {
    responder.respond(json_answer(200, callbacks_.config_json()));
  });
  router_.add("GET", "/v1/explain", [this](http::ServerRequest& request, http::Responder responder) {
    auto url = request.parameter("url");
    if (!url || url->empty()) {
      return responder.respond(
          json_answer(400, message("the parameter url is missing: /v1/explain?url=http://host/path")));
    }
    responder.respond(json_answer(200, callbacks_.explain(*url)));
  });
  router_.add("POST", "/v1/drain", [this](http::ServerRequest&, http::Responder responder) {
    responder.respond(json_answer(202, message("draining")));
    callbacks_.drain();
  });
  router_.add("POST", "/v1/accept", [this](http::ServerRequest&, http::Responder responder) {
    nlohmann::json answer = {{"accepted", callbacks_.accept()}};
    responder.respond(json_answer(200, answer.dump() + "\n"));
  });
}

}  // namespace lotse::proxy
