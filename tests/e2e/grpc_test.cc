// gRPC as others speak it: gRPC's own client and server (Debian's python3-grpcio) on both sides of the proxy.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace lotse::e2e {
namespace {

TEST(Grpc, ARealClientFindsAllThatARealServerHasThroughTheProxy) {
  TemporaryFolder folder;
  const std::string peers = LOTSE_SOURCE_DIR "/tests/e2e/grpc_peers.py";
  Program server({"/usr/bin/python3", peers, "server"}, folder.path() + "/server.log");
  const std::string port = server.wait_for_log("listening ");
  const std::string config = folder.path() + "/lb.yaml";
  std::ofstream(config) << "version: 1\nworkers: 2\nadmin: {address: \"127.0.0.1:0\"}\n"
                           "listeners: [{name: web, address: \"127.0.0.1:0\"}]\n"
                           "routes: [{match: {path: /}, to: /echo}]\n"
                           "apps: {/echo: {protocol: h2, health: {by: grpc, interval: 500ms}}}\n"
                           "discovery: {sources: [{static: {/echo: [\"127.0.0.1:"
                        << port << "\"]}}]}\n";
  Program proxy({LOTSE_PROGRAM, "proxy", "--config", config, "--data", folder.path() + "/data", "--id", "grpc"},
                folder.path() + "/proxy.log");
  const std::string address = proxy.wait_for_log("listening on ");
  const std::string said = run({"/usr/bin/python3", peers, "client", address});
  EXPECT_EQ(said.find("FAILED"), std::string::npos) << said << proxy.log();
  EXPECT_NE(said.find("ok many_at_once"), std::string::npos) << said << proxy.log();
  EXPECT_EQ(proxy.log().find("unhealthy"), std::string::npos) << proxy.log();
}

}  // namespace
}  // namespace lotse::e2e
