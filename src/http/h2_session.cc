#include "http/h2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace lotse::http {

namespace {

constexpr std::size_t kCopiedBytesMax = 2048;  // copying this much is cheaper than flushing for it
constexpr std::size_t kKeptBodyBytes = 4096;   // larger buffers belong to the stream that needed them
constexpr std::size_t kSparesMax = 256;        // streams of the thread that wait for their next use
constexpr std::size_t kAcksMax = 100;          // of the peer's PING and SETTINGS, waiting for room
constexpr std::size_t kFrameHeadBytes = 9;
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 40;

thread_local std::vector<std::unique_ptr<H2Stream>> spares;
thread_local std::vector<nghttp2_nv> name_values;

// nghttp2 copies what it is given, and makes the names small.
std::span<const nghttp2_nv> to_nghttp2(std::span<const Field> fields) {
  const auto bytes = [](std::string_view text) {
    return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
  };
  name_values.clear();
  for (const Field& field : fields) {
    name_values.push_back(
        {bytes(field.name), bytes(field.value), field.name.size(), field.value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  return name_values;
}

H2Error error_of(int code) {
  switch (code) {
    case NGHTTP2_ERR_FLOODED:
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
      return H2Error::enhance_your_calm;
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
      return H2Error::protocol_error;
    default:
      return H2Error::internal_error;
  }
}

}  // namespace

// What nghttp2 calls. `user` is the session.
struct H2Callbacks {
  static H2Session& self(void* user) { return *static_cast<H2Session*>(user); }

  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* user) {
    H2Session& session = self(user);
    if (head->type != NGHTTP2_CONTINUATION) session.has_partial_block_ = false;
    const bool is_empty = head->length == 0 && (head->flags & NGHTTP2_FLAG_END_STREAM) == 0;
    bool is_bad = false;
    switch (head->type) {
      case NGHTTP2_DATA:
      case NGHTTP2_HEADERS:
        is_bad = is_empty && session.is_flood(H2Flood::empty_frames);
        break;
      case NGHTTP2_CONTINUATION:
        is_bad = head->length == 0 && session.is_flood(H2Flood::empty_frames);
        break;
      case NGHTTP2_PRIORITY:  // nghttp2 does not look at them any more
        if (head->stream_id == 0) session.error_ = H2Error::protocol_error;
        is_bad = head->stream_id == 0 || session.is_flood(H2Flood::other_frames);
        break;
      case NGHTTP2_RST_STREAM:
        is_bad = session.is_flood(H2Flood::resets);
        break;
      case NGHTTP2_SETTINGS:
        is_bad = session.is_flood(H2Flood::settings);
        break;
      case NGHTTP2_PING:
        is_bad = session.is_flood(H2Flood::pings);
        break;
      case NGHTTP2_WINDOW_UPDATE:
        is_bad = session.is_flood(H2Flood::window_updates);
        break;
      default:
        is_bad = session.is_flood(H2Flood::other_frames);
        break;
    }
    return is_bad ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  static int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    H2Session& own = self(user);
    own.has_partial_block_ = true;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      H2Stream& stream = own.new_stream(frame->hd.stream_id);
      own.floods_.on_stream();
      nghttp2_session_set_stream_user_data(session, stream.id_, &stream);
      // All have the same rank and take turns: what clients say about priorities is not looked at.
      nghttp2_extpri priority{NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
      nghttp2_session_change_extpri_stream_priority(session, stream.id_, &priority, 1);
      own.current_ = &stream;
    } else {
      own.current_ = own.stream_of(frame->hd.stream_id);
    }
    if (own.current_ != nullptr) own.block_of(*own.current_).clear();
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name, std::size_t name_bytes,
                       const std::uint8_t* value, std::size_t value_bytes, std::uint8_t, void* user) {
    H2Session& own = self(user);
    if (own.current_ == nullptr || own.current_->is_reset_) return 0;
    const auto text = [](const std::uint8_t* bytes, std::size_t size) {
      return std::string_view(reinterpret_cast<const char*>(bytes), size);
    };
    if (own.block_of(*own.current_)
            .add(text(name, name_bytes), text(value, value_bytes), own.head_bytes_max_, own.fields_max_))
      return 0;
    own.error_ = H2Error::enhance_your_calm;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int on_frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2Session& own = self(user);
    const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        own.has_partial_block_ = false;
        if (H2Stream* stream = std::exchange(own.current_, nullptr)) own.on_block(*stream, ends);
        break;
      case NGHTTP2_DATA:
        if (ends) {
          if (H2Stream* stream = own.stream_of(frame->hd.stream_id)) own.on_peer_end(*stream);
        } else if (frame->hd.length > 0 && frame->hd.length <= frame->data.padlen &&
                   own.is_flood(H2Flood::empty_frames)) {
          return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
        break;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) own.listener_.on_h2_settings();
        break;
      case NGHTTP2_GOAWAY:
        own.goaway_last_id_ = frame->goaway.last_stream_id;
        own.listener_.on_h2_goaway(static_cast<H2Error>(frame->goaway.error_code));
        break;
      default:
        break;
    }
    return own.is_broken_ ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes, std::size_t size,
                     void* user) {
    H2Session& own = self(user);
    if (H2Stream* stream = own.stream_of(id)) {
      own.on_data(*stream, {reinterpret_cast<const char*>(bytes), size});
    } else {
      nghttp2_session_consume_connection(own.session_, size);
    }
    return own.is_broken_ ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  static int on_stream_close(nghttp2_session* session, std::int32_t id, std::uint32_t error, void* user) {
    auto* stream = static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session, id));
    if (stream != nullptr) self(user).on_stream_closed(*stream, static_cast<H2Error>(error));
    return 0;
  }

