#include "tests/integration/proxy_process.h"

#include <fmt/core.h>

#include "http/client.h"
#include "net/timers.h"

namespace lotse::integration {

BackendThread::BackendThread() {
  thread_ = std::thread([this] {
    net::Loop loop;
    http::Router router;
    std::vector<std::unique_ptr<net::Timer>> timers;
    router.set_fallback([&](http::ServerRequest& request, http::Responder responder) {
      http::ServerResponse response;
      response.body = "Hello from it";
      if (request.path != "/slow") return responder.respond(std::move(response));
      auto slow = std::make_shared<http::Responder>(std::move(responder));
      timers.push_back(std::make_unique<net::Timer>(loop.timers(), [slow, response] { slow->respond(response); }));
      timers.back()->start(500ms);
    });
    http::Server server(loop, router, {});
    auto address = server.listen(*net::Address::parse("127.0.0.1:0"));
    ASSERT_TRUE(address);
    loop_ = &loop;
    port_ = address->port();
    loop.run();
  });
  EXPECT_TRUE(eventually([this] { return port_ != 0; }));
}

BackendThread::~BackendThread() {
  loop_.load()->stop();
  thread_.join();
}

void ProxyProcessTest::write_config(const std::string& listen_on, const std::string& more) {
  std::ofstream(config_path()) << fmt::format(
      "version: 1\nworkers: {}\nadmin: {{address: \"127.0.0.1:0\"}}\nlisteners: {}\nroutes: [{{match: {{path: /}}, to: "
      "/app}}]\ndiscovery: {{sources: [{{static: {{/app: [\"127.0.0.1:{}\"]}}}}]}}\n{}",
      workers, listen_on, backend.port(), more);
}

std::vector<std::string> ProxyProcessTest::command(const std::string& option) const {
  std::vector<std::string> arguments{LOTSE_PROGRAM, "proxy", "--config", config_path(), "--data", data()};
  if (!option.empty()) arguments.push_back(option);
  return arguments;
}

void ProxyProcessTest::start() {
  write_config(listeners);
  proxy = Program(command(), folder.path() + "/log");
  address = proxy.wait_for_log("listening on ");
  admin = proxy.wait_for_log("admin on ");
  admin = admin.substr(0, admin.find(','));
}

void ProxyProcessTest::take_over() {
  const double so_far = metric("lotse_takeovers_total");
  Program next(command("--takeover"), folder.path() + "/log");
  ASSERT_TRUE(eventually([&] { return metric("lotse_takeovers_total") == so_far + 1; })) << next.log();
  before.push_back(std::move(proxy));
  proxy = std::move(next);
}

std::string ProxyProcessTest::ask(const std::string& target, const std::string& host_port) const {
  net::Loop loop;
  std::string body;
  {
    http::Client client(loop);
    http::ClientRequest request;
    request.method = "GET";
    request.endpoint = http::parse_url("http://" + host_port)->endpoint;
    request.target = target;
    request.timeout = 10s;
    auto call = client.send(std::move(request), [&](Result<http::ClientResponse> answer) {
      if (answer) body = answer->body;
      loop.stop();
    });
    loop.run();
  }
  return body;
}

double ProxyProcessTest::metric(const std::string& name) const {
  const std::string text = "\n" + ask("/metrics", admin);
  const std::size_t at = text.find("\n" + name + " ");
  return at == text.npos ? -1 : std::strtod(text.c_str() + at + name.size() + 2, nullptr);
}

}  // namespace lotse::integration
