#include "proxy/health_probe.h"

#include <fmt/format.h>

#include <utility>

#include "http/client.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "proxy/endpoint_address.h"
#include "proxy/grpc_probe.h"

namespace lotse::proxy {

namespace {

// GET, and any status from 200 to 399.
class HttpProbe final : public HealthProbe {
 public:
  HttpProbe(http::Client& client, const EndpointRecord& record, const HealthCheck& check, OnProbed on_done)
      : on_done_(std::move(on_done)) {
    constexpr std::size_t kBodyBytesMax = 1024 * 1024;
    http::ClientRequest request;
    request.endpoint.host = record.endpoint.host;
    request.endpoint.port = record.endpoint.host_port;
    request.target = check.path;
    request.fields = {{"Connection", "close"}};  // a check that comes again must not find its own old connection dead
    if (!check.host.empty()) request.fields.emplace_back("Host", check.host);
    request.timeout = check.timeout;
    request.body_bytes_max = kBodyBytesMax;
    call_ = client.send(std::move(request), [this](Result<http::ClientResponse> answer) { judge(answer); });
  }

 private:
  void judge(const Result<http::ClientResponse>& answer) {
    std::string problem;
    if (!answer) {
      problem = to_string(answer.error().code);
    } else if (answer->status < 200 || answer->status > 399) {
      problem = fmt::format("answered {}", answer->status);
    }
    auto done = std::move(on_done_);
    done(std::move(problem));
  }

  OnProbed on_done_;
  std::unique_ptr<http::Call> call_;
};

// A connection that is taken is enough.
class TcpProbe final : public HealthProbe, private net::StreamListener {
 public:
  TcpProbe(net::Loop& loop, const EndpointRecord& record, const HealthCheck& check, OnProbed on_done)
      : loop_(loop), on_done_(std::move(on_done)), late_(loop.timers(), [this] { end(to_string(Errc::timed_out)); }) {
    late_.start(check.timeout);
    lookup_ = find_address(loop_, record, [this](Result<net::Address> found) {
      if (!found) return end(to_string(found.error().code));
      stream_ = net::connect(loop_, *found, *this);
    });
  }

 private:
  void on_connected() override { end({}); }
  void on_bytes(std::span<const char>) override {}
  void on_end() override {}
  void on_error(Error error) override { end(to_string(error.code)); }
  void end(std::string_view problem) {
    auto done = std::move(on_done_);
    done(std::string(problem));  // destroys us
  }

  net::Loop& loop_;
  OnProbed on_done_;
  net::Timer late_;
  std::unique_ptr<net::Lookup> lookup_;
  std::unique_ptr<net::Stream> stream_;
};

}  // namespace

std::unique_ptr<HealthProbe> start_probe(http::Client& client, const EndpointRecord& record, const HealthCheck& check,
                                         OnProbed on_done) {
  if (check.by == HealthCheck::By::tcp)
    return std::make_unique<TcpProbe>(client.loop(), record, check, std::move(on_done));
  if (check.by == HealthCheck::By::grpc)
    return std::make_unique<GrpcProbe>(client.loop(), record, check, std::move(on_done));
  return std::make_unique<HttpProbe>(client, record, check, std::move(on_done));
}

}  // namespace lotse::proxy
