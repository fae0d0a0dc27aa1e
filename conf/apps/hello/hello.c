// The sample app: says which task answered. One static program, so that its image is built FROM scratch.
//   GET /            task id, host and port as text
//   GET /healthz     200
//   GET /slow?ms=N   the same as /, N milliseconds later (at most 60,000)
//   GET /bytes?n=N   N bytes (at most 1 GiB)
//   POST /anything   the number of body bytes it received
// PORT0 names the port (8080 when absent; in a container the mapped port is listened on by its container port, PORT).
// START_DELAY_MS delays listening, EXIT_AFTER_MS ends the program with code 3, to try a slow or a bad version.
// SIGTERM ends it at once: a proxy that still had a request here would notice.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kConnectionsMax = 8192, kHeadBytesMax = 16384 };

typedef struct {
  int fd;
  char in[kHeadBytesMax];
  size_t in_bytes;
  long long body_left, body_seen;  // of a POST under way; body_left -1: none
  char head[512];
  size_t head_bytes, head_sent;
  long long fill_left;  // bytes of /bytes still to send
  long long answer_at;  // monotonic ms of a delayed answer; 0: none
  int close_after;
} Connection;

static Connection* connections[kConnectionsMax];
static int epoll_fd, delayed;  // delayed: connections with an answer_at
static char filler[65536];
static const char *task = "?", *host = "?", *port = "?", *version = "";

static long long now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static const char* env_or(const char* name, const char* otherwise) {
  const char* value = getenv(name);
  return value && *value ? value : otherwise;
}

static void on_term(int signal_number) {
  (void)signal_number;
  _exit(0);
}

static void drop(Connection* c) {
  if (c->answer_at) --delayed;
  close(c->fd);
  connections[c->fd] = NULL;
  free(c);
}

static void watch(Connection* c, unsigned events) {
  struct epoll_event event = {.events = events, .data.fd = c->fd};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

// Sends what is pending. 1: all sent, 0: the socket is full, -1: dropped.
static int flush(Connection* c) {
  while (c->head_sent < c->head_bytes) {
    ssize_t sent = send(c->fd, c->head + c->head_sent, c->head_bytes - c->head_sent, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN) return watch(c, EPOLLOUT), 0;
      return drop(c), -1;
    }
    c->head_sent += (size_t)sent;
  }
  while (c->fill_left > 0) {
    size_t want = c->fill_left < (long long)sizeof filler ? (size_t)c->fill_left : sizeof filler;
    ssize_t sent = send(c->fd, filler, want, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN) return watch(c, EPOLLOUT), 0;
      return drop(c), -1;
    }
    c->fill_left -= sent;
  }
  if (c->close_after) return drop(c), -1;
  watch(c, EPOLLIN);
  return 1;
}

static int answer_text(Connection* c, int status, const char* text) {
  c->head_bytes = (size_t)snprintf(
      c->head, sizeof c->head,
      "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nX-Task: %.200s\r\nContent-Length: %zu\r\n%s\r\n%s", status,
      status == 200 ? "OK" : "Bad Request", task, strlen(text), c->close_after ? "Connection: close\r\n" : "", text);
  c->head_sent = 0;
  return flush(c);
}

static int answer_hello(Connection* c) {
  char text[256];
  snprintf(text, sizeof text, "Hello from %.120s on %.60s:%.8s%s%.40s\n", task, host, port, *version ? " version " : "",
           version);
  return answer_text(c, 200, text);
}

static long long number_after(const char* line, const char* name, long long most) {
  const char* found = strstr(line, name);
  long long value = found ? atoll(found + strlen(name)) : 0;
  return value < 0 ? 0 : value > most ? most : value;
}

static int answer(Connection* c, char* request) {
  char* line_end = strstr(request, "\r\n");
  *line_end = 0;
  char* fields = line_end + 2;
  c->close_after = strcasestr(fields, "connection: close") != NULL;
  if (strncmp(request, "GET /slow", 9) == 0) {
    c->answer_at = now_ms() + number_after(request, "ms=", 60000);
    ++delayed;
    return 0;
  }
  if (strncmp(request, "GET /bytes", 10) == 0) {
    c->fill_left = number_after(request, "n=", 1LL << 30);
    c->head_bytes =
        (size_t)snprintf(c->head, sizeof c->head, "HTTP/1.1 200 OK\r\nX-Task: %.200s\r\nContent-Length: %lld\r\n\r\n",
                         task, c->fill_left);
    c->head_sent = 0;
    return flush(c);
  }
  if (strncmp(request, "POST ", 5) == 0 || strncmp(request, "PUT ", 4) == 0) {
    char* length = strcasestr(fields, "content-length:");
    if (!length) {
      c->close_after = 1;
      return answer_text(c, 400, "a Content-Length is needed\n");
    }
    c->body_left = atoll(length + 15);
    c->body_seen = c->body_left;
    return 2;
  }
  if (strncmp(request, "GET ", 4) != 0 && strncmp(request, "HEAD ", 5) != 0) {
    c->close_after = 1;
    return answer_text(c, 400, "what?\n");
  }
  return answer_hello(c);
}

