#include "proxy/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "http/url.h"
#include "proxy/grpc.h"
#include "proxy/worker.h"

namespace lotse::proxy {

namespace {

constexpr std::size_t kHostBytesMax = 255;  // of a name (RFC 1035 section 2.3.4)

// Lower case, without port and trailing dot, in the arena.
std::string_view matched_host(std::string_view authority, Arena& arena) {
  std::string_view host = http::host_of(authority);
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  if (host.size() > kHostBytesMax) return {};
  char* place = arena.array<char>(host.size());
  std::transform(host.begin(), host.end(), place,
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return {place, host.size()};
}

std::string_view without_segments(std::string_view path, int count) {
  std::size_t place = 0;
  for (; count > 0; --count) {
    while (place < path.size() && path[place] == '/') ++place;
    while (place < path.size() && path[place] != '/') ++place;
  }
  return path.substr(place);
}

bool has_dot_segments(std::string_view path) {
  bool found = false;
  for_each_segment(path, [&](std::string_view segment) {
    int dots = 0;
    while (!segment.empty()) {
      bool is_escaped = segment.size() >= 3 && segment[0] == '%' && segment[1] == '2' && (segment[2] | 0x20) == 'e';
      if (!is_escaped && segment[0] != '.') return true;
      segment.remove_prefix(is_escaped ? 3 : 1);
      if (++dots > 2) return true;
    }
    found = true;
    return false;
  });
  return found;
}

}  // namespace

Exchange::Exchange(Worker& worker)
    : worker_(worker), deadline_(worker.loop(), [this] {
        Turn turn(worker_);
        on_deadline();
      }) {}

// Routing ---------------------------------------------------------------------------------------------------------

void Exchange::start(DownstreamUser& downstream, const http::RequestHead& head) {
  downstream_ = &downstream;
  head_ = &head;
  phase_ = Phase::sending;
  started_ = worker_.loop().now();
  stats_ = &worker_.unrouted_stats();
  keeps_body_ = head.has_body();
  worker_.counters().requests.add();
  if (is_grpc_call(head)) begin_call();

  std::string_view matched;
  if (!read_path(matched)) return;
  std::string_view host = matched_host(head.authority, arena_);
  RoutingState& routing = worker_.routing();
  auto found = routing.find(host, matched, downstream.listener_name(), worker_.balancer().random().next());
  if (!found.is_found) return answer_no_route(host, matched);
  Slot& slot = routing.slot_at(found.slot);
  if (!slot.set) return answer(503, "the app of this route is not known yet", true);
  slot_ = {found.slot, slot.generation};
  stats_ = &slot.set->stats;
  if (found.route != nullptr) retry_ = found.route->retry;
  set_target(found.strip_segments);
  append_request_fields(head, downstream.client(), worker_.config().http.keep_underscore_fields, arena_,
                        request_fields_);
  choose();
}

// What is forwarded keeps the client's spelling; only dot segments are taken out when there are any, so that no
// endpoint resolves a path into another app's than the one we matched.
bool Exchange::read_path(std::string_view& matched) {
  if (head_->path == "*") {
    matched = path_ = "*";
    return true;
  }
  if (!http::is_acceptable_path(head_->path)) {
    answer(400, "the path has an escaped slash, a backslash, a bad escape or a control character");
    return false;
  }
  auto normalised = http::normalise_path(head_->path, path_buffer_);
  if (!normalised) {
    answer(400, "the path climbs above its root");
    return false;
  }
  matched = *normalised;
  path_ = head_->path;
  if (matched.data() != path_.data() && has_dot_segments(path_)) path_ = matched;
  return true;
}

void Exchange::set_target(int strip_segments) {
  std::string_view path = strip_segments > 0 ? without_segments(path_, strip_segments) : path_;
  // "//host/x" is a path to us and a reference to another host to many URL libraries.
  while (path.starts_with("//")) path.remove_prefix(1);
  const char* end_of_path = path.data() + path.size();
  const bool is_as_received = end_of_path == head_->path.data() + head_->path.size() &&
                              (!head_->has_query || head_->query.data() == end_of_path + 1);
  if (is_as_received && !path.empty()) {
    // Path and query stand side by side in the request line: one view has both.
    std::size_t query_bytes = head_->has_query ? head_->query.size() + 1 : 0;
    target_ = {path.data(), path.size() + query_bytes};
    return;
  }
  std::size_t bytes = path.size() + head_->query.size() + 2;
  char* place = arena_.array<char>(bytes);
  char* end = place;
  if (path.empty()) *end++ = '/';
  end = std::copy(path.begin(), path.end(), end);
  if (head_->has_query) {
    *end++ = '?';
    end = std::copy(head_->query.begin(), head_->query.end(), end);
  }
  target_ = {place, static_cast<std::size_t>(end - place)};
}

void Exchange::answer_no_route(std::string_view host, std::string_view path) {
  const RouteTable* table = worker_.routing().table();
  text_.clear();
  auto out = std::back_inserter(text_);
  if (table != nullptr && table->knows_host(host)) {
    fmt::format_to(out, "no route for path {} on host {}: the host has routes, none takes this path", path, host);
  } else {
    fmt::format_to(out, "no route for host {} path {}: no route names this host{}", host, path,
                   table != nullptr && table->expose().path ? ", and no app id begins the path" : "");
  }
  answer(404, text_);
}

// The client's bytes ----------------------------------------------------------------------------------------------

void Exchange::on_request_body(std::string_view bytes) {
  bytes_in_ += bytes.size();
  switch (phase_) {
    case Phase::waiting:
    case Phase::confirming:
    case Phase::connecting:
      body_.append(bytes);
      return;  // on_request_read() pauses the client at the bound
    case Phase::sending:
    case Phase::responding:
      if (upstream_ == nullptr) return;
      keep_for_replay(bytes);
      request_is_spliced_ = false;
      upstream_->send_body(bytes);
      worker_.counters().upstream_bytes_out.add(bytes.size());
      deadline_.set(worker_.config().timeouts.stream_idle);
      return;
    case Phase::idle:
    case Phase::tunnel:
    case Phase::over:
      return;
  }
}

// What is kept for a replay has to be seen.
net::Stream* Exchange::request_socket() {
  if (phase_ == Phase::tunnel) return upstream_ != nullptr ? upstream_->request_socket() : nullptr;
  if (keeps_body_ || upstream_ == nullptr || (phase_ != Phase::sending && phase_ != Phase::responding)) return nullptr;
  return upstream_->request_socket();
}

void Exchange::on_request_spliced(std::size_t bytes) {
  bytes_in_ += bytes;
  replay_is_lost_ = request_is_spliced_ = true;
  worker_.counters().upstream_bytes_out.add(bytes);
  deadline_.set(worker_.config().timeouts.stream_idle);
}

void Exchange::on_request_end(std::span<const http::Field> trailers) {
  request_is_whole_ = true;
  if (!trailers.empty()) append_trailers(trailers, &arena_, request_trailers_);
  if (upstream_ == nullptr || (phase_ != Phase::sending && phase_ != Phase::responding)) return;
  upstream_->send_end(request_trailers_);
  if (phase_ == Phase::sending) arm_for_answer();
}

void Exchange::on_request_read() {
  if (request_is_paused_ || phase_ == Phase::over) return;
  std::size_t queued = 0;
  if (phase_ == Phase::sending || phase_ == Phase::responding || phase_ == Phase::tunnel) {
    queued = upstream_ != nullptr ? upstream_->queued_bytes() : 0;
  } else {
    queued = body_.size();
  }
  // What is spliced is held by a pipe that has to be empty before it takes more.
  if (queued < (request_is_spliced_ ? 1 : worker_.config().limits.buffer_bytes_max)) return;
  request_is_paused_ = true;
  worker_.counters().request_pauses.add();
  if (upstream_ != nullptr) stalled_request_bytes_ = upstream_->undelivered_bytes();
  downstream_->pause_request();
}

void Exchange::on_upstream_drained() {
  if (phase_ == Phase::tunnel) maybe_end_tunnel();
  if (phase_ == Phase::over || !std::exchange(request_is_paused_, false)) return;
  downstream_->resume_request();
  if (phase_ == Phase::sending && request_is_whole_) return arm_for_answer();
  deadline_.set(phase_ == Phase::tunnel ? worker_.config().timeouts.tunnel_idle
                                        : worker_.config().timeouts.stream_idle);
}

void Exchange::on_request_broken(int status, std::string_view why) {
  if (phase_ != Phase::over) answer(status, why);
}

bool Exchange::refuse(std::string_view why) {
  if (phase_ == Phase::over || head_was_sent_) return false;
  answer(503, why, true);
  return true;
}

void Exchange::on_downstream_gone() {
  if (phase_ == Phase::over) return;
  if (phase_ == Phase::waiting || phase_ == Phase::confirming) leave_queue();
  if (upstream_ != nullptr) std::exchange(upstream_, nullptr)->abandon();
  if (status_ == 0) status_ = 499;  // nginx's number for it; nobody receives it
  if (error_.empty()) error_ = "the client closed the connection";
  finish();
}

// The answer ------------------------------------------------------------------------------------------------------

void Exchange::on_response_head(const http::ResponseHead& head) {
  if (head.status < 200) return relay_interim(head);
  if (is_call_) grpc_status_ = grpc_status_of(head.fields).value_or(-1);
  // A call that was answered with nothing but this says of the endpoint what a 503 does.
  worker_.failures().on_answer(*endpoint_, grpc_status_ == kGrpcUnavailable ? 503 : head.status);
  if (grpc_status_ > kGrpcOk && retry_call()) return;
  if (retry_.takes(head.status) && retry_status(head.status)) return;
  append_response_fields(head, response_fields_);
  ResponseOut out{.status = head.status,
                  .reason = head.reason,
                  .fields = response_fields_,
                  // A head that is all there is must end a stream of HTTP/2 itself: gRPC knows "Trailers-Only" by it.
                  .is_bodiless = head.is_bodiless || head.content_length == 0U,
                  .content_length = head.status == 204 ? std::nullopt : head.content_length};
  status_ = head.status;
  head_was_sent_ = true;
  keeps_body_ = false;
  phase_ = Phase::responding;
  deadline_.set(worker_.config().timeouts.stream_idle);
  note_first_byte();
  EndpointState& state = endpoint_->states[worker_.index()];
  state.suspect_until = {};
  downstream_->send_head(out);
}

void Exchange::relay_interim(const http::ResponseHead& head) {
  response_fields_.clear();
  append_response_fields(head, response_fields_);
  ResponseOut out{.status = head.status, .reason = head.reason, .fields = response_fields_, .is_bodiless = true};
  if (head.status == 101) {
    status_ = 101;
    note_first_byte();
    head_was_sent_ = true;
    phase_ = Phase::tunnel;
    out.upgrade = head.find("upgrade").value_or(head_->upgrade);
    deadline_.set(worker_.config().timeouts.tunnel_idle);
    begin_tunnel(out.upgrade);
    worker_.failures().on_answer(*endpoint_, head.status);
    downstream_->start_tunnel(out);
  } else {
    downstream_->send_informational(out);
    if (head.status == 100 && waits_for_continue()) {
      was_continued_ = true;
      deadline_.set(worker_.config().timeouts.stream_idle);
    }
  }
  response_fields_.clear();
}

void Exchange::begin_tunnel(std::string_view protocol) {
  const TunnelKind kind = http::equals_ignoring_case(protocol, "websocket") ? TunnelKind::websocket : TunnelKind::other;
  tunnel_ = &worker_.counters().tunnels[static_cast<std::size_t>(kind)];
  tunnel_->total.add();
  tunnel_->open.add();
  my_stats().tunnels.add();
}

void Exchange::note_first_byte() {
  first_byte_ = worker_.loop().now() - sent_at_;
  my_stats().first_byte.record(first_byte_);
}

AppWorkerStats& Exchange::my_stats() { return stats_->per_worker[worker_.index()]; }

void Exchange::on_response_body(std::string_view bytes) {
  if (phase_ != Phase::responding) return;
  bytes_out_ += bytes.size();
  response_is_spliced_ = false;
  deadline_.set(worker_.config().timeouts.stream_idle);
  downstream_->send_body(bytes);
}

net::Stream* Exchange::response_socket() {
  return phase_ == Phase::responding || phase_ == Phase::tunnel ? downstream_->response_socket() : nullptr;
}

void Exchange::on_response_spliced(std::size_t bytes) {
  if (phase_ != Phase::responding) return;
  bytes_out_ += bytes;
  response_is_spliced_ = true;
  deadline_.set(worker_.config().timeouts.stream_idle);
}

void Exchange::on_response_end(std::span<const http::Field> trailers) {
  upstream_ = nullptr;
  if (phase_ != Phase::responding) return;
  let_endpoint_go();
  response_fields_.clear();
  if (is_call_ && grpc_status_ < 0) grpc_status_ = grpc_status_of(trailers).value_or(-1);
  if (!trailers.empty() && head_->accepts_trailers()) append_trailers(trailers, nullptr, response_fields_);
  downstream_->send_end(response_fields_);
  finish();
}

void Exchange::on_upstream_read() {
  if (phase_ == Phase::over || upstream_is_paused_ || upstream_ == nullptr) return;
  if (downstream_->queued_bytes() <= (response_is_spliced_ ? 0 : worker_.config().limits.buffer_bytes_max)) return;
  upstream_is_paused_ = true;
  worker_.counters().response_pauses.add();
  stalled_bytes_ = downstream_->undelivered_bytes();
  upstream_->pause_reading();
}

void Exchange::on_downstream_drained() {
  if (phase_ == Phase::tunnel) maybe_end_tunnel();
  if (phase_ == Phase::over || !std::exchange(upstream_is_paused_, false) || upstream_ == nullptr) return;
  deadline_.set(phase_ == Phase::tunnel ? worker_.config().timeouts.tunnel_idle
                                        : worker_.config().timeouts.stream_idle);
  upstream_->resume_reading();
}

// Tunnels ---------------------------------------------------------------------------------------------------------

void Exchange::on_tunnel_from_upstream(std::string_view bytes) {
  if (phase_ != Phase::tunnel) return;
  count_tunnel_out(bytes.size());
  response_is_spliced_ = false;
  downstream_->tunnel_write(bytes);
}

void Exchange::on_tunnel_spliced_from_upstream(std::size_t bytes) {
  if (phase_ != Phase::tunnel) return;
  count_tunnel_out(bytes);
  response_is_spliced_ = true;
}

void Exchange::on_tunnel_from_downstream(std::string_view bytes) {
  if (phase_ != Phase::tunnel || upstream_ == nullptr) return;
  count_tunnel_in(bytes.size());
  request_is_spliced_ = false;
  upstream_->tunnel_write(bytes);
}

void Exchange::on_tunnel_spliced_from_downstream(std::size_t bytes) {
  if (phase_ != Phase::tunnel) return;
  count_tunnel_in(bytes);
  request_is_spliced_ = true;
}

void Exchange::count_tunnel_in(std::size_t bytes) {
  bytes_in_ += bytes;
  tunnel_->bytes_in.add(bytes);
  my_stats().tunnel_bytes_in.add(bytes);
  deadline_.set(worker_.config().timeouts.tunnel_idle);
}

void Exchange::count_tunnel_out(std::size_t bytes) {
  bytes_out_ += bytes;
  tunnel_->bytes_out.add(bytes);
  my_stats().tunnel_bytes_out.add(bytes);
  deadline_.set(worker_.config().timeouts.tunnel_idle);
}

void Exchange::on_tunnel_end_from_upstream() {
  if (phase_ != Phase::tunnel) return;
  upstream_has_ended_ = true;
  downstream_->tunnel_end();
  maybe_end_tunnel();
}

void Exchange::on_tunnel_end_from_downstream() {
  if (phase_ != Phase::tunnel || upstream_ == nullptr) return;
  downstream_has_ended_ = true;
  upstream_->tunnel_end();
  maybe_end_tunnel();
}

// Over when both sides have said so and what they said before has been delivered to the sockets.
void Exchange::maybe_end_tunnel() {
  if (!upstream_has_ended_ || !downstream_has_ended_ || upstream_ == nullptr) return;
  if (upstream_->queued_bytes() > 0 || downstream_->queued_bytes() > 0) return;
  std::exchange(upstream_, nullptr)->abandon();
  finish();
}

// Ending ----------------------------------------------------------------------------------------------------------

// Our own answer, with a sentence that says which step ended the request.
void Exchange::answer(int status, std::string_view text, bool try_later) {
  if (phase_ == Phase::waiting || phase_ == Phase::confirming) leave_queue();
  if (upstream_ != nullptr) std::exchange(upstream_, nullptr)->abandon();
  if (head_was_sent_) return abort(text);
  if (is_call_) return answer_call(status, text);
  status_ = status;
  head_was_sent_ = true;
  error_ = arena_.copy(text);
  response_fields_.clear();
  response_fields_.push_back({"Content-Type", "text/plain; charset=utf-8"});
  if (try_later) response_fields_.push_back({"Retry-After", "1"});
  ResponseOut out{.status = status,
                  .fields = response_fields_,
                  .is_bodiless = head_->method == http::Method::head,
                  .content_length = error_.size() + 1,
                  .closes = status == 400 || status == 408};
  downstream_->send_head(out);
  if (!out.is_bodiless) {
    downstream_->send_body(error_);
    downstream_->send_body("\n");
    bytes_out_ += error_.size() + 1;
  }
  downstream_->send_end({});
  finish();
}

void Exchange::abort(std::string_view error) {
  error_ = arena_.copy(error);
  downstream_->send_abort();
  finish();
}

void Exchange::finish() {
  if (endpoint_ != nullptr) let_endpoint_go();
  if (TunnelCounters* tunnel = std::exchange(tunnel_, nullptr)) tunnel->open.subtract();
  phase_ = Phase::over;
  deadline_.clear();
  Duration took = worker_.loop().now() - started_;
  AppWorkerStats& stats = my_stats();
  auto by_class = static_cast<std::size_t>(status_ / 100);
  stats.requests_by_class[by_class < stats.requests_by_class.size() ? by_class : 0].add();
  if (is_call_) stats.grpc_statuses[static_cast<std::size_t>(final_grpc_status())].add();
  stats.body_bytes_in.add(bytes_in_);
  stats.body_bytes_out.add(bytes_out_);
  if (status_ != 101) stats.total.record(took);
  worker_.counters().downstream_body_bytes_in.add(bytes_in_);
  worker_.counters().downstream_body_bytes_out.add(bytes_out_);
  if (AccessLogBuffer* log = worker_.access_log()) {
    log->write({.client = client_address(*head_, downstream_->client(), worker_.config().http),
                .method = head_->method_text,
                .host = head_->authority,
                .path = head_->path,
                .status = status_,
                .bytes_in = bytes_in_,
                .bytes_out = bytes_out_,
                .took = took,
                .first_byte = first_byte_,
                .app = stats_->app,
                .task = logged_task_,
                .endpoint = logged_endpoint_,
                .attempts = attempts_,
                .error = error_,
                .http_version = head_->major_version == 2   ? "2.0"
                                : head_->minor_version == 0 ? "1.0"
                                                            : "1.1"});
  }
  downstream_->on_exchange_over();
}

void Exchange::reset() {
  ListNode<InWaiting>::unlink();
  downstream_ = nullptr;
  head_ = nullptr;
  phase_ = Phase::idle;
  arena_.reset();
  request_fields_.clear();
  response_fields_.clear();
  request_trailers_.clear();
  constexpr std::size_t kKeptBytes = 4096;  // larger buffers belong to the request that needed them
  for (std::string* buffer : {&body_, &text_, &path_buffer_}) {
    buffer->clear();
    if (buffer->capacity() > kKeptBytes) give_back(*buffer);
  }
  path_ = target_ = error_ = logged_task_ = logged_endpoint_ = {};
  slot_ = {};
  endpoint_ = nullptr;
  endpoint_has_agent_ = false;
  upstream_ = nullptr;
  stats_ = nullptr;
  retry_ = {};
  failure_count_ = 0;
  attempts_ = connect_failures_ = unprocessed_ = 0;
  has_replayed_ = has_retried_empty_ = wants_fresh_ = request_is_whole_ = was_continued_ = false;
  request_is_spliced_ = response_is_spliced_ = false;
  request_is_paused_ = upstream_is_paused_ = keeps_body_ = replay_is_lost_ = head_was_sent_ = false;
  upstream_has_ended_ = downstream_has_ended_ = may_repeat_ = false;
  stalled_bytes_ = stalled_request_bytes_ = 0;
  status_ = 0;
  grpc_status_ = -1;
  is_call_ = false;
  deadline_.set_latest(Instant::max());
  bytes_in_ = bytes_out_ = 0;
  first_byte_ = {};
  deadline_.clear();
}

}  // namespace lotse::proxy
