// A check by gRPC: Check of grpc.health.v1.Health over a connection of its own, and SERVING is what passes
// (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). Owned by the HealthChecker. Main thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "http/h2_session.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "net/timers.h"
#include "proxy/health_probe.h"

namespace lotse::proxy {

class GrpcProbe final : public HealthProbe,
                        public net::StreamListener,
                        public http::H2SessionListener,
                        public http::H2StreamListener,
                        public http::H2Output {
 public:
  GrpcProbe(net::Loop& loop, const EndpointRecord& record, const HealthCheck& check, OnProbed on_done);
  ~GrpcProbe() override;

 private:
  // net::StreamListener
  void on_connected() override;
  void on_bytes(std::span<const char> bytes) override;
  void on_end() override { end(to_string(Errc::end_of_stream)); }
  void on_error(Error error) override { end(to_string(error.code)); }
  // http::H2SessionListener, H2StreamListener
  void on_h2_request(http::H2Stream& stream, std::span<const http::Field> fields, bool ends) override;
  void on_h2_block(std::span<const http::Field> fields, bool ends) override;
  void on_h2_body(std::string_view bytes) override;
  void on_h2_end() override;
  void on_h2_drained() override {}
  void on_h2_closed(http::H2Error error, bool is_unprocessed) override;
  // http::H2Output
  std::size_t room() override { return kRoom; }
  void add_text(std::string_view bytes) override { out_ += bytes; }
  void add_bytes(std::string_view bytes) override { out_ += bytes; }
  void release_views() override {}
  void on_h2_unsent() override {}

  void send();
  void end(std::string_view problem);

  static constexpr std::size_t kRoom = 64 * 1024;
  net::Loop& loop_;
  OnProbed on_done_;
  const std::string authority_, service_;
  net::Timer late_;
  std::unique_ptr<net::Lookup> lookup_;
  std::unique_ptr<net::Stream> stream_;
  std::unique_ptr<http::H2Session> session_;
  http::H2Stream* call_ = nullptr;
  std::string out_, message_;
  std::string http_status_;
  int grpc_status_ = -1;
  std::string verdict_;  // with `is_judged_`; told when the session is done with its callbacks
  bool is_judged_ = false;
};

}  // namespace lotse::proxy
