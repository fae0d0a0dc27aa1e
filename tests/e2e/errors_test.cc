// Bad input and bad days: a clear error at its place, and nothing lost.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/e2e/cluster.h"
#include "tests/e2e/load.h"

namespace lotse::e2e {
namespace {

using nlohmann::json;

TEST(Errors, ABadDefinitionIsRefusedInMarathonsShapeAndChangesNothing) {
  Cluster cluster({.proxies = 0, .start_agent = false});
  struct Case {
    std::string body;
    int status;
    std::string message;
  };
  for (const Case& bad : std::vector<Case>{
           {"{\"id\": ", 400, "Invalid JSON"},
           {"{\"cmd\": \"sleep 1\"}", 422, ""},
           {"{\"id\": \"/Upper_Case\", \"cmd\": \"sleep 1\"}", 422, "Object is not valid"},
           {"{\"id\": \"/x\", \"cmd\": \"sleep 1\", \"instances\": -1}", 422, "Object is not valid"},
           {"{\"id\": \"/x\", \"cmd\": \"sleep 1\", \"constraints\": [[\"hostname\", \"NEAR\"]]}", 422, ""},
           {"{\"id\": \"/x\", \"cmd\": \"sleep 1\", \"constraints\": [[\"hostname\", \"MAX_PER\", \"many\"]]}", 422,
            ""}}) {
    HttpAnswer answer = cluster.api("POST", "/v2/apps", bad.body);
    EXPECT_EQ(answer.status, bad.status) << bad.body << "\n" << answer.body;
    json body = answer.json();
    ASSERT_TRUE(body.is_object() && body.contains("message")) << answer.body;
    if (!bad.message.empty()) {
      EXPECT_EQ(body["message"], bad.message) << bad.body;
    }
    EXPECT_FALSE(answer.body.find("details") == std::string::npos)
        << bad.body << " is answered without details: " << answer.body;
  }
  EXPECT_EQ(cluster.api("GET", "/v2/apps").json()["apps"].size(), 0u);
}

TEST(Errors, AnAppWithoutRoomWaitsVisiblyInTheQueue) {
  Cluster cluster({.proxies = 0});
  json app = hello_app(1);
  app["cpus"] = 5000;
  cluster.deploy(app);
  json queue;
  EXPECT_TRUE(eventually([&] {
    queue = cluster.api("GET", "/v2/queue").json();
    return queue.is_object() && queue["queue"].size() == 1;
  }));
  EXPECT_EQ(queue["queue"][0]["app"]["id"], "/hello");
  EXPECT_NE(queue.dump().find("InsufficientCpus"), std::string::npos) << queue.dump();
}

TEST(Errors, AMissingImageFailsWithDockersWordsAndIsTriedAgain) {
  Cluster cluster({.proxies = 0});
  json app = hello_app(1);
  app["container"]["docker"]["image"] = "localhost:1/no/such-image";
  cluster.deploy(app);
  json failure;
  EXPECT_TRUE(eventually([&] {
    failure = cluster.app("/hello").value("lastTaskFailure", json());
    return failure.is_object();
  }));
  EXPECT_NE(failure.value("message", "").find("localhost:1"), std::string::npos) << failure;
  std::string first = failure.value("taskId", "");
  EXPECT_TRUE(eventually([&] { return cluster.app("/hello")["lastTaskFailure"].value("taskId", "") != first; }));
}

TEST(Errors, APortThatIsTakenFailsWithDockersWords) {
  Cluster cluster({.proxies = 0});
  std::string taken = cluster.api_address().substr(cluster.api_address().rfind(':') + 1);
  json app = hello_app(1);
  app["container"]["portMappings"][0]["hostPort"] = std::stoi(taken);
  HttpAnswer answer = cluster.api("PUT", "/v2/apps/hello", app.dump());
  ASSERT_EQ(answer.status, 201) << answer.body;
  json queue, failure;
  // The scheduler knows nothing of that port's other user, so Docker says it; or the port is outside of the agent's
  // range, and the queue says that.
  EXPECT_TRUE(eventually([&] {
    failure = cluster.app("/hello").value("lastTaskFailure", json());
    queue = cluster.api("GET", "/v2/queue").json();
    return failure.is_object() || queue.dump().find("InsufficientPorts") != std::string::npos;
  })) << queue.dump();
}

TEST(Errors, DockerDownIsSaidInDockersPlaceAndRetried) {
  Cluster cluster({.proxies = 0, .start_agent = false});
  Program agent({LOTSE_PROGRAM, "agent", "--scheduler", "http://" + cluster.api_address(), "--listen", "127.0.0.1:0",
                 "--address", "127.0.0.1", "--data", cluster.directory() + "/other", "--id", "node-2", "--docker",
                 cluster.directory() + "/no-docker.sock"},
                cluster.directory() + "/other.log");
  agent.wait_for_log("registered as");
  cluster.deploy(hello_app(1));
  EXPECT_TRUE(eventually([&] {
    std::string all =
        cluster.app("/hello").value("lastTaskFailure", json()).dump() + cluster.api("GET", "/v2/queue").body;
    return all.find("Docker") != std::string::npos;
  })) << cluster.api("GET", "/v2/queue").body;
}

TEST(Errors, ASecondAgentWithTheSameIdIsRefused) {
  Cluster cluster({.proxies = 0});
  Program second({LOTSE_PROGRAM, "agent", "--scheduler", "http://" + cluster.api_address(), "--listen", "127.0.0.1:0",
                  "--address", "127.0.0.1", "--data", cluster.directory() + "/second", "--id", "node-1"},
                 cluster.directory() + "/second.log");
  EXPECT_TRUE(eventually([&] {
    return second.log().find("node-1") != std::string::npos && second.log().find("data directory") != std::string::npos;
  })) << second.log();
  // Its old self from the same directory is replaced without a word.
  cluster.agent().kill_9();
  cluster.start_agent();
}

TEST(Errors, ADataDirectoryInUseIsSaid) {
  Cluster cluster({.proxies = 0, .start_agent = false});
  int code = 0;
  std::string output =
      run({LOTSE_PROGRAM, "scheduler", "--listen", "127.0.0.1:0", "--data", cluster.directory() + "/scheduler"}, &code);
  EXPECT_EQ(code, 1);
  EXPECT_NE(output.find("in use"), std::string::npos) << output;
}

TEST(Errors, AFullDiskAnswers503AndTheStateStaysAsItWas) {
  Cluster cluster({.proxies = 0, .start_agent = false});
  std::string small = cluster.directory() + "/small";
  std::filesystem::create_directory(small);
  ASSERT_EQ(mount("tmpfs", small.c_str(), "tmpfs", 0, "size=1m"), 0) << "this test needs to be root";
  {
    Program scheduler({LOTSE_PROGRAM, "scheduler", "--listen", "127.0.0.1:0", "--data", small + "/store"},
                      cluster.directory() + "/full.log");
    std::string address = scheduler.wait_for_log("listening on ");
    address = address.substr(0, address.find(','));
    HttpAnswer first = http("POST", address, "/v2/apps", R"({"id": "/kept", "cmd": "sleep 1", "instances": 0})");
    EXPECT_EQ(first.status, 201) << first.body;
    {
      std::ofstream filler(small + "/filler");
      std::string block(65536, 'x');
      while (filler.write(block.data(), static_cast<std::streamsize>(block.size())) && filler.flush()) {}
    }
    HttpAnswer full;
    int accepted = 0;
    for (int i = 0; i < 2000 && (full.status == 0 || full.status == 201); ++i) {
      full = http("POST", address, "/v2/apps",
                  json{{"id", "/more-" + std::to_string(i)},
                       {"cmd", "sleep 1"},
                       {"instances", 0},
                       {"labels", {{"fat", std::string(4000, 'y')}}}}
                      .dump());
      accepted += full.status == 201;
    }
    EXPECT_EQ(full.status, 503) << full.body;
    EXPECT_TRUE(full.json().is_object() && full.json().contains("message")) << full.body;
    EXPECT_EQ(http("GET", address, "/v2/apps").json()["apps"].size(), static_cast<std::size_t>(1 + accepted));
    std::filesystem::remove(small + "/filler");
    EXPECT_TRUE(eventually([&] {
      return http("POST", address, "/v2/apps", R"({"id": "/after", "cmd": "sleep 1", "instances": 0})").status == 201;
    })) << "room again";
    scheduler.kill_9();
    Program again({LOTSE_PROGRAM, "scheduler", "--listen", "127.0.0.1:0", "--data", small + "/store"},
                  cluster.directory() + "/full.log");
    address = again.wait_for_log("listening on ");
    address = address.substr(0, address.find(','));
    EXPECT_EQ(http("GET", address, "/v2/apps").json()["apps"].size(), static_cast<std::size_t>(2 + accepted))
        << "what was acknowledged, and nothing else";
  }
  umount(small.c_str());
}

TEST(Errors, WrongUsageExitsWithTwoAndFailureWithOne) {
  int code = 0;
  run({LOTSE_PROGRAM, "no-such-command"}, &code);
  EXPECT_EQ(code, 2);
  std::string output = run({LOTSE_PROGRAM, "app", "list", "--scheduler", "http://127.0.0.1:1"}, &code);
  EXPECT_EQ(code, 1);
  EXPECT_NE(output.find("no answer from http://127.0.0.1:1: connection refused"), std::string::npos) << output;
  output = run({LOTSE_PROGRAM, "app", "restart", "x", "--timeout", "5"}, &code);
  EXPECT_EQ(code, 2) << "before anything was begun";
  EXPECT_NE(output.find("\"5\" is no duration"), std::string::npos) << output;
  output = run({LOTSE_PROGRAM, "app", "scale", "x", "--", "-1"}, &code);
  EXPECT_EQ(code, 2);
  EXPECT_NE(output.find("not in range 0 to 1000000"), std::string::npos) << output;
}

TEST(Errors, ABrokenConfigIsExplainedAtItsPlace) {
  TemporaryFolder directory;
  std::string file = directory.path() + "/lb.yaml";
  std::ofstream(file) << "version: 1\nlisteners:\n  - {name: web, address: \"127.0.0.1:0\"}\nroutes:\n  - match: "
                         "{path: /}\n    to: /x\n    retry: {atempts: 2}\n";
  int code = 0;
  std::string output = run({LOTSE_PROGRAM, "proxy", "--config", file, "--check"}, &code);
  EXPECT_EQ(code, 1);
  EXPECT_NE(output.find("lb.yaml:7:13: routes[0].retry.atempts: unknown key; did you mean \"attempts\"?"),
            std::string::npos)
      << output;
}

TEST(Errors, PlainProcessesRunWithoutDocker) {
  Cluster cluster({.runtime = "process"});
  json app{{"id", "/plain"}, {"cmd", "exec " LOTSE_HELLO},
           {"instances", 2}, {"cpus", 0.01},
           {"mem", 16},      {"healthChecks", {{{"protocol", "HTTP"}, {"path", "/healthz"}, {"intervalSeconds", 1}}}}};
  cluster.wait_for_deployment(cluster.deploy(app));
  Load load({.address = cluster.proxy_address(), .target = "/plain/", .connections = 8});
  load.let_pass(200);
  cluster.agent().kill_9();
  cluster.start_agent();
  cluster.restart("/plain");
  load.let_pass(100);
  load.stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
}

}  // namespace
}  // namespace lotse::e2e
