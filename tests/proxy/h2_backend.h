// An endpoint that speaks HTTP/2 with prior knowledge, on nghttp2 alone (nothing of ours but the harness), so that both
// sides of the proxy's wrapper are not the same code. By default every whole request is answered with 200 and the
// backend's name; `on_request` changes that. Raw frames for peers that do what nghttp2 would not.
#pragma once

#include <nghttp2/nghttp2.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/proxy/harness.h"

namespace lotse::proxy::test {

using Pairs = std::vector<std::pair<std::string, std::string>>;

class H2Backend {
 public:
  struct Connection;
  struct Stream {
    Connection* connection = nullptr;
    std::int32_t id = 0;
    Pairs fields, trailers;  // of the request, pseudo-fields too
    std::string body;
    bool is_whole = false, is_closed = false;
    std::uint32_t error = 0;  // of the RST_STREAM that closed it

    std::string out;  // of the answer's body, not taken by nghttp2 yet
    bool out_is_whole = true;
    Pairs out_trailers;

    std::string field(std::string_view name) const {
      for (const auto& [key, value] : fields) {
        if (key == name) return value;
      }
      return "";
    }
  };
  struct Connection {
    Peer* peer = nullptr;
    nghttp2_session* session = nullptr;
    std::map<std::int32_t, std::unique_ptr<Stream>> streams;  // closed ones too
    std::size_t pings = 0, settings = 0;
    bool has_goaway = false;
    bool is_reading = false;  // inside a callback of nghttp2's, where nothing may be sent
    std::uint32_t goaway_error = 0;
    ~Connection() { nghttp2_session_del(session); }
  };
  struct Options {
    std::uint32_t streams_max = 100;
    bool takes_windows = true;  // false: what came is not said to be taken, until consume()
    bool sends_preface = true;
  };

  H2Backend(net::Loop& loop, std::string name) : H2Backend(loop, std::move(name), Options{}) {}
  H2Backend(net::Loop& loop, std::string name, Options options) : backend(loop, std::move(name)), options_(options) {
    backend.script = [this](Peer& peer) { feed(peer); };
  }
  // Connections refer to peers of `backend`, which is destroyed after them.

  std::function<void(Stream&)> on_request = [this](Stream& stream) { respond(stream, "200", {}, backend.name()); };
  std::function<void(Stream&)> on_head = [](Stream&) {};  // before the body is whole
  std::function<void(Connection&)> on_new_connection = [](Connection&) {};

  void respond(Stream& stream, const std::string& status, Pairs fields = {}, std::string body = "",
               Pairs trailers = {}) {
    begin(stream, status, std::move(fields));
    finish(stream, std::move(body), std::move(trailers));
  }
  // A head that is all there is.
  void respond_head(Stream& stream, const std::string& status, Pairs fields) {
    fields.insert(fields.begin(), {":status", status});
    auto names = values_of(fields);
    nghttp2_submit_response(stream.connection->session, stream.id, names.data(), names.size(), nullptr);
    flush(*stream.connection);
  }
  void raw_head(Stream& stream, Pairs fields) {  // as given, and the end
    auto names = values_of(fields);
    nghttp2_submit_response(stream.connection->session, stream.id, names.data(), names.size(), nullptr);
    flush(*stream.connection);
  }
  void interim(Stream& stream, const std::string& status, Pairs fields = {}) {
    fields.insert(fields.begin(), {":status", status});
    auto names = values_of(fields);
    nghttp2_submit_headers(stream.connection->session, NGHTTP2_FLAG_NONE, stream.id, nullptr, names.data(),
                           names.size(), nullptr);
    flush(*stream.connection);
  }
  void begin(Stream& stream, const std::string& status, Pairs fields = {}) {
    fields.insert(fields.begin(), {":status", status});
    auto names = values_of(fields);
    stream.out_is_whole = false;
    nghttp2_data_provider provider{};
    provider.source.ptr = &stream;
    provider.read_callback = &read_out;
    nghttp2_submit_response(stream.connection->session, stream.id, names.data(), names.size(), &provider);
    flush(*stream.connection);
  }
  void send(Stream& stream, std::string_view bytes) {
    stream.out += bytes;
    nghttp2_session_resume_data(stream.connection->session, stream.id);
    flush(*stream.connection);
  }
  void finish(Stream& stream, std::string body = "", Pairs trailers = {}) {
    stream.out += body;
    stream.out_is_whole = true;
    stream.out_trailers = std::move(trailers);
    nghttp2_session_resume_data(stream.connection->session, stream.id);
    flush(*stream.connection);
  }
  void reset(Stream& stream, std::uint32_t error) {
    nghttp2_submit_rst_stream(stream.connection->session, NGHTTP2_FLAG_NONE, stream.id, error);
    flush(*stream.connection);
  }
  void goaway(Connection& connection, std::int32_t last_id, std::uint32_t error = NGHTTP2_NO_ERROR) {
    nghttp2_submit_goaway(connection.session, NGHTTP2_FLAG_NONE, last_id, error, nullptr, 0);
    flush(connection);
  }
  void settings(Connection& connection, std::vector<nghttp2_settings_entry> entries) {
    nghttp2_submit_settings(connection.session, NGHTTP2_FLAG_NONE, entries.data(), entries.size());
    flush(connection);
  }
  void consume(Stream& stream, std::size_t bytes) {
    nghttp2_session_consume(stream.connection->session, stream.id, bytes);
    flush(*stream.connection);
  }
  static std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
    std::string bytes;
    for (int shift : {16, 8, 0}) bytes += static_cast<char>(payload.size() >> shift);
    bytes += static_cast<char>(type);
    bytes += static_cast<char>(flags);
    for (int shift : {24, 16, 8, 0}) bytes += static_cast<char>(stream >> shift);
    return bytes.append(payload);
  }
  void flush(Connection& connection) {
    while (!connection.is_reading) {
      const std::uint8_t* bytes = nullptr;
      ssize_t count = nghttp2_session_mem_send(connection.session, &bytes);
      if (count <= 0) return;
      connection.peer->send({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(count)});
    }
  }