  static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t*, std::size_t bytes_max,
                           std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto& stream = *static_cast<H2Stream*>(source->ptr);
    const std::size_t waiting = stream.queued_bytes();
    if (waiting == 0 && !stream.ends_) return NGHTTP2_ERR_DEFERRED;
    const std::size_t bytes = std::min(waiting, bytes_max);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (bytes < waiting || !stream.ends_) return static_cast<ssize_t>(bytes);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (auto trailers = stream.sent_trailers_.fields(); !trailers.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      auto all = to_nghttp2(trailers);
      nghttp2_submit_trailer(session, id, all.data(), all.size());
    }
    return static_cast<ssize_t>(bytes);
  }

  static int send_body(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head, std::size_t bytes,
                       nghttp2_data_source* source, void* user) {
    H2Session& own = self(user);
    if (own.output_.room() == 0) return NGHTTP2_ERR_WOULDBLOCK;
    own.output_.add_text({reinterpret_cast<const char*>(head), kFrameHeadBytes});
    CHECK(frame->data.padlen == 0);  // we ask for none
    own.write_body(*static_cast<H2Stream*>(source->ptr), bytes);
    return 0;
  }

  static int on_frame_send(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2Session& own = self(user);
    H2Stream* stream = frame->hd.stream_id != 0 ? own.stream_of(frame->hd.stream_id) : nullptr;
    switch (frame->hd.type) {
      case NGHTTP2_DATA:
        ++own.data_frames_sent_;
        own.floods_.on_data_sent();
        [[fallthrough]];
      case NGHTTP2_HEADERS:
        // The answer is whole, the request is not: nobody wants the rest (RFC 9113 section 8.1). Clients that are still
        // sending may take a reset for the end of the answer as well, so it waits until they have had time to read.
        if (stream != nullptr && !own.is_client_ && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
            !stream->peer_has_ended_ && !stream->is_reset_ && !stream->stays_half_open_) {
          stream->is_answered_ = true;
          own.listener_.on_h2_answered_early();
        }
        break;
      case NGHTTP2_RST_STREAM:
        if (stream != nullptr && stream->is_reset_) break;
        own.listener_.on_h2_stream_error(static_cast<H2Error>(frame->rst_stream.error_code));
        if (own.is_flood(H2Flood::resets)) return NGHTTP2_ERR_CALLBACK_FAILURE;
        break;
      case NGHTTP2_GOAWAY:
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR) own.error_ = static_cast<H2Error>(frame->goaway.error_code);
        break;
      default:
        break;
    }
    return 0;
  }

  // A frame of a type that we do not know, counted by on_begin_frame: ignored (RFC 9113 section 5.5).
  static int on_unknown(nghttp2_session*, void**, const nghttp2_frame_hd*, void*) { return NGHTTP2_ERR_CANCEL; }

  // A request that never left: GOAWAY was faster.
  static int on_frame_not_send(nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    H2Session& own = self(user);
    for (H2Stream* stream : own.streams_) {
      if (stream->id_ != frame->hd.stream_id) continue;
      own.on_stream_closed(*stream, H2Error::refused_stream);
      break;
    }
    return 0;
  }

  static const nghttp2_session_callbacks* all() {
    static const nghttp2_session_callbacks* const kAll = [] {
      nghttp2_session_callbacks* all = nullptr;
      CHECK(nghttp2_session_callbacks_new(&all) == 0);
      nghttp2_session_callbacks_set_on_begin_frame_callback(all, on_begin_frame);
      nghttp2_session_callbacks_set_on_begin_headers_callback(all, on_begin_headers);
      nghttp2_session_callbacks_set_on_header_callback(all, on_header);
      nghttp2_session_callbacks_set_on_frame_recv_callback(all, on_frame_recv);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all, on_data);
      nghttp2_session_callbacks_set_on_stream_close_callback(all, on_stream_close);
      nghttp2_session_callbacks_set_send_data_callback(all, send_body);
      nghttp2_session_callbacks_set_on_frame_send_callback(all, on_frame_send);
      nghttp2_session_callbacks_set_unpack_extension_callback(all, on_unknown);
      nghttp2_session_callbacks_set_on_frame_not_send_callback(all, on_frame_not_send);
      return all;
    }();
    return kAll;
  }
};

