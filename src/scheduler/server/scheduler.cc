#include "scheduler/server/scheduler.h"

#include <unistd.h>

#include <utility>

#include "base/log.h"
#include "net/timers.h"
#include "scheduler/server/api.h"
#include "scheduler/server/dns_service.h"
#include "scheduler/server/engine.h"
#include "scheduler/server/store.h"
#include "scheduler/server/store_backup.h"

namespace lotse::scheduler {

constexpr Duration kStepDown = std::chrono::milliseconds(500);  // Marathon's: time for the answer to leave
constexpr Duration kStepDownRetry = std::chrono::seconds(1);

// The members are in the order of their making: the server goes first and the store, which waits for the disk, last.
struct Scheduler::Impl {
  net::Loop& loop;
  SchedulerOptions options;
  std::unique_ptr<Store> store;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Api> api;
  std::unique_ptr<DnsService> dns;
  std::unique_ptr<http::Server> server;
  net::Timer abdication;
  std::string restore_from;  // a backup to lead again from; empty: what is there

  Impl(net::Loop& owner, SchedulerOptions given)
      : loop(owner), options(std::move(given)), abdication(loop.timers(), [this] { begin_anew(); }) {
    if (!options.dns.listen.empty()) options.settings.dns_ttl = options.dns.ttl;
  }
  Result<Unit, Problem> open_engine();
  Result<net::Address, Problem> listen();
  Result<Unit, Problem> open_dns(const net::Address& api_address);
  std::string leader_for(const net::Address& bound) const;
  void begin_anew();
  void stop();
};

Scheduler::Scheduler(net::Loop& loop, SchedulerOptions options)
    : impl_(std::make_unique<Impl>(loop, std::move(options))) {}

Scheduler::~Scheduler() { stop(); }

void Scheduler::stop() { impl_->stop(); }

Result<net::Address, Problem> Scheduler::start() {
  auto opened = impl_->open_engine();
  if (!opened) {
    impl_->stop();
    return fail(opened.error());
  }
  auto bound = impl_->listen();
  if (!bound) impl_->stop();
  return bound;
}

net::Address Scheduler::dns_address() const { return impl_->dns != nullptr ? impl_->dns->address() : net::Address{}; }

Result<Unit, Problem> Scheduler::Impl::open_engine() {
  StoreRecords records;
  Store::Options store_options;
  store_options.directory = options.data;
  auto opened = Store::open(loop, std::move(store_options), records);
  if (!opened) return fail(opened.error());
  store = std::move(*opened);
  auto state = restore(records, store->term(), store->cluster(), options.settings, loop.clock().both());
  if (!state) return fail(Problem{"data directory " + options.data, state.error().text()});
  log::info("scheduler", "term {}, cluster {}: {} apps, {} tasks, {} agents", store->term(), store->cluster(),
            state->apps.size(), state->tasks.size(), state->agents.size());
  engine = std::make_unique<Engine>(loop, *store, std::move(*state), options.settings);
  return Unit{};
}

// Bound before the API is made, since the API tells clients the address; accepting starts with the next turn.
Result<net::Address, Problem> Scheduler::Impl::listen() {
  auto address = net::Address::parse(options.listen);
  if (!address) return fail(Problem{"--listen", address.error().text()});
  auto socket = net::make_listening_socket(*address);
  if (!socket) return fail(Problem{options.listen, "cannot be listened on: " + describe(socket.error())});
  net::Address bound = net::local_address(socket->get());
  options.listen = bound.to_string();  // should it have to be taken again
  InfoApi::Options info{leader_for(bound), options.version, bound.port(), [this](std::string from) {
                          restore_from = std::move(from);
                          abdication.start(kStepDown);
                        }};
  api = std::make_unique<Api>(loop, *engine, *store, info);
  http::Server::Options server_options;
  server_options.common_fields = {{"Cache-Control", "no-cache, no-store, must-revalidate"},
                                  {"Pragma", "no-cache"},
                                  {"Expires", "0"},
                                  {"Access-Control-Allow-Origin", "*"},
                                  {"X-Marathon-Leader", "http://" + info.leader}};
  server = std::make_unique<http::Server>(loop, api->router(), std::move(server_options));
  auto adopted = server->adopt(std::move(*socket));
  if (!adopted) return fail(Problem{options.listen, "cannot be listened on: " + describe(adopted.error())});
  engine->start();
  if (auto opened = open_dns(bound); !opened) return fail(opened.error());
  return bound;
}

Result<Unit, Problem> Scheduler::Impl::open_dns(const net::Address& api_address) {
  if (options.dns.listen.empty()) return Unit{};
  auto opened = DnsService::open(loop, *engine, options.dns, api_address);
  if (!opened) return fail(opened.error());
  dns = std::move(*opened);
  options.dns.listen = dns->address().to_string();  // as with the API
  api->follow_with(*dns);
  log::info("scheduler", "DNS for {} on {}", options.dns.domain, options.dns.listen);
  return Unit{};
}

// Nobody can connect to a wildcard address: clients are told the host name then.
std::string Scheduler::Impl::leader_for(const net::Address& bound) const {
  if (!options.advertise.empty()) return options.advertise;
  char name[256] = "";
  bool is_wildcard = bound.ip() == "0.0.0.0" || bound.ip() == "::";
  if (!is_wildcard || ::gethostname(name, sizeof(name) - 1) != 0) return bound.to_string();
  return std::string(name) + ":" + std::to_string(bound.port());
}

// DELETE /v2/leader. There is nobody else to lead, so it leads again, in a new term and from what is on the disk;
// everybody connects anew. Only the address stays.
void Scheduler::Impl::begin_anew() {
  log::info("scheduler", "stepping down as asked; it leads again at once");
  stop();
  if (const std::string from = std::exchange(restore_from, {}); !from.empty()) {
    auto restored = restore_data(options.data, from);
    if (restored) {
      log::info("scheduler", "restored from {}", from);
    } else {
      log::error("scheduler", "not restored from {}: {}", from, restored.error().text());
    }
  }
  auto opened = open_engine();
  auto bound = opened ? listen() : Result<net::Address, Problem>(fail(opened.error()));
  if (bound) return;
  log::error("scheduler", "cannot lead again: {}; trying once more", bound.error().text());
  stop();
  abdication.start(kStepDownRetry);
}

void Scheduler::Impl::stop() {
  if (engine != nullptr) engine->flush();
  if (api != nullptr) api->close_streams();
  server.reset();
  dns.reset();
  api.reset();
  engine.reset();
  store.reset();
}

}  // namespace lotse::scheduler
