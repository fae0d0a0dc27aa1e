// A whole proxy: data path, discovery, admin pages and configuration, plugged into each other. Decides nothing itself.
// For `lotse proxy` and `lotse dev`. Main thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "cli/data_directory.h"
#include "discovery/agent_confirmer.h"
#include "discovery/discovery.h"
#include "http/client.h"
#include "net/loop.h"
#include "proxy/admin.h"
#include "proxy/config_loader.h"
#include "proxy/proxy.h"

namespace lotse::cli {

struct ProxyInstanceOptions {
  std::string data;  // directory
  std::string id;    // empty: the stored one, or the host name
};

class ProxyInstance final : private proxy::TaskConfirmer, private discovery::ProxyState {
 public:
  // `on_drained` comes once a drain (signal or POST /v1/drain) is over: end the program then.
  ProxyInstance(net::Loop& loop, ProxyInstanceOptions options, std::function<void()> on_drained);
  ~ProxyInstance();

  Result<Unit, Problem> start_from_file(const std::string& path);  // watched and reloaded from then on
  Result<Unit, Problem> start_from_text(std::string_view yaml);

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

  Result<Unit, Problem> open_data();
  Result<Unit, Problem> apply(std::shared_ptr<const proxy::Config> config);
  proxy::AdminServer::Callbacks admin_callbacks();
  void make_discovery();
  std::string not_ready_reason() const;

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
  bool is_draining_ = false;
};

}  // namespace lotse::cli
