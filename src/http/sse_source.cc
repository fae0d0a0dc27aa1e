#include <fmt/format.h>

#include <algorithm>

#include "base/random.h"
#include "http/message.h"
#include "http/sse.h"
#include "net/loop.h"
#include "net/timers.h"

namespace lotse::http {

namespace {

constexpr Duration kFirstDelay = std::chrono::milliseconds(100);
constexpr std::size_t kRefusalBytesMax = 200;  // of the body of an answer that is no event stream

std::string url_of(const ClientRequest& request) {
  const Endpoint& endpoint = request.endpoint;
  if (!endpoint.unix_path.empty()) return fmt::format("unix:{} {}", endpoint.unix_path, request.target);
  return fmt::format("http://{}{}", endpoint.authority(), request.target);
}

bool is_event_stream(const Fields& fields) {
  const std::string* type = find_field(fields, "Content-Type");
  return type != nullptr && equals_ignoring_case(std::string_view(*type).substr(0, 17), "text/event-stream");
}

}  // namespace

struct SseSource::Impl final : ClientListener, std::enable_shared_from_this<Impl> {
  Impl(Client& on, ClientRequest what, SseListener& to, Options how)
      : client(on),
        request(std::move(what)),
        listener(&to),
        options(how),
        parser(how.event_bytes_max),
        random(Random::from_system()),
        retry_timer(on.loop().timers(), [this] { connect(); }),
        silence_timer(on.loop().timers(), [this] { lose(silence_text()); }) {}

  void connect() {
    drop();
    connected_at = client.loop().now();
    ClientRequest wanted = request;
    if (find_field(wanted.fields, "Accept") == nullptr) wanted.fields.emplace_back("Accept", "text/event-stream");
    if (!parser.last_id().empty()) wanted.fields.emplace_back("Last-Event-ID", parser.last_id());
    wanted.timeout = std::min(wanted.timeout, options.silence_max);
    call = client.stream(std::move(wanted), *this);
  }

  void on_head(int status, const Fields& fields) override {
    const auto self = shared_from_this();
    silence_timer.start(options.silence_max);
    if (status != 200 || !is_event_stream(fields)) {
      refusal = fmt::format("answered {}{}", status, status == 200 ? " but no event stream" : "");
      return;
    }
    is_open = true;
    listener->on_open();
  }

  void on_body(std::string_view bytes) override {
    const auto self = shared_from_this();
    if (!is_open) {
      refusal_body += bytes.substr(0, kRefusalBytesMax - refusal_body.size());
      if (refusal_body.size() == kRefusalBytesMax) lose(refusal_text());
      return;
    }
    silence_timer.start(options.silence_max);
    is_feeding = true;
    const bool fits = parser.feed(bytes, [this](const SseEvent& event) { listener->on_event(event); });
    is_feeding = false;
    if (listener == nullptr) return;
    if (std::exchange(wants_reconnect, false)) return reconnect();
    if (!fits) lose(fmt::format("an event larger than {} bytes", options.event_bytes_max));
  }

  void on_complete() override {
    const auto self = shared_from_this();
    lose(is_open ? "the stream ended" : refusal_text());
  }

  void on_failed(Error error) override {
    const auto self = shared_from_this();
    lose(refusal.empty() ? describe(error) : refusal_text());
  }

  std::string refusal_text() const {
    return refusal_body.empty() ? refusal : fmt::format("{}: {}", refusal, refusal_body);
  }
  std::string silence_text() const {
    return is_open ? fmt::format("silent for {}", format_duration(options.silence_max)) : refusal_text();
  }

  void lose(const std::string& why) {
    const auto self = shared_from_this();
    // A stream that lived a while starts the delays anew; one that fails again and again is left alone longer.
    if (is_open && client.loop().now() - connected_at >= options.retry_max) losses = 0;
    drop();
    retry_timer.start(next_delay());
    listener->on_lost({url_of(request), why});
  }

  Duration next_delay() {
    const int doublings = std::min(losses++, 20);
    if (doublings == 0) return std::min(kFirstDelay, options.retry_max);
    const Duration delay = std::min(kFirstDelay * (1 << doublings), options.retry_max);
    return delay / 2 + Duration(static_cast<std::int64_t>(random.unit() * static_cast<double>(delay.count() / 2)));
  }

  void reconnect() {
    if (is_feeding) {  // from on_event: when the parser has returned
      wants_reconnect = true;
      parser.stop();
      return;
    }
    drop();
    // At once, but a listener that is never content does not become a busy loop.
    const Duration since = client.loop().now() - connected_at;
    if (since >= kFirstDelay) return connect();
    retry_timer.start(kFirstDelay - since);
  }

  void drop() {
    call = nullptr;
    retry_timer.stop();
    silence_timer.stop();
    parser.reset();
    is_open = false;
    refusal.clear();
    refusal_body.clear();
  }

  void end() {
    listener = nullptr;
    parser.stop();
    call = nullptr;
    retry_timer.stop();
    silence_timer.stop();
  }

  Client& client;
  ClientRequest request;
  SseListener* listener;  // null: the source has gone
  const Options options;
  SseParser parser;
  Random random;
  net::Timer retry_timer, silence_timer;
  std::unique_ptr<Call> call;
  Instant connected_at{};  // when the latest attempt began
  int losses = 0;          // in a row
  bool is_open = false, is_feeding = false, wants_reconnect = false;
  std::string refusal, refusal_body;
};

SseSource::SseSource(Client& client, ClientRequest request, SseListener& listener, Options options)
    : impl_(std::make_shared<Impl>(client, std::move(request), listener, options)) {}
SseSource::~SseSource() { impl_->end(); }

void SseSource::start() {
  if (!impl_->call && !impl_->retry_timer.is_armed()) impl_->connect();
}
void SseSource::reconnect() { impl_->reconnect(); }
void SseSource::forget_last_id() { impl_->parser.set_last_id({}); }
void SseSource::set_request(ClientRequest request) { impl_->request = std::move(request); }

}  // namespace lotse::http