H2Session::H2Session(H2SessionListener& listener, H2Output& output, const H2Options& options)
    : listener_(listener),
      output_(output),
      head_bytes_max_(options.head_bytes_max),
      fields_max_(options.fields_max),
      body_low_bytes_(options.body_low_bytes),
      is_client_(options.is_client),
      floods_(options.floods) {
  nghttp2_option* settings = nullptr;
  CHECK(nghttp2_option_new(&settings) == 0);
  nghttp2_option_set_no_auto_window_update(settings, 1);
  nghttp2_option_set_no_http_messaging(settings, 1);  // h2_fields.h: one place says what is malformed, and why
  nghttp2_option_set_no_closed_streams(settings, 1);
  nghttp2_option_set_max_continuations(settings, options.continuations_max);
  nghttp2_option_set_max_outbound_ack(settings, kAcksMax);
  nghttp2_option_set_max_deflate_dynamic_table_size(settings, options.header_table_bytes);
  nghttp2_option_set_max_send_header_block_length(settings, 4 * std::max<std::size_t>(head_bytes_max_, 16 * 1024));
  nghttp2_option_set_stream_reset_rate_limit(settings, kNoLimit, kNoLimit);  // H2FloodMeter counts them
  for (int type = NGHTTP2_CONTINUATION + 1; type <= 0xff; ++type) {
    nghttp2_option_set_user_recv_extension_type(settings, static_cast<std::uint8_t>(type));
  }
  nghttp2_mem memory{&memory_, h2_allocate, h2_free, h2_allocate_zeroed, h2_reallocate};
  const int code = is_client_ ? nghttp2_session_client_new3(&session_, H2Callbacks::all(), this, settings, &memory)
                              : nghttp2_session_server_new3(&session_, H2Callbacks::all(), this, settings, &memory);
  nghttp2_option_del(settings);
  CHECK(code == 0);
  announce(options);
}

H2Session::~H2Session() {
  is_broken_ = true;
  while (!streams_.empty()) drop(*streams_.back());
  nghttp2_session_del(session_);
}

void H2Session::announce(const H2Options& options) {
  std::array<nghttp2_settings_entry, 7> entries;
  std::size_t count = 0;
  const auto add = [&](std::int32_t id, std::size_t value) {
    entries[count++] = {id, static_cast<std::uint32_t>(value)};
  };
  add(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.stream_window_bytes);
  add(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, head_bytes_max_);
  add(NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, options.header_table_bytes);
  if (is_client_) {
    add(NGHTTP2_SETTINGS_ENABLE_PUSH, 0);
  } else {
    add(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options.streams_max);
    add(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1);
    if (options.takes_extended_connect) add(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
  }
  CHECK(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries.data(), count) == 0);
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<std::int32_t>(options.connection_window_bytes));
}

// Coming in -------------------------------------------------------------------------------------------------------

void H2Session::feed(std::string_view bytes, Instant now) {
  if (is_broken_) return;
  now_ = now;
  is_busy_ = true;
  const ssize_t code =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  is_busy_ = false;
  if (code < 0 && !is_broken_) break_off(error_ != H2Error::no_error ? error_ : error_of(static_cast<int>(code)));
  if (is_broken_ || nghttp2_session_want_write(session_) != 0) tell_unsent();
}

