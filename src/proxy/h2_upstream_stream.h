// One stream of an H2Upstream, as its exchange sees it. Belongs to the connection, which uses it again for the next
// exchange; after the exchange was told that it is over, or has abandoned it, it may be another one's. One loop thread.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "http/h2_session.h"
#include "proxy/intrusive_list.h"
#include "proxy/upstream_link.h"

namespace lotse::proxy {

class H2Upstream;
struct InH2Streams;  // tag: lent, or free
struct InH2Touched;  // tag: to be told when the read is over

class H2UpstreamStream final : public UpstreamLink,
                               public http::H2StreamListener,
                               public ListNode<InH2Streams>,
                               public ListNode<InH2Touched> {
 public:
  explicit H2UpstreamStream(H2Upstream& connection) : connection_(connection) {}

  void begin(UpstreamUser& user, bool is_reused);
  UpstreamUser* user() { return user_; }
  bool is_waiting() const { return stream_ == nullptr && !is_refused_; }  // for the connection to be made
  void fail(UpstreamFailure failure);  // what came of the connection; the stream is over

  // UpstreamLink
  void send_request(const RequestOut& head, std::string_view host_if_none) override;
  void send_body(std::string_view bytes) override;
  void send_end(std::span<const http::Field> trailers) override;
  void abandon() override;
  void tunnel_write(std::string_view bytes) override { send_body(bytes); }
  void tunnel_end() override { send_end({}); }
  void pause_reading() override { is_paused_ = true; }
  void resume_reading() override;
  std::size_t queued_bytes() const override { return stream_ != nullptr ? stream_->queued_bytes() : 0; }
  std::size_t undelivered_bytes() const override { return queued_bytes(); }
  bool may_refuse() const override { return true; }

 private:
  friend class H2Upstream;

  // http::H2StreamListener
  void on_h2_block(std::span<const http::Field> fields, bool ends) override;
  void on_h2_body(std::string_view bytes) override;
  void on_h2_end() override;
  void on_h2_drained() override;
  void on_h2_closed(http::H2Error error, bool is_unprocessed) override;

  void on_head(std::span<const http::Field> fields, bool ends);
  void break_off(const char* reason);
  UpstreamUser* let_go();

  H2Upstream& connection_;
  UpstreamUser* user_ = nullptr;
  http::H2Stream* stream_ = nullptr;       // null: the connection is not made yet, or the stream is over
  std::span<const http::Field> trailers_;  // during on_h2_end()
  std::size_t paused_bytes_ = 0;           // that came while we were not to read: their window stays shut
  http::Method method_ = http::Method::get;
  int interims_ = 0;
  bool is_reused_ = false;
  bool is_refused_ = false;  // no stream could be opened: told when the exchange is out of our call
  bool request_is_whole_ = false;
  bool has_head_ = false, has_answered_ = false;
  bool is_paused_ = false;
};

}  // namespace lotse::proxy
