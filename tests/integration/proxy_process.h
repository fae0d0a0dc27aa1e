// A proxy process with a backend behind it, for tests of what belongs to the process: takeovers, signals, systemd.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "http/server.h"
#include "net/loop.h"
#include "tests/e2e/load.h"
#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace lotse::integration {

using namespace std::chrono_literals;
using e2e::eventually;
using e2e::Load;
using e2e::Program;

// Answers everything with "Hello from it"; /slow after half a second. On a thread of its own.
class BackendThread {
 public:
  BackendThread();
  ~BackendThread();
  int port() const { return port_; }

 private:
  std::atomic<int> port_{0};
  std::atomic<net::Loop*> loop_{nullptr};
  std::thread thread_;
};

class ProxyProcessTest : public testing::Test {
 protected:
  // `more`: further top-level keys of the configuration.
  void write_config(const std::string& listeners, const std::string& more = "");
  std::vector<std::string> command(const std::string& option = "") const;
  void start();  // and waits until it listens
  // A new process that takes over; waits until it has. It becomes proxy(), the one before goes to `before`.
  void take_over();
  std::string ask(const std::string& target, const std::string& host_port) const;  // the answer's body; "" if none
  double metric(const std::string& name) const;                                    // -1: not there
  std::string config_path() const { return folder.path() + "/proxy.yaml"; }
  std::string data() const { return folder.path() + "/data"; }

  TemporaryFolder folder;
  BackendThread backend;
  std::string listeners = "[{name: web, address: \"127.0.0.1:0\"}]";
  std::string address, admin;  // where it listens
  Program proxy;
  std::vector<Program> before;
  int workers = 2;
};

}  // namespace lotse::integration
