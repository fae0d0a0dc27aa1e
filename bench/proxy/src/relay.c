// Both ends of a relay measurement, by epoll: `relay server PORT` echoes, after a WebSocket handshake if the client begins
// with one; `relay load PORT ws|tcp BYTES CONNECTIONS SECONDS` sends messages of so many bytes over each connection, one
// after the other, waits for each to come back whole, and prints one line of JSON. Every byte of every answer is checked.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kBuffer = 256 * 1024 };
static const char kRequest[] =
    "GET /ws HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static const char kAnswer[] =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static void die(const char* what) {
  perror(what);
  exit(1);
}
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static void no_delay(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
static struct sockaddr_in loopback(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return to;
}

// ---- the server: what does not fit into the client's socket waits, and then the client is not read -------------------
struct Echo {
  int fd, has_begun;
  size_t from, to;  // of what waits in `bytes`
  char bytes[kBuffer];
};

static void watch(int epoll, struct Echo* one, unsigned events) {
  struct epoll_event event = {.events = events, .data.ptr = one};
  epoll_ctl(epoll, EPOLL_CTL_MOD, one->fd, &event);
}
static int echo(int epoll, struct Echo* one) {  // 0: over
  for (int turns = 0; turns < 16; ++turns) {
    if (one->from == one->to) {
      ssize_t count = recv(one->fd, one->bytes, kBuffer, MSG_DONTWAIT);
      if (count < 0 && errno == EAGAIN) return watch(epoll, one, EPOLLIN), 1;
      if (count <= 0) return 0;
      one->from = 0, one->to = (size_t)count;
      if (!one->has_begun) {
        one->has_begun = 1;
        if (count > 4 && memcmp(one->bytes, "GET ", 4) == 0) {
          char* end = memmem(one->bytes, (size_t)count, "\r\n\r\n", 4);
          if (end == NULL) return 0;  // heads of ours come whole
          one->from = (size_t)(end - one->bytes) + 4;
          if (send(one->fd, kAnswer, sizeof kAnswer - 1, MSG_NOSIGNAL) != sizeof kAnswer - 1) return 0;
          continue;
        }
      }
    }
    ssize_t count = send(one->fd, one->bytes + one->from, one->to - one->from, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EAGAIN) return watch(epoll, one, EPOLLOUT), 1;
    if (count < 0) return 0;
    one->from += (size_t)count;
  }
  return 1;
}
static void serve(int port) {
  int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0), on = 1;
  struct sockaddr_in at = loopback(port);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr*)&at, sizeof at) != 0 || listen(listener, 1024) != 0) die("listen");
  struct epoll_event event = {.events = EPOLLIN}, events[64];
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int count = epoll_wait(epoll, events, 64, -1);
    for (int i = 0; i < count; ++i) {
      struct Echo* one = events[i].data.ptr;
      if (one == NULL) {
        one = calloc(1, sizeof *one);
        one->fd = accept(listener, NULL, NULL);
        no_delay(one->fd);
        event = (struct epoll_event){.events = EPOLLIN, .data.ptr = one};
        epoll_ctl(epoll, EPOLL_CTL_ADD, one->fd, &event);
      } else if (!echo(epoll, one)) {
        close(one->fd);
        free(one);
      }
    }
  }
}

// ---- the clients ------------------------------------------------------------------------------------------------------
struct Client {
  int fd;
  size_t sent, heard;  // of the message under way
};
static char* message;
static size_t message_bytes;
static unsigned long messages_done, bad;

static void talk(int epoll, struct Client* one) {
  static char buffer[kBuffer];
  for (int turns = 0; turns < 16; ++turns) {
    int moved = 0;
    if (one->sent < message_bytes) {
      ssize_t count = send(one->fd, message + one->sent, message_bytes - one->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count < 0 && errno != EAGAIN) bad++;
      if (count > 0) one->sent += (size_t)count, moved = 1;
    }
    ssize_t count = recv(one->fd, buffer, kBuffer, MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN)) {
      bad++;
      epoll_ctl(epoll, EPOLL_CTL_DEL, one->fd, NULL);
      return;
    }
    if (count > 0) {
      moved = 1;
      if (one->heard + (size_t)count > one->sent || memcmp(buffer, message + one->heard, (size_t)count) != 0) bad++;
      one->heard += (size_t)count;
      if (one->heard == message_bytes) one->sent = one->heard = 0, messages_done++;
    }
    if (!moved) break;
  }
  struct epoll_event event = {.events = EPOLLIN | (one->sent < message_bytes ? EPOLLOUT : 0), .data.ptr = one};
  epoll_ctl(epoll, EPOLL_CTL_MOD, one->fd, &event);
}
static int open_client(int port, int is_websocket) {
  struct sockaddr_in to = loopback(port);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr*)&to, sizeof to) != 0) die("connect");
  no_delay(fd);
  if (!is_websocket) return fd;
  char head[4096];
  size_t used = 0;
  if (send(fd, kRequest, sizeof kRequest - 1, 0) != sizeof kRequest - 1) die("send");
  while (used < 4 || memcmp(head + used - 4, "\r\n\r\n", 4) != 0) {
    if (used == sizeof head || recv(fd, head + used, 1, 0) != 1) die("no answer to the upgrade");
    used++;
  }
  if (memcmp(head, "HTTP/1.1 101 ", 13) != 0) die("not upgraded");
  return fd;
}
static void load(int port, int is_websocket, size_t bytes, int connections, double seconds) {
  int epoll = epoll_create1(0);
  message_bytes = bytes;
  message = malloc(bytes);
  for (size_t i = 0; i < bytes; ++i) message[i] = (char)(i * 2654435761U >> 13);
  struct Client* clients = calloc((size_t)connections, sizeof *clients);
  struct epoll_event events[64];
  for (int i = 0; i < connections; ++i) {
    clients[i].fd = open_client(port, is_websocket);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = &clients[i]};
    epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event);
  }
  const double begin = now();
  while (now() - begin < seconds && bad == 0) {
    int count = epoll_wait(epoll, events, 64, 100);
    for (int i = 0; i < count; ++i) talk(epoll, events[i].data.ptr);
  }
  printf("{\"ok\": %lu, \"bad\": %lu, \"bytes\": %lu, \"secs\": %.6f}\n", messages_done, bad,
         messages_done * 2 * (unsigned long)bytes, now() - begin);
}

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 3 && strcmp(argv[1], "server") == 0) serve(atoi(argv[2]));
  if (argc != 7) return 2;
  load(atoi(argv[2]), strcmp(argv[3], "ws") == 0, (size_t)atol(argv[4]), atoi(argv[5]), atof(argv[6]));
  return bad != 0;
}
