// What Marathon's clients ask a server about itself: /v2/info, /v2/leader, /v2/plugins, /ping, /config, /logging, and
// the plain page at /ui/. Also GET /v2/events, since following is all there is to it. Owned by the API; loop thread.
#pragma once

#include <functional>
#include <string>

#include "http/server.h"
#include "net/loop.h"
#include "net/timers.h"
#include "scheduler/server/engine.h"
#include "scheduler/server/event_streams.h"
#include "scheduler/server/store.h"

namespace lotse::scheduler {

class InfoApi {
 public:
  struct Options {
    std::string leader;  // "host:port"
    std::string lotse_version;
    int port = 8080;
    // DELETE /v2/leader was answered: step down soon, and lead again from this backup, if it names one.
    std::function<void(std::string restore_from)> on_abdicate;
  };
  InfoApi(net::Loop& loop, Engine& engine, Store& store, EventStreams& events, Options options);
  ~InfoApi();
  void add_to(http::Router& router);

 private:
  void info(http::Responder responder);
  void ping(const http::ServerRequest& request, http::Responder responder);
  void follow_events(const http::ServerRequest& request, http::Responder responder);
  void page(http::Responder responder);
  void abdicate(const http::ServerRequest& request, http::Responder responder);
  void back_up(const http::ServerRequest& request, http::Responder responder);
  void config(http::Responder responder);
  void show_logging(http::Responder responder);
  void change_logging(const http::ServerRequest& request, http::Responder responder);

  Engine& engine_;
  Store& store_;
  EventStreams& events_;
  Options options_;
  net::Timer log_level_over_;  // a level that was set for a while
};

// Clients compare it as numbers and branch on it.
inline constexpr const char* kMarathonVersion = "1.11.24";

}  // namespace lotse::scheduler