bool H2Session::is_flood(H2Flood kind) {
  if (!floods_.is_too_much(kind, now_)) return false;
  flood_ = kind;
  error_ = H2Error::enhance_your_calm;
  return true;
}

// nghttp2 does not speak any more after a failure of a callback, so the last frame is ours.
void H2Session::break_off(H2Error error) {
  error_ = error;
  is_broken_ = true;
  const auto last = static_cast<std::uint32_t>(nghttp2_session_get_last_proc_stream_id(session_));
  const auto code = static_cast<std::uint32_t>(error);
  std::array<char, kFrameHeadBytes + 8> frame{0, 0, 8, NGHTTP2_GOAWAY};
  for (std::size_t i = 0; i < 4; ++i) {
    frame[kFrameHeadBytes + i] = static_cast<char>(last >> (24 - 8 * i));
    frame[kFrameHeadBytes + 4 + i] = static_cast<char>(code >> (24 - 8 * i));
  }
  output_.add_text({frame.data(), frame.size()});
}

H2Stream* H2Session::stream_of(std::int32_t id) const {
  return static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session_, id));
}

H2Stream& H2Session::new_stream(std::int32_t id) {
  std::unique_ptr<H2Stream> stream;
  if (spares.empty()) {
    stream = std::make_unique<H2Stream>();
  } else {
    stream = std::move(spares.back());
    spares.pop_back();
  }
  stream->id_ = id;
  stream->index_ = streams_.size();
  streams_.push_back(stream.release());
  return *streams_.back();
}

void H2Session::on_block(H2Stream& stream, bool ends) {
  if (stream.is_reset_) return;
  const bool is_head = !stream.has_head_;
  H2Block& block = block_of(stream);
  const std::size_t held = stream.block_.held_bytes() + stream.trailers_.held_bytes();
  block_bytes_ += held - std::exchange(stream.block_held_, held);
  if (!is_client_ && is_head) {
    stream.has_head_ = true;
    listener_.on_h2_request(stream, block.fields(), ends);
  } else {
    if (block.is_too_large() || (!is_client_ && !ends)) return reject(stream, H2Error::protocol_error);
    if (stream.listener_ != nullptr) stream.listener_->on_h2_block(block.fields(), ends);
  }
  if (ends && !stream.is_reset_) on_peer_end(stream);
}

void H2Session::on_data(H2Stream& stream, std::string_view bytes) {
  stream.unconsumed_bytes_ += bytes.size();
  stream.body_bytes_ += bytes.size();
  if (stream.is_answered_) return consume_connection_only(stream, bytes.size());  // it may not send much more
  if (stream.is_reset_ || stream.listener_ == nullptr) return consume(stream, bytes.size());
  if (stream.expected_bytes_ && stream.body_bytes_ > *stream.expected_bytes_)
    return reject(stream, H2Error::protocol_error);
  stream.listener_->on_h2_body(bytes);
}

void H2Session::on_peer_end(H2Stream& stream) {
  if (stream.is_reset_) return;
  if (stream.expected_bytes_ && stream.body_bytes_ < *stream.expected_bytes_ && stream.head_was_sent_ && !is_client_) {
    // Who sees that it gets an error may leave the rest of its body out. To the endpoint the request is not whole, so
    // its connection ends with the answer.
    stream.peer_has_ended_ = true;
    return;
  }
  if (stream.expected_bytes_ && stream.body_bytes_ != *stream.expected_bytes_)
    return reject(stream, H2Error::protocol_error);
  stream.peer_has_ended_ = true;
  if (stream.listener_ != nullptr) stream.listener_->on_h2_end();
}

void H2Session::reset_answered() {
  for (H2Stream* stream : streams_) {
    if (!stream->is_answered_ || std::exchange(stream->is_reset_, true) || is_broken_) continue;
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream->id_, NGHTTP2_NO_ERROR);
  }
  tell_unsent();
}

// What the peer did wrong on one stream.
void H2Session::reject(H2Stream& stream, H2Error error) {
  H2StreamListener* listener = std::exchange(stream.listener_, nullptr);
  reset(stream, error);
  listener_.on_h2_stream_error(error);
  if (listener != nullptr) listener->on_h2_closed(error, false);
  if (is_flood(H2Flood::resets) && !is_broken_) break_off(H2Error::enhance_your_calm);
}

void H2Session::on_stream_closed(H2Stream& stream, H2Error error) {
  if (H2StreamListener* listener = std::exchange(stream.listener_, nullptr)) {
    const bool is_unprocessed =
        error == H2Error::refused_stream || (is_client_ && goaway_last_id_ >= 0 && stream.id_ > goaway_last_id_);
    listener->on_h2_closed(error, is_unprocessed);
  }
  drop(stream);
}

