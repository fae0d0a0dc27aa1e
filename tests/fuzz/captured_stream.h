// A stream that keeps what is written to it, for fuzz targets that look at what we would send.
#pragma once

#include <string>

#include "net/stream.h"

namespace lotse::test {

class CapturedStream final : public net::Stream {
 public:
  using net::Stream::write;
  void set_listener(net::StreamListener*) override {}
  void start_reading() override {}
  void stop_reading() override {}
  bool is_reading() const override { return false; }
  void write(std::span<const std::string_view> pieces) override {
    for (const std::string_view piece : pieces) text += piece;
  }
  std::size_t queued_bytes() const override { return 0; }
  std::size_t undelivered_bytes() const override { return 0; }
  void shutdown() override {}
  void reset() override {}
  net::Address peer() const override { return {}; }
  net::Address local() const override { return {}; }

  std::string text;
};

}  // namespace lotse::test
