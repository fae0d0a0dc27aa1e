#include "http/client_call.h"

#include <fmt/format.h>

#include <iterator>

#include "http/client_pool.h"
#include "http/head_scanner.h"
#include "http/message.h"
#include "http/text.h"
#include "net/loop.h"

namespace lotse::http {

ClientCall::ClientCall(ClientCallOwner& owner, ClientRequest request, OnDone on_done, ClientListener* listener)
    : owner_(&owner),
      request_(std::move(request)),
      on_done_(std::move(on_done)),
      listener_(listener),
      method_(method_from(request_.method)),
      timeout_(owner.pool().loop().timers(), [this] { on_timeout(); }),
      connect_timeout_(owner.pool().loop().timers(), [this] {
        on_connection_failed({.code = Errc::timed_out, .origin = Origin::upstream, .retry = Retry::always});
      }) {}

void ClientCall::start() {
  if (!is_sound()) return fail_later({.code = Errc::invalid_argument});
  timeout_.start(request_.timeout);
  write_head();
  connection_ = owner_->pool().take(request_.endpoint);
  if (!connection_) return connect_afresh();
  is_reused_ = true;
  connection_->take(*this);
  send();
}

bool ClientCall::is_sound() const {
  const auto is_clean = [](std::string_view text) {
    return find_control(text.data(), text.data() + text.size()) == text.data() + text.size();
  };
  if (!is_token(request_.method) || method_ == Method::connect || request_.target.empty()) return false;
  for (const char c : request_.target) {
    if (c <= ' ' || c >= 0x7f) return false;
  }
  for (const auto& [name, value] : request_.fields) {
    if (!is_token(name) || !is_clean(value) || equals_ignoring_case(name, "Transfer-Encoding")) return false;
    if (equals_ignoring_case(name, "Content-Length") && value != std::to_string(request_.body.size())) return false;
  }
  return is_clean(request_.endpoint.host);
}

void ClientCall::write_head() {
  auto out = std::back_inserter(head_);
  fmt::format_to(out, "{} {} HTTP/1.1\r\n", request_.method, request_.target);
  const auto is_absent = [&](std::string_view name) { return find_field(request_.fields, name) == nullptr; };
  if (is_absent("Host")) fmt::format_to(out, "Host: {}\r\n", request_.endpoint.authority());
  for (const auto& [name, value] : request_.fields) fmt::format_to(out, "{}: {}\r\n", name, value);
  if (is_absent("User-Agent")) fmt::format_to(out, "User-Agent: {}\r\n", owner_->options().user_agent);
  const bool wants_length =
      !request_.body.empty() || method_ == Method::post || method_ == Method::put || method_ == Method::patch;
  if (wants_length && is_absent("Content-Length")) fmt::format_to(out, "Content-Length: {}\r\n", request_.body.size());
  head_ += "\r\n";
}

// Connecting ------------------------------------------------------------------------------------------------------

void ClientCall::connect_afresh() {
  is_reused_ = false;
  addresses_.clear();
  next_address_ = 0;
  const Endpoint& endpoint = request_.endpoint;
  auto address = endpoint.unix_path.empty() ? net::Address::from_ip(endpoint.host, endpoint.port)
                                            : net::Address::parse("unix:" + endpoint.unix_path);
  if (address) {
    addresses_.push_back(*address);
    return connect_to_next_address();
  }
  if (!endpoint.unix_path.empty() || endpoint.host.empty()) return fail_later({.code = Errc::invalid_argument});
  lookup_ = net::resolve(owner_->pool().loop(), endpoint.host, endpoint.port,
                         [this](Result<std::vector<net::Address>> found) {
                           const auto self = shared_from_this();
                           if (!found) return fail(found.error());
                           addresses_ = std::move(*found);
                           connect_to_next_address();
                         });
}

void ClientCall::connect_to_next_address() {
  connection_ = std::make_shared<ClientConnection>(owner_->pool(), request_.endpoint);
  connect_timeout_.start(owner_->options().connect_timeout);
  connection_->connect(addresses_[next_address_++], *this);
}

void ClientCall::on_connected() {
  connect_timeout_.stop();
  send();
}

void ClientCall::on_connection_failed(Error error) {
  const auto self = shared_from_this();
  connect_timeout_.stop();
  if (connection_) connection_->close();
  connection_ = nullptr;
  if (error.retry == Retry::always && next_address_ < addresses_.size()) return connect_to_next_address();
  // The peer may have closed the idle connection while our request was under way (RFC 9112 section 9.3.1).
  if (error.retry == Retry::on_reused_connection && is_reused_ && !was_replayed_ && is_idempotent(method_)) {
    was_replayed_ = true;
    return connect_afresh();
  }
  fail(error);
}

// The exchange ----------------------------------------------------------------------------------------------------

void ClientCall::send() {
  connection_->send(method_, head_, request_.body);
  if (is_paused_) connection_->pause();
}

void ClientCall::on_response_head(const ResponseHead& head) {
  const auto self = shared_from_this();
  response_.status = head.status;
  response_.fields.reserve(head.fields.size());
  for (const Field& field : head.fields) response_.fields.emplace_back(field.name, field.value);
  if (listener_ == nullptr) return;
  timeout_.stop();
  listener_->on_head(response_.status, response_.fields);
}

void ClientCall::on_response_body(std::string_view bytes) {
  const auto self = shared_from_this();
  if (listener_ != nullptr) return listener_->on_body(bytes);
  if (response_.body.size() + bytes.size() > request_.body_bytes_max) {
    return fail({.code = Errc::too_large, .origin = Origin::upstream});
  }
  response_.body += bytes;
}

void ClientCall::on_response_complete() {
  const auto self = shared_from_this();
  connection_ = nullptr;  // the pool's again, or closed
  const OnDone on_done = std::move(on_done_);
  end();
  if (listener_ != nullptr) return listener_->on_complete();
  on_done(std::move(response_));
}

void ClientCall::pause() {
  is_paused_ = true;
  if (connection_) connection_->pause();
}

void ClientCall::resume() {
  is_paused_ = false;
  if (connection_) connection_->resume();
}

// Ending ----------------------------------------------------------------------------------------------------------

void ClientCall::on_timeout() {
  if (later_) return fail(*later_);
  fail({.code = Errc::timed_out, .origin = Origin::upstream});
}

void ClientCall::cancel() {
  on_done_ = nullptr;
  end();
}

void ClientCall::end() {
  if (connection_) connection_->close();
  connection_ = nullptr;
  lookup_ = nullptr;
  timeout_.stop();
  connect_timeout_.stop();
  if (ClientCallOwner* const owner = std::exchange(owner_, nullptr)) owner->forget(*this);
}

void ClientCall::fail(Error error) {
  if (owner_ == nullptr) return;
  const auto self = shared_from_this();
  const OnDone on_done = std::move(on_done_);
  end();
  if (listener_ != nullptr) return listener_->on_failed(error);
  on_done(lotse::fail(error));
}

// Callbacks come from the loop, never from inside the caller's own send().
void ClientCall::fail_later(Error error) {
  later_ = error;
  timeout_.start(Duration::zero());
}

}  // namespace lotse::http