void H2Session::drop(H2Stream& stream) {
  if (stream.unconsumed_bytes_ > 0 && !is_broken_)
    nghttp2_session_consume_connection(session_, stream.unconsumed_bytes_);
  if (current_ == &stream) current_ = nullptr;
  if (sending_ == &stream) sending_ = nullptr;
  if (stream.was_above_) std::erase(drained_, &stream);
  queued_bytes_ -= stream.queued_bytes();
  block_bytes_ -= stream.block_held_;
  streams_[stream.index_] = streams_.back();
  streams_[stream.index_]->index_ = stream.index_;
  streams_.pop_back();
  std::unique_ptr<H2Stream> owned(&stream);
  output_.release_views();
  if (spares.size() >= kSparesMax) return;
  H2Block block = std::move(stream.block_), trailers = std::move(stream.trailers_),
          sent = std::move(stream.sent_trailers_);
  std::string body = std::move(stream.body_);
  stream = H2Stream{};
  block.clear(), trailers.clear(), sent.clear(), body.clear();
  stream.block_ = std::move(block), stream.trailers_ = std::move(trailers), stream.sent_trailers_ = std::move(sent);
  if (body.capacity() <= kKeptBodyBytes) stream.body_ = std::move(body);
  spares.push_back(std::move(owned));
}

void H2Session::close_streams(H2Error error) {
  for (H2Stream* stream : std::vector<H2Stream*>(streams_)) {
    stream->is_reset_ = true;
    if (H2StreamListener* listener = std::exchange(stream->listener_, nullptr)) listener->on_h2_closed(error, false);
  }
}

// Going out -------------------------------------------------------------------------------------------------------

void H2Session::flush() {
  is_unsent_ = false;
  if (is_busy_ || is_broken_) return;
  is_busy_ = true;
  while (output_.room() > 0) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t count = nghttp2_session_mem_send(session_, &bytes);
    if (count < 0) break_off(error_ != H2Error::no_error ? error_ : error_of(static_cast<int>(count)));
    if (count <= 0) break;
    output_.add_text({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(count)});
  }
  is_busy_ = false;
  tell_drained();
}

bool H2Session::is_over() const {
  return is_broken_ || (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0);
}

void H2Session::tell_unsent() {
  if (is_busy_ || std::exchange(is_unsent_, true)) return;
  output_.on_h2_unsent();
}

void H2Session::tell_drained() {
  while (!drained_.empty()) {
    H2Stream* stream = drained_.back();
    drained_.pop_back();
    stream->was_above_ = false;
    if (stream->listener_ != nullptr) stream->listener_->on_h2_drained();
  }
}

void H2Session::send_head(H2Stream& stream, std::span<const Field> fields, bool ends) {
  if (stream.is_reset_ || is_broken_) return;
  auto all = to_nghttp2(fields);
  const bool is_interim = !fields.empty() && fields.front().value.starts_with('1');
  if (is_interim) {
    nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr, all.data(), all.size(), nullptr);
  } else {
    nghttp2_data_provider body{{.ptr = &stream}, H2Callbacks::read_body};
    stream.ends_ = ends;
    stream.head_was_sent_ = true;
    nghttp2_submit_response(session_, stream.id_, all.data(), all.size(), ends ? nullptr : &body);
  }
  tell_unsent();
}

std::uint32_t H2Session::peer_streams_max() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool H2Session::peer_takes_extended_connect() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

bool H2Session::can_open() const {
  return !is_broken_ && goaway_last_id_ < 0 && streams_.size() < peer_streams_max() &&
         nghttp2_session_check_request_allowed(session_) != 0;
}

H2Stream* H2Session::open(std::span<const Field> fields, bool ends, H2StreamListener& listener) {
  if (!can_open()) return nullptr;
  H2Stream& stream = new_stream(0);
  nghttp2_data_provider body{{.ptr = &stream}, H2Callbacks::read_body};
  auto all = to_nghttp2(fields);
  stream.id_ = nghttp2_submit_request(session_, nullptr, all.data(), all.size(), ends ? nullptr : &body, &stream);
  if (stream.id_ < 0) {
    drop(stream);
    return nullptr;
  }
  stream.listener_ = &listener;
  stream.ends_ = ends;
  stream.head_was_sent_ = true;
  tell_unsent();
  return &stream;
}

