// What Marathon's clients ask a server about itself: /v2/info, /v2/leader, /v2/plugins, /ping, and the plain page at
// /ui/. Also GET /v2/events, since following is all there is to it. Owned by the API; loop thread.
#pragma once

#include <string>

#include "http/server.h"
#include "scheduler/server/engine.h"
#include "scheduler/server/event_streams.h"

namespace lotse::scheduler {

class InfoApi {
 public:
  struct Options {
    std::string leader;  // "host:port"
    std::string lotse_version;
    int port = 8080;
  };
  InfoApi(Engine& engine, EventStreams& events, Options options)
      : engine_(engine), events_(events), options_(std::move(options)) {}
  void add_to(http::Router& router);

 private:
  void info(http::Responder responder);
  void ping(const http::ServerRequest& request, http::Responder responder);
  void follow_events(const http::ServerRequest& request, http::Responder responder);
  void page(http::Responder responder);

  Engine& engine_;
  EventStreams& events_;
  Options options_;
};

// Clients compare it as numbers and branch on it.
inline constexpr const char* kMarathonVersion = "1.11.24";

}  // namespace lotse::scheduler