  std::size_t open_streams() const {
    std::size_t sum = 0;
    for (const auto& one : connections) {
      for (const auto& [id, stream] : one->streams) sum += stream->is_closed ? 0 : 1;
    }
    return sum;
  }
  std::size_t requests() const {
    std::size_t sum = 0;
    for (const auto& one : connections) sum += one->streams.size();
    return sum;
  }
  Stream& last() { return *connections.back()->streams.rbegin()->second; }

  Backend backend;
  std::vector<std::unique_ptr<Connection>> connections;

 private:
  static std::vector<nghttp2_nv> values_of(Pairs& fields) {
    std::vector<nghttp2_nv> values;
    for (auto& [name, value] : fields) {
      values.push_back({reinterpret_cast<std::uint8_t*>(name.data()), reinterpret_cast<std::uint8_t*>(value.data()),
                        name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    }
    return values;
  }
  Connection& connection_of(Peer& peer) {
    for (const auto& one : connections) {
      if (one->peer == &peer) return *one;
    }
    auto made = std::make_unique<Connection>();
    made->peer = &peer;
    open_session(*made);
    connections.push_back(std::move(made));
    on_new_connection(*connections.back());
    return *connections.back();
  }
  void open_session(Connection& connection) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, &on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, &on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &on_close);
    nghttp2_option* option = nullptr;
    nghttp2_option_new(&option);
    nghttp2_option_set_no_closed_streams(option, 1);
    if (!options_.takes_windows) nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_session_server_new2(&connection.session, callbacks, this, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_session_set_user_data(connection.session, this);
    if (options_.sends_preface) settings(connection, {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options_.streams_max}});
  }
  void feed(Peer& peer) {
    Connection& connection = connection_of(peer);
    std::string bytes = std::exchange(peer.received, {});
    ssize_t taken =
        nghttp2_session_mem_recv(connection.session, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    connection.is_reading = false;
    EXPECT_GE(taken, 0) << nghttp2_strerror(static_cast<int>(taken));
    flush(connection);
  }

  static Stream* stream_of(nghttp2_session* session, std::int32_t id) {
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
  }
  static H2Backend& self_of(void* user) { return *static_cast<H2Backend*>(user); }
  Connection& connection_with(nghttp2_session* session) {
    for (const auto& one : connections) {
      if (one->session == session) return *one;
    }
    std::abort();
  }
  static int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    Connection& connection = self_of(user).connection_with(session);
    auto made = std::make_unique<Stream>();
    made->connection = &connection;
    made->id = frame->hd.stream_id;
    nghttp2_session_set_stream_user_data(session, made->id, made.get());
    connection.streams[made->id] = std::move(made);
    return 0;
  }
  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_bytes, const std::uint8_t* value, std::size_t value_bytes, std::uint8_t,
                       void*) {
    Stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    Pairs& to = frame->headers.cat == NGHTTP2_HCAT_REQUEST ? stream->fields : stream->trailers;
    to.emplace_back(std::string(reinterpret_cast<const char*>(name), name_bytes),
                    std::string(reinterpret_cast<const char*>(value), value_bytes));
    return 0;
  }
  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                     std::size_t count, void*) {
    if (Stream* stream = stream_of(session, id)) stream->body.append(reinterpret_cast<const char*>(bytes), count);
    return 0;
  }
  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    H2Backend& self = self_of(user);
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
      ++self.connection_with(session).pings;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      self.connection_with(session).has_goaway = true;
      self.connection_with(session).goaway_error = frame->goaway.error_code;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    Stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) self.on_head(*stream);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    stream->is_whole = true;
    self.on_request(*stream);
    return 0;
  }
  static int on_close(nghttp2_session* session, std::int32_t id, std::uint32_t error, void*) {
    if (Stream* stream = stream_of(session, id)) {
      stream->is_closed = true;
      stream->error = error;
    }
    return 0;
  }
  static ssize_t read_out(nghttp2_session* session, std::int32_t id, std::uint8_t* to, std::size_t room,
                          std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto* stream = static_cast<Stream*>(source->ptr);
    const std::size_t count = std::min(room, stream->out.size());
    if (count == 0 && !stream->out_is_whole) return NGHTTP2_ERR_DEFERRED;
    std::copy_n(stream->out.data(), count, to);
    stream->out.erase(0, count);
    if (stream->out.empty() && stream->out_is_whole) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!stream->out_trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        auto values = values_of(stream->out_trailers);
        nghttp2_submit_trailer(session, id, values.data(), values.size());
      }
    }
    return static_cast<ssize_t>(count);
  }

  Options options_;
};

}  // namespace lotse::proxy::test
