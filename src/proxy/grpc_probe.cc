#include "proxy/grpc_probe.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "net/loop.h"
#include "proxy/endpoint_address.h"
#include "proxy/grpc.h"

namespace lotse::proxy {

namespace {

constexpr std::size_t kPrefixBytes = 5;       // "not compressed", then the message's length
constexpr std::size_t kMessageBytesMax = 64;  // a HealthCheckResponse has two

// HealthCheckRequest: one field, `string service = 1`, in a gRPC message.
std::string request_for(std::string_view service) {
  std::string message;
  if (!service.empty()) {
    message += '\x0a';
    message += static_cast<char>(service.size());  // below 128, see config_validate.cc
    message += service;
  }
  std::string framed(kPrefixBytes - 1, '\0');
  framed += static_cast<char>(message.size());
  return framed + message;
}

}  // namespace

GrpcProbe::GrpcProbe(net::Loop& loop, const EndpointRecord& record, const HealthCheck& check, OnProbed on_done)
    : loop_(loop),
      on_done_(std::move(on_done)),
      authority_(record.address_text),
      service_(check.service),
      late_(loop.timers(), [this] { end(to_string(Errc::timed_out)); }) {
  late_.start(check.timeout);
  lookup_ = find_address(loop_, record, [this](Result<net::Address> found) {
    if (!found) return end(to_string(found.error().code));
    stream_ = net::connect(loop_, *found, *this);
  });
}

GrpcProbe::~GrpcProbe() = default;

void GrpcProbe::on_connected() {
  session_ = std::make_unique<http::H2Session>(*this, *this, http::H2Options{.is_client = true});
  const std::array<http::Field, 7> fields{{{":method", "POST"},
                                           {":scheme", "http"},
                                           {":path", "/grpc.health.v1.Health/Check"},
                                           {":authority", authority_},
                                           {"te", "trailers"},
                                           {"content-type", "application/grpc"},
                                           {"user-agent", "lotse-health"}}};
  call_ = session_->open(fields, false, *this);
  if (call_ == nullptr) return end("no stream could be opened");
  session_->send_body(*call_, request_for(service_));
  session_->send_end(*call_, {});
  send();
  stream_->start_reading();
}

void GrpcProbe::on_bytes(std::span<const char> bytes) {
  session_->feed({bytes.data(), bytes.size()}, loop_.now());
  if (is_judged_) return end(verdict_);
  send();
  if (session_->is_over()) end("broke the rules of HTTP/2");
}

void GrpcProbe::send() {
  session_->flush();
  if (!out_.empty()) stream_->write(std::exchange(out_, {}));
}

void GrpcProbe::on_h2_request(http::H2Stream& stream, std::span<const http::Field>, bool) {
  session_->reset(stream, http::H2Error::refused_stream);
}

void GrpcProbe::on_h2_block(std::span<const http::Field> fields, bool) {
  if (!fields.empty() && fields.front().name == ":status") http_status_ = fields.front().value;
  if (auto status = grpc_status_of(fields)) grpc_status_ = *status;
}

void GrpcProbe::on_h2_body(std::string_view bytes) {
  session_->consume(*call_, bytes.size());
  if (message_.size() < kMessageBytesMax) message_ += bytes;
}

void GrpcProbe::on_h2_end() {
  is_judged_ = true;
  call_ = nullptr;
  // HealthCheckResponse: `ServingStatus status = 1`, and SERVING is 1.
  constexpr std::string_view kServing("\0\0\0\0\2\x08\x01", kPrefixBytes + 2);
  if (http_status_ != "200") {
    verdict_ = fmt::format("answered {}", http_status_);
  } else if (grpc_status_ > kGrpcOk) {
    verdict_ = fmt::format("grpc-status {} ({})", grpc_status_, grpc_status_name(grpc_status_));
  } else if (grpc_status_ < 0) {
    verdict_ = "answered without grpc-status";
  } else if (message_ != kServing) {
    verdict_ = "is not SERVING";
  }
}

void GrpcProbe::on_h2_closed(http::H2Error error, bool) {
  call_ = nullptr;
  if (std::exchange(is_judged_, true)) return;
  verdict_ = fmt::format("reset the stream ({})", to_string(error));
}

void GrpcProbe::end(std::string_view problem) {
  std::string told(problem);
  auto done = std::move(on_done_);
  done(std::move(told));  // destroys us
}

}  // namespace lotse::proxy
