// One HTTP/2 connection to an endpoint, shared by exchanges: each has a stream of it, which is its UpstreamLink.
// Connects, feeds the session, sends what it has to say, asks a silent peer for a sign of life, drains after GOAWAY.
// What a failure means is the exchanges' business, framing and bounds are http::H2Session's. Owned by the Worker; one
// loop thread. States: connecting -> open -> leaving (takes no new streams) -> closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "http/h2_fields.h"
#include "http/h2_session.h"
#include "proxy/deadline.h"
#include "proxy/dialer.h"
#include "proxy/h2_pool.h"
#include "proxy/h2_upstream_stream.h"
#include "proxy/h2_writer.h"
#include "proxy/memory_share.h"
#include "proxy/upstream.h"

namespace lotse::proxy {

class Worker;

class H2Upstream final : public Upstream,
                         public DialerOwner,
                         public ListNode<InH2Pool>,
                         public http::H2SessionListener,
                         public H2Writer {
 public:
  H2Upstream(Worker& worker, EndpointRecord& record);
  ~H2Upstream() override;

  void connect();
  // has_room() is true. A connection that is open already takes the request at once; else on_upstream_connected or
  // on_upstream_failed follows, from the loop.
  UpstreamLink& lend_stream(UpstreamUser& user);
  void abandon() override;  // nobody uses it
  void retire();            // no new streams; closed when the last one has ended

  bool is_open() const { return state_ == State::open; }
  bool takes_new() const { return state_ == State::connecting || state_ == State::open; }
  bool has_room() const;
  std::size_t stream_count() const { return stream_count_; }
  std::size_t streams_max() const;                      // the peer's bound and ours
  std::optional<std::size_t> peer_streams_max() const;  // once it has said
  EndpointState& state();

 private:
  friend class H2UpstreamStream;
  enum class State : std::uint8_t { connecting, open, leaving, closed };

  // DialerOwner
  void on_dialled(std::unique_ptr<net::Stream> stream) override { stream_ = std::move(stream); }
  void on_name_unknown() override { fail(Errc::resolve_failed, {}); }
  void on_connected() override;
  void on_bytes(std::span<const char> bytes) override;
  void on_end() override;
  void on_error(Error error) override;
  void on_drained() override;
  // http::H2SessionListener
  void on_h2_request(http::H2Stream& stream, std::span<const http::Field> fields, bool ends) override;
  void on_h2_goaway(http::H2Error error) override;
  void on_h2_settings() override;
  // H2Writer
  void write_frames() override;
  net::Stream* output_stream() override { return stream_.get(); }

  void on_stream_over(H2UpstreamStream& stream);
  void after_streams();
  void tell_refused();
  void wait_for_peer();
  void look_after_peer();
  void fail(Errc code, const char* reason);
  void close();

  Worker& worker_;
  EndpointRecord& record_;
  Dialer dialer_;
  std::unique_ptr<net::Stream> stream_;
  std::unique_ptr<http::H2Session> session_;  // from on_connected() on
  http::H2HeadReader reader_;
  HeldBytes held_;
  State state_ = State::connecting;
  std::vector<std::unique_ptr<H2UpstreamStream>> all_streams_;  // at most as many as were open at once
  IntrusiveList<H2UpstreamStream, InH2Streams> open_streams_, free_streams_;
  IntrusiveList<H2UpstreamStream, InH2Touched> touched_;  // by the bytes that are being read
  std::vector<http::Field> fields_;                       // of a head on its way out
  std::size_t stream_count_ = 0;
  std::optional<std::size_t> said_streams_max_;
  bool has_refused_ = false;          // a stream that is_refused_
  bool has_served_ = false;           // an exchange before the next one
  Instant heard_at_{}, pinged_at_{};  // of the peer, the last time
  int pings_without_news_ = 0;        // since anything but their answers came
  bool waits_for_pong_ = false;
  Deadline peer_check_;
};

}  // namespace lotse::proxy
