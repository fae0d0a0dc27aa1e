// What each event does, before settle() lets its consequences follow. One file for each group.
#pragma once

#include "scheduler/core/turn.h"

namespace lotse::scheduler {

void handle(Turn& turn, const ChangeApps& event);        // app_changes.cc
void handle(Turn& turn, const KillTasks& event);         // app_changes.cc
void handle(Turn& turn, const CancelDeployment& event);  // app_changes.cc
void handle(Turn& turn, const ResetDelay& event);        // app_changes.cc

void handle(Turn& turn, const SetCallback& event);  // subscriptions.cc

void handle(Turn& turn, const DrainAgent& event);       // agents.cc
void handle(Turn& turn, const AgentRegistered& event);  // agents.cc
void handle(Turn& turn, const AgentConnected& event);   // agents.cc
void on_agent_timer(Turn& turn, const model::AgentId& id);
void on_quarantine_timer(Turn& turn, const model::AgentId& id);

void handle(Turn& turn, const AgentReported& event);  // statuses.cc

void handle(Turn& turn, const ProxyJoined& event);    // proxies.cc
void handle(Turn& turn, const ProxyReported& event);  // proxies.cc
void handle(Turn& turn, const DnsFollowed& event);    // proxies.cc
void on_lease_timer(Turn& turn);
void go_on_with_drains(Turn& turn);

}  // namespace lotse::scheduler
