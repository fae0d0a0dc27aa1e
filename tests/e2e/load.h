// Steady load through a proxy: N kept-alive connections, each with one request under way, on a thread of its own.
// Nothing is retried, so every answer that is not the right one, and every connection lost with a request on it, is
// counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/address.h"
#include "net/loop.h"

namespace lotse::e2e {

struct LoadOptions {
  std::string address;  // "127.0.0.1:8000"
  std::string target = "/hello/";
  int connections = 64;
  std::string expect = "Hello from ";  // every body begins so
  std::string fields;                  // more request fields, each with its CRLF
  int pause_ms = 0;                    // between an answer and the next request of the connection
};

class Load {
 public:
  explicit Load(LoadOptions options);
  ~Load();
  void stop();  // lets requests under way end, then joins

  std::uint64_t answered() const { return answered_; }
  std::uint64_t failed() const { return failed_; }
  std::string failures() const;                          // what failed, one line a kind with its count
  std::map<std::string, std::uint64_t> by_task() const;  // answers by the X-Task header
  void forget();                                         // counts from here on
  // Waits until `count` more requests are answered.
  void let_pass(std::uint64_t count);

 private:
  friend class LoadConnection;
  void on_answer(const std::string& task);
  void on_failure(const std::string& what);

  LoadOptions options_;
  std::atomic<std::uint64_t> answered_{0}, failed_{0};
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> failures_, by_task_;
  std::unique_ptr<net::Loop> loop_;
  std::thread thread_;
};

}  // namespace lotse::e2e