void H2Session::send_body(H2Stream& stream, std::string_view bytes) {
  if (bytes.empty() || stream.is_reset_ || is_broken_) return;
  queued_bytes_ += bytes.size();
  if (is_busy_ || bytes.size() <= kCopiedBytesMax || output_.room() == 0) {
    keep(stream, bytes);
    return wake(stream);
  }
  stream.view_ = bytes;
  sending_ = &stream;
  nghttp2_session_resume_data(session_, stream.id_);
  flush();
  if (std::exchange(sending_, nullptr) != &stream) return;
  const std::string_view rest = std::exchange(stream.view_, {});
  if (rest.empty()) return;
  keep(stream, rest);
  tell_unsent();
}

void H2Session::keep(H2Stream& stream, std::string_view bytes) {
  if (!stream.body_.empty()) output_.release_views();  // they may be of the body, which moves when it grows
  if (stream.body_offset_ > 0 && stream.body_offset_ >= stream.body_.size() / 2) {
    stream.body_.erase(0, std::exchange(stream.body_offset_, 0));
  }
  stream.body_.append(bytes);
  if (stream.queued_bytes() > body_low_bytes_) stream.was_above_ = true;
}

void H2Session::write_body(H2Stream& stream, std::size_t bytes) {
  queued_bytes_ -= bytes;
  if (const std::size_t kept = std::min(bytes, stream.body_.size() - stream.body_offset_); kept > 0) {
    output_.add_bytes(std::string_view(stream.body_).substr(stream.body_offset_, kept));
    stream.body_offset_ += kept;
    bytes -= kept;
  }
  if (bytes > 0) {
    output_.add_bytes(stream.view_.substr(0, bytes));
    stream.view_.remove_prefix(bytes);
  }
  if (stream.was_above_ && stream.queued_bytes() <= body_low_bytes_ &&
      std::find(drained_.begin(), drained_.end(), &stream) == drained_.end())
    drained_.push_back(&stream);
}

void H2Session::wake(H2Stream& stream) {
  nghttp2_session_resume_data(session_, stream.id_);
  tell_unsent();
}

void H2Session::send_end(H2Stream& stream, std::span<const Field> trailers) {
  if (stream.is_reset_ || stream.ends_ || is_broken_) return;
  stream.ends_ = true;
  for (const Field& field : trailers) {
    stream.sent_trailers_.add(field.name, field.value, std::size_t{1} << 20, std::size_t{1} << 16);
  }
  wake(stream);
}

void H2Session::reset(H2Stream& stream, H2Error error) {
  stream.listener_ = nullptr;
  if (std::exchange(stream.is_reset_, true) || is_broken_) return;
  if (stream.unconsumed_bytes_ > 0) consume(stream, stream.unconsumed_bytes_);
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, static_cast<std::uint32_t>(error));
  tell_unsent();
}

void H2Session::consume(H2Stream& stream, std::size_t bytes) {
  stream.unconsumed_bytes_ -= bytes;
  if (is_broken_) return;
  nghttp2_session_consume(session_, stream.id_, bytes);
  if (!is_busy_ && nghttp2_session_want_write(session_) != 0) tell_unsent();
}

void H2Session::consume_connection_only(H2Stream& stream, std::size_t bytes) {
  stream.unconsumed_bytes_ -= bytes;
  if (is_broken_) return;
  nghttp2_session_consume_connection(session_, bytes);
  if (!is_busy_ && nghttp2_session_want_write(session_) != 0) tell_unsent();
}

void H2Session::consume_stream_only(H2Stream& stream, std::size_t bytes) {
  if (is_broken_) return;
  nghttp2_session_consume_stream(session_, stream.id_, bytes);
  if (!is_busy_ && nghttp2_session_want_write(session_) != 0) tell_unsent();
}

// Ending ----------------------------------------------------------------------------------------------------------

void H2Session::ping() {
  if (is_broken_) return;
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  tell_unsent();
}

void H2Session::announce_end() {
  if (is_broken_) return;
  nghttp2_submit_shutdown_notice(session_);
  tell_unsent();
}

void H2Session::finish() {
  if (is_broken_) return;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
  tell_unsent();
}

void H2Session::end(H2Error error) {
  if (is_broken_) return;
  error_ = error;
  nghttp2_session_terminate_session(session_, static_cast<std::uint32_t>(error));
  tell_unsent();
}

}  // namespace lotse::http
