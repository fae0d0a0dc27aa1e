// A whole proxy: data path, discovery, admin pages and configuration, plugged into each other. Decides nothing itself.
// For `lotse proxy` and `lotse dev`. Main thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "cli/data_directory.h"
#include "cli/successor.h"
#include "discovery/agent_confirmer.h"
#include "discovery/discovery.h"
#include "http/client.h"
#include "net/loop.h"
#include "proxy/admin.h"
#include "proxy/config_loader.h"
#include "proxy/handover.h"
#include "proxy/proxy.h"
#include "proxy/takeover.h"

namespace lotse::cli {

struct ProxyInheritance {  // of the process before us, or of systemd
  proxy::InheritedSockets sockets;
  net::UniqueFd admin;
  net::UniqueFd lock;  // of the data directory: a takeover
  std::string ticket_keys;
  Duration until_ticket_rotation{};
  std::uint64_t takeovers = 0;
};

struct ProxyInstanceOptions {
  std::string data;  // directory
  std::string id;    // empty: the stored one, or the host name
};

class ProxyInstance final : private proxy::TaskConfirmer, private discovery::ProxyState, private proxy::HandoverOwner {
 public:
  // `on_drained` comes once a drain (signal or POST /v1/drain) is over: end the program then.
  ProxyInstance(net::Loop& loop, ProxyInstanceOptions options, std::function<void()> on_drained);
  ~ProxyInstance();

  // Watched and reloaded from then on; in a takeover once it is over.
  Result<Unit, Problem> start_from_file(const std::string& path, ProxyInheritance inheritance = {});
  Result<Unit, Problem> start_from_text(std::string_view yaml);

  // A takeover, the new side: what the old process is told, and what follows when it has stopped accepting.
  std::string not_ready_reason() const;
  proxy::TakeoverMessage ready_message() const;
  void set_takeover(proxy::Takeover& takeover) { before_us_ = &takeover; }  // outlives us
  void begin_accepting();
  void give_back();  // the old process serves on: finish what is under way, then on_drained
  // The old side: SIGUSR2. Offered to whoever asks in the data directory as soon as we accept.
  void start_successor() { successor_.start(); }
  struct ServiceCallbacks {  // for the service manager; may be empty
    std::function<void(bool begins)> on_loading;
    std::function<void()> on_draining;
    std::function<void(pid_t main)> on_main_process;
  };
  void set_service_callbacks(ServiceCallbacks callbacks) { service_ = std::move(callbacks); }
  std::string why_unhealthy() const { return proxy_.why_unhealthy(); }

  void drain();  // graceful stop; a second call stops at once
  void drain_at_once();
  std::vector<net::Address> listen_addresses() const { return proxy_.listen_addresses(); }
  net::Address admin_address() const { return admin_.address(); }
  const std::string& id() const { return id_; }

 private:
  void confirm(const model::Endpoint& endpoint, std::function<void(proxy::Confirmation)> on_answer) override;
  std::uint64_t in_flight(const model::TaskId& task) const override { return proxy_.in_flight(task); }
  std::vector<model::TaskId> pending_tasks() const override { return proxy_.pending_tasks(); }
  double requests_per_second() const override { return proxy_.requests_per_second(); }
  std::string address() const override;
  void save_tables(std::function<void()> on_saved) override { discovery_->save_now(std::move(on_saved)); }
  proxy::TakeoverGoods copies_of_goods() override;
  Duration takeover_timeout() const override { return config_->timeouts.takeover; }
  void on_yield(const proxy::TakeoverMessage& ready) override;
  void on_take_back() override;
  void on_trial_over(pid_t successor) override;
  void on_takeover_failed(const std::string& why) override;

  Result<Unit, Problem> open_data(net::UniqueFd inherited_lock = {});
  Result<Unit, Problem> apply(std::shared_ptr<const proxy::Config> config);
  proxy::AdminServer::Callbacks admin_callbacks();
  void make_discovery();
  void on_leaving();  // not because of a takeover
  void on_successor_ended(pid_t pid, const std::string& how);

  net::Loop& loop_;
  ProxyInstanceOptions options_;
  std::function<void()> on_drained_;
  std::string id_;
  std::optional<DataDirectory> data_;
  http::Client client_;
  discovery::AgentConfirmer confirmer_;
  proxy::Proxy proxy_;
  std::unique_ptr<discovery::Discovery> discovery_;
  proxy::AdminServer admin_;
  std::unique_ptr<proxy::ConfigLoader> loader_;
  std::shared_ptr<const proxy::Config> config_;
  net::UniqueFd inherited_admin_;  // until the first configuration
  std::unique_ptr<proxy::Handover> handover_;
  Successor successor_;
  proxy::Takeover* before_us_ = nullptr;  // null: there was nobody, or it has gone
  ServiceCallbacks service_;
  bool is_draining_ = false, is_handed_over_ = false;
};

}  // namespace lotse::cli