static void on_input(Connection* c) {
  ssize_t got = recv(c->fd, c->in + c->in_bytes, sizeof c->in - 1 - c->in_bytes, 0);
  if (got == 0 || (got < 0 && errno != EAGAIN)) return drop(c);
  if (got < 0) return;
  c->in_bytes += (size_t)got;
  for (;;) {
    if (c->body_left >= 0) {
      size_t take = (long long)c->in_bytes < c->body_left ? c->in_bytes : (size_t)c->body_left;
      memmove(c->in, c->in + take, c->in_bytes - take);
      c->in_bytes -= take;
      c->body_left -= (long long)take;
      if (c->body_left > 0) return;
      c->body_left = -1;
      char text[64];
      snprintf(text, sizeof text, "%lld bytes\n", c->body_seen);
      if (answer_text(c, 200, text) != 1) return;
      continue;
    }
    c->in[c->in_bytes] = 0;
    char* end = strstr(c->in, "\r\n\r\n");
    if (!end) {
      if (c->in_bytes == sizeof c->in - 1) drop(c);
      return;
    }
    end[2] = 0;
    size_t used = (size_t)(end + 4 - c->in);
    int result = answer(c, c->in);
    if (result < 0) return;
    memmove(c->in, c->in + used, c->in_bytes - used);
    c->in_bytes -= used;
    if (result == 0) return;  // delayed, or the socket is full: pipelined requests wait in c->in
  }
}

int main(void) {
  struct sigaction term = {.sa_handler = on_term};
  sigaction(SIGTERM, &term, NULL);
  sigaction(SIGINT, &term, NULL);
  task = env_or("LOTSE_TASK_ID", env_or("MESOS_TASK_ID", "?"));
  host = env_or("HOST", "?");
  port = env_or("PORT0", "8080");
  version = env_or("HELLO_VERSION", "");
  memset(filler, 'x', sizeof filler);
  int delay = atoi(env_or("START_DELAY_MS", "0"));
  if (delay > 0) usleep((useconds_t)delay * 1000);
  int exit_after = atoi(env_or("EXIT_AFTER_MS", "0"));
  long long exit_at = exit_after > 0 ? now_ms() + exit_after : 0;

  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // A bridge container listens on its container port, which HELLO_PORT names; everything else on its host port.
  int number = atoi(env_or("HELLO_PORT", port));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)number)};
  if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0 || listen(listener, 1024) != 0) {
    fprintf(stderr, "hello: cannot listen on port %d: %s\n", number, strerror(errno));
    return 1;
  }
  printf("hello: %s listens on port %d\n", task, number);
  fflush(stdout);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    struct epoll_event events[256];
    int count = epoll_wait(epoll_fd, events, 256, delayed ? 5 : exit_at ? 20 : -1);
    if (exit_at && now_ms() >= exit_at) return 3;
    for (int i = 0; i < count; ++i) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        int accepted;
        while ((accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
          if (accepted >= kConnectionsMax) {
            close(accepted);
            continue;
          }
          setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
          Connection* c = calloc(1, sizeof *c);
          if (!c) {
            close(accepted);
            continue;
          }
          c->fd = accepted;
          c->body_left = -1;
          connections[accepted] = c;
          struct epoll_event added = {.events = EPOLLIN, .data.fd = accepted};
          epoll_ctl(epoll_fd, EPOLL_CTL_ADD, accepted, &added);
        }
        continue;
      }
      Connection* c = connections[fd];
      if (!c) continue;
      if (events[i].events & EPOLLOUT) {
        if (flush(c) == 1) on_input(c);
      } else {
        on_input(c);
      }
    }
    if (delayed) {
      long long now = now_ms();
      for (int fd = 0; fd < kConnectionsMax; ++fd) {
        Connection* c = connections[fd];
        if (!c || !c->answer_at || c->answer_at > now) continue;
        c->answer_at = 0;
        --delayed;
        if (answer_hello(c) == 1 && c->in_bytes > 0) on_input(c);
      }
    }
  }
}
