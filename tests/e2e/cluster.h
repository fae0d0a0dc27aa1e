// A whole Lotse of real processes on loopback, with Docker, in a temporary directory: scheduler, agents, proxies. Each
// can be killed with kill -9 and started again on the same ports and data. Blocking; one thread.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace lotse::e2e {

struct HttpAnswer {
  int status = 0;  // 0: no answer
  std::string body;
  std::map<std::string, std::string> fields;  // lower case
  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
};
HttpAnswer http(const std::string& method, const std::string& address, const std::string& target,
                const std::string& body = {}, const std::map<std::string, std::string>& fields = {});

class Cluster {
 public:
  struct Options {
    int proxies = 1;
    std::string runtime = "docker";
    bool start_agent = true;
  };
  Cluster() : Cluster(Options{}) {}
  explicit Cluster(Options options);
  ~Cluster();  // kills everything and removes every container and process of this cluster

  void start_scheduler();
  void start_agent();
  void start_proxy(std::size_t index);  // index == proxies(): one more
  Program& scheduler() { return scheduler_; }
  Program& agent() { return agent_; }
  Program& proxy(std::size_t index) { return proxies_[index].program; }
  std::size_t proxies() const { return proxies_.size(); }
  std::string api_address() const { return api_; }
  std::string proxy_address(std::size_t index = 0) const { return proxies_[index].address; }
  std::string admin_address(std::size_t index = 0) const { return proxies_[index].admin; }
  std::string proxy_config(std::size_t index = 0) const { return proxies_[index].config; }
  std::string directory() const { return directory_.path(); }

  HttpAnswer api(const std::string& method, const std::string& target, const std::string& body = {});
  // PUTs the definition and returns the deployment's id; fails the test unless it is accepted.
  std::string deploy(const nlohmann::json& app);
  void wait_for_deployment(const std::string& id, milliseconds deadline = 60s);
  void wait_until_no_deployment(milliseconds deadline = 60s);
  void restart(const std::string& app);  // and waits for the end
  void scale(const std::string& app, int instances);
  nlohmann::json app(const std::string& id);
  std::vector<std::string> containers();  // ids of running containers of this cluster
  std::string container_of(const std::string& task);
  void wait_until_served(const std::string& target, milliseconds deadline = 30s, std::size_t proxy = 0);
  std::string metric(const std::string& name, std::size_t proxy = 0);    // the value of a sample without labels
  std::size_t endpoints(const std::string& app, std::size_t proxy = 0);  // in the proxy's table, that may get requests

 private:
  struct Proxy {
    Program program;
    std::string address, admin, config, data;
  };
  void write_proxy_config(Proxy& proxy);

  Options options_;
  TemporaryFolder directory_;
  Program scheduler_, agent_;
  std::vector<Proxy> proxies_;
  std::string api_, cluster_id_;
};

// The sample app with a health check; `image` lotse/hello-e2e is built once per test program.
nlohmann::json hello_app(int instances);
void build_hello_image();

}  // namespace lotse::e2e
