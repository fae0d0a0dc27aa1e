#include "tests/e2e/cluster.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "http/client.h"
#include "net/loop.h"

namespace lotse::e2e {
namespace {

using nlohmann::json;

// A port that was free a moment ago: a process that is restarted has to come back on the same one.
std::string free_address() {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  close(fd);
  return "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

}  // namespace

HttpAnswer http(const std::string& method, const std::string& address, const std::string& target,
                const std::string& body, const std::map<std::string, std::string>& fields) {
  net::Loop loop;
  http::Client client(loop);
  auto url = http::parse_url("http://" + address);
  http::ClientRequest request;
  request.method = method;
  request.endpoint = url->endpoint;
  request.target = target;
  request.body = body;
  for (const auto& field : fields) request.fields.push_back(field);
  if (!body.empty()) request.fields.emplace_back("Content-Type", "application/json");
  request.timeout = std::chrono::seconds(10);
  HttpAnswer answer;
  auto call = client.send(std::move(request), [&](Result<http::ClientResponse> response) {
    if (response) {
      answer.status = response->status;
      answer.body = response->body;
      for (auto& [name, value] : response->fields) {
        std::string lower = name;
        std::transform(lower.begin(), lower.end(), lower.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        answer.fields[lower] = value;
      }
    }
    loop.stop();
  });
  loop.run();
  return answer;
}

Cluster::Cluster(Options options) : options_(std::move(options)) {
  if (options_.runtime == "docker") build_hello_image();
  api_ = free_address();
  start_scheduler();
  if (options_.start_agent) start_agent();
  for (int i = 0; i < options_.proxies; ++i) start_proxy(proxies_.size());
}

Cluster::~Cluster() {
  if (testing::Test::HasFailure()) {
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      if (entry.path().extension() != ".log") continue;
      std::ifstream stream(entry.path());
      std::stringstream text;
      text << stream.rdbuf();
      std::string all = text.str();
      std::printf("---- %s (its end)\n%s\n", entry.path().filename().c_str(),
                  all.substr(all.size() > 6000 ? all.size() - 6000 : 0).c_str());
    }
  }
  for (Proxy& proxy : proxies_) proxy.program.kill_9();
  agent_.kill_9();
  scheduler_.kill_9();
  if (options_.runtime == "docker") {
    // A container that Docker is removing already makes `rm` fail, so what counts is that none is left.
    EXPECT_TRUE(eventually([&] {
      std::stringstream ids(run({"docker", "ps", "-aq", "--filter", "label=lotse.cluster=" + cluster_id_}));
      bool none = true;
      for (std::string id; ids >> id; none = false) {
        int ignored = 0;
        run({"docker", "rm", "-f", id}, &ignored);
      }
      return none;
    }));
  } else {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {  // processes of our sandboxes
      std::error_code error;
      auto cwd = std::filesystem::read_symlink(entry.path() / "cwd", error).string();
      if (!error && cwd.starts_with(directory_.path())) kill(std::stoi(entry.path().filename()), SIGKILL);
    }
  }
}

void Cluster::start_scheduler() {
  scheduler_ = Program({LOTSE_PROGRAM, "scheduler", "--listen", api_, "--data", directory_.path() + "/scheduler"},
                       directory_.path() + "/scheduler.log");
  scheduler_.wait_for_log("listening on");
  if (cluster_id_.empty()) cluster_id_ = http("GET", api_, "/v1/status").json().value("cluster", "none");
}

void Cluster::start_agent() {
  agent_ =
      Program({LOTSE_PROGRAM, "agent", "--scheduler", "http://" + api_, "--listen", "127.0.0.1:0", "--address",
               "127.0.0.1", "--data", directory_.path() + "/agent", "--id", "node-1", "--runtime", options_.runtime},
              directory_.path() + "/agent.log");
  agent_.wait_for_log("registered as");
}

void Cluster::write_proxy_config(Proxy& proxy) {
  std::ofstream(proxy.config)
      << "version: 1\nworkers: 2\nadmin: {address: \"" << proxy.admin << "\"}\nlisteners:\n  - {name: web, address: \""
      << proxy.address
      << "\"}\nexpose: {path: true, host: \"{app}.lotse.test\"}\ndiscovery:\n  sources:\n    - scheduler: \"http://"
      << api_ << "\"\n";
}

void Cluster::start_proxy(std::size_t index) {
  std::string name = "proxy-" + std::to_string(index);
  if (index == proxies_.size()) {
    Proxy proxy;
    proxy.address = free_address();
    proxy.admin = free_address();
    proxy.config = directory_.path() + "/" + name + ".yaml";
    proxy.data = directory_.path() + "/" + name;
    write_proxy_config(proxy);
    proxies_.push_back(std::move(proxy));
  }
  Proxy& proxy = proxies_[index];
  proxy.program = Program({LOTSE_PROGRAM, "proxy", "--config", proxy.config, "--data", proxy.data, "--id", name},
                          directory_.path() + "/" + name + ".log");
  EXPECT_TRUE(eventually([&] { return http("GET", proxy.admin, "/readyz").status == 200; })) << proxy.program.log();
}

HttpAnswer Cluster::api(const std::string& method, const std::string& target, const std::string& body) {
  return http(method, api_, target, body);
}

std::string Cluster::deploy(const json& app) {
  HttpAnswer answer = api("PUT", "/v2/apps" + app.at("id").get<std::string>(), app.dump());
  EXPECT_TRUE(answer.status == 200 || answer.status == 201) << answer.status << ' ' << answer.body;
  json body = answer.json();
  return body.is_object() ? body.value("deploymentId", "") : "";
}

void Cluster::wait_for_deployment(const std::string& id, milliseconds deadline) {
  HttpAnswer answer;
  bool done = eventually(
      [&] {
        answer = api("GET", "/v2/deployments");
        if (answer.status != 200) return false;
        for (const json& deployment : answer.json()) {
          if (deployment.value("id", "") == id) return false;
        }
        return true;
      },
      deadline);
  EXPECT_TRUE(done) << "deployment " << id << " is not done: " << answer.body << "\n" << api("GET", "/v1/status").body;
}

void Cluster::wait_until_no_deployment(milliseconds deadline) {
  EXPECT_TRUE(eventually([&] { return api("GET", "/v2/deployments").body == "[]"; }, deadline))
      << api("GET", "/v2/deployments").body;
}

void Cluster::restart(const std::string& app) {
  HttpAnswer answer = api("POST", "/v2/apps" + app + "/restart");
  ASSERT_EQ(answer.status, 200) << answer.body;
  wait_for_deployment(answer.json().value("deploymentId", ""));
}

void Cluster::scale(const std::string& app, int instances) {
  HttpAnswer answer = api("PUT", "/v2/apps" + app, json{{"instances", instances}}.dump());
  ASSERT_EQ(answer.status, 200) << answer.body;
  wait_for_deployment(answer.json().value("deploymentId", ""));
}

json Cluster::app(const std::string& id) {
  json body = api("GET", "/v2/apps" + id).json();
  return body.is_object() ? body.value("app", json::object()) : json::object();
}

std::vector<std::string> Cluster::containers() {
  std::stringstream stream(run({"docker", "ps", "-q", "--filter", "label=lotse.cluster=" + cluster_id_}));
  std::vector<std::string> ids;
  for (std::string id; stream >> id;) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::string Cluster::container_of(const std::string& task) {
  std::string id = run({"docker", "ps", "-q", "--filter", "label=lotse.task=" + task});
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

void Cluster::wait_until_served(const std::string& target, milliseconds deadline, std::size_t index) {
  HttpAnswer answer;
  EXPECT_TRUE(eventually([&] { return (answer = http("GET", proxy_address(index), target)).status == 200; }, deadline))
      << answer.status << ' ' << answer.body;
}

std::string Cluster::metric(const std::string& name, std::size_t index) {
  std::stringstream lines(http("GET", admin_address(index), "/metrics").body);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + " ")) return line.substr(name.size() + 1);
  }
  return "no metric " + name;
}

json hello_app(int instances) {
  return {{"id", "/hello"},
          {"instances", instances},
          {"cpus", 0.01},
          {"mem", 32},
          {"container",
           {{"type", "DOCKER"},
            {"docker", {{"image", "lotse/hello-e2e"}}},
            {"portMappings", {{{"containerPort", 8080}, {"hostPort", 0}}}}}},
          {"networks", {{{"mode", "container/bridge"}}}},
          {"env", {{"HELLO_PORT", "8080"}}},
          {"healthChecks",
           {{{"protocol", "HTTP"},
             {"path", "/healthz"},
             {"gracePeriodSeconds", 10},
             {"intervalSeconds", 1},
             {"timeoutSeconds", 2},
             {"maxConsecutiveFailures", 3}}}}};
}

void build_hello_image() {
  static bool built = false;
  if (std::exchange(built, true)) return;
  TemporaryFolder context;
  std::filesystem::copy_file(LOTSE_HELLO, context.path() + "/hello");
  run({"docker", "build", "-q", "-t", "lotse/hello-e2e", "-f", LOTSE_SOURCE_DIR "/conf/apps/hello/Dockerfile",
       context.path()});
}

}  // namespace lotse::e2e
