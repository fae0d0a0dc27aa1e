// What request and response parsing have in common: collecting a head, splitting its field lines, and reading the body
// by length, by chunks or until the connection ends. Our own checks run on every head byte; then llhttp must agree with
// any head that two programs might read differently, and it alone reads the chunk framing. Internal to the parser.
#pragma once

#include <llhttp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "http/chunk_line.h"
#include "http/h1_parser.h"
#include "http/head_scanner.h"

namespace lotse::http {

// What the fields say about framing and the connection; the first violation of PROXY.md "Posture" 3, 4 and 6 is
// `error`.
struct FieldFacts {
  std::optional<std::uint64_t> content_length;
  bool is_chunked = false;
  bool says_close = false, says_keep_alive = false, names_upgrade = false;
  bool expects_continue = false, expects_other = false;
  std::string_view host, upgrade;
  int hosts = 0, upgrades = 0;
};

class MessageReader {
 public:
  MessageReader(llhttp_type_t type, const Limits& limits);
  virtual ~MessageReader() { give_back(std::move(store_)); }
  MessageReader(const MessageReader&) = delete;
  MessageReader& operator=(const MessageReader&) = delete;

  FeedResult feed(std::span<const char> bytes);
  void pause() { paused_ = true; }
  std::uint64_t fixed_body_left() const { return phase_ == Phase::fixed ? left_ : 0; }
  FeedResult skip_body(std::uint64_t bytes);
  bool is_between_messages() const { return phase_ == Phase::start && !seen_cr_; }
  bool has_partial_head() const { return phase_ == Phase::head || (phase_ == Phase::start && seen_cr_); }
  bool finish();
  void release();
  void discard();
  std::size_t buffered_bytes() const {
    if (store_ == nullptr) return 0;
    return store_->head.capacity() + store_->trailer_bytes.capacity() +
           store_->line_ends.capacity() * sizeof(std::uint32_t) +
           (store_->fields.capacity() + store_->trailers.capacity()) * sizeof(Field);
  }

 protected:
  enum class Body : std::uint8_t { none, fixed, chunked, until_close, interim };  // interim: another head follows (1xx)
  struct CheckedHead {
    ParseError error;
    Body body = Body::none;
    std::uint64_t length = 0;  // for Body::fixed
    bool is_chunked = false;   // what the fields say, whether or not there is a body
    bool upgrades = false;
    // No Transfer-Encoding, no Upgrade, a known method: llhttp has nothing to say that our checks have not, and is not
    // asked (docs/decisions/0004-llhttp-where-it-decides.md; h1_agreement_fuzz.cc holds us to it).
    bool is_plain = false;
  };

  virtual bool may_start() const { return true; }  // false: bytes nobody asked for
  // Our checks of the head; its listener hears of it in emit_head(), when llhttp has agreed.
  virtual CheckedHead check_head(std::string_view start_line) = 0;
  virtual void emit_head() = 0;
  virtual void emit_body(std::span<const char> bytes) = 0;
  virtual void emit_trailers(std::span<const Field> trailers) = 0;
  virtual void emit_complete() = 0;

  std::span<const Field> fields() const { return store_->fields; }
  // Reads what the collected fields say; `minor_version` decides about Transfer-Encoding and Upgrade.
  ParseError read_facts(int minor_version, FieldFacts& facts) const;
  const Limits& limits() const { return limits_; }

 private:
  enum class Phase : std::uint8_t {
    start,
    head,
    fixed,
    chunk_line,
    chunk_data,
    chunk_end,
    trailers,
    until_close,
    failed
  };

  class Buffer {  // grows by doubling up to what the scanner lets in
   public:
    void append(std::span<const char> bytes, std::size_t bytes_max);
    void clear() { size_ = 0; }
    bool is_empty() const { return size_ == 0; }
    std::size_t capacity() const { return capacity_; }
    std::string_view text() const { return {bytes_.get(), size_}; }

   private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = 0, capacity_ = 0;
  };

  // What one message needs. Between messages it is lent to other readers of the thread: of thousands of idle
  // connections none owns one.
  struct Store {
    Buffer head, trailer_bytes;
    std::vector<std::uint32_t> line_ends;  // of the head: where the CRs are
    std::vector<Field> fields, trailers;
  };
  void take_store();
  static void give_back(std::unique_ptr<Store> store);
  static std::vector<std::unique_ptr<Store>>& spare_stores();

  // Each takes what belongs to its phase from the front of `bytes` (never empty) and says how much that was.
  std::size_t feed_start(std::span<const char> bytes, FeedResult& result);
  std::size_t feed_head(std::span<const char> bytes, FeedResult& result);
  std::size_t feed_whole_head(std::span<const char> bytes, FeedResult& result);
  void take_head(FeedResult& result);
  ParseError read_fields(std::string_view head);
  std::size_t feed_fixed(std::span<const char> bytes, FeedResult& result);
  std::size_t feed_chunk_line(std::span<const char> bytes, FeedResult& result);
  std::size_t feed_chunk_data(std::span<const char> bytes, FeedResult& result);
  std::size_t feed_chunk_end(std::span<const char> bytes, FeedResult& result);
  std::size_t feed_trailers(std::span<const char> bytes, FeedResult& result);

  ParseError confirm_head(std::string_view head, const CheckedHead& checked);
  ParseError confirm(std::string_view bytes, llhttp_errno_t expected);
  void begin_body(const CheckedHead& checked, FeedResult& result);
  void complete(FeedResult& result);
  void fail(FeedResult& result, ParseError error);

  static const llhttp_settings_t& settings();
  static int on_chunk_header(llhttp_t* llhttp);

  llhttp_t llhttp_;
  llhttp_type_t type_;
  const Limits& limits_;
  Phase phase_ = Phase::start;
  bool paused_ = false;
  bool seen_cr_ = false;  // of an empty line before a request, or of the line end after a chunk
  bool skipped_empty_line_ = false;
  bool upgrades_ = false;
  HeadScanner scanner_;
  ChunkLine chunk_line_;
  std::uint64_t left_ = 0;           // of the body or the chunk
  bool chunk_announced_ = false;     // llhttp has read a whole chunk line
  std::size_t extension_bytes_ = 0;  // of this body
  std::unique_ptr<Store> store_;     // from the first byte of a head until release()
  ParseError error_;
};

}  // namespace lotse::http
