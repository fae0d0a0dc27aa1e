// The program in the test image, static and alone (FROM scratch). Its first word says how it behaves. It also stands
// in for /bin/sh: `sh -c "exit 3"` takes the words of the command as its own.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int answer_status = 200;

static int serve(int port, int delay_ms) {
  usleep((useconds_t)delay_ms * 1000);
  int server = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  if (bind(server, (struct sockaddr*)&address, sizeof address) != 0 || listen(server, 64) != 0) return 9;
  printf("listening on %d\n", port);
  fflush(stdout);
  for (;;) {
    int client = accept(server, NULL, NULL);
    if (client < 0) continue;
    char request[4096], answer[256];
    if (read(client, request, sizeof request) > 0) {
      int length = snprintf(answer, sizeof answer, "HTTP/1.1 %d X\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n",
                            access("/unhealthy", F_OK) == 0 ? 500 : answer_status);
      if (write(client, answer, (size_t)length) < 0) perror("write");
    }
    close(client);
  }
}

static int echo_datagrams(int port) {
  int server = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  if (bind(server, (struct sockaddr*)&address, sizeof address) != 0) return 9;
  for (;;) {
    char bytes[512];
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    ssize_t count = recvfrom(server, bytes, sizeof bytes, 0, (struct sockaddr*)&peer, &length);
    if (count > 0 && sendto(server, bytes, (size_t)count, 0, (struct sockaddr*)&peer, length) < 0) perror("sendto");
  }
}

static int run(int count, char** words) {
  const char* mode = count > 0 ? words[0] : "sleep";
  int number = count > 1 ? atoi(words[1]) : 0;
  struct sigaction end = {.sa_handler = _exit};  // pid 1 of a container dies of SIGTERM only when it asks to
  sigaction(SIGTERM, &end, NULL);
  if (strcmp(mode, "exit") == 0) return number;
  if (strcmp(mode, "say") == 0) {
    for (int i = 1; i < count; ++i) printf("%s%s", words[i], i + 1 < count ? " " : "\n");
    fprintf(stderr, "said\n");
    return 0;
  }
  if (strcmp(mode, "cat") == 0) {
    for (int i = 1; i < count; ++i) {
      FILE* file = fopen(words[i], "r");
      if (file == NULL) return 2;
      for (int c = getc(file); c != EOF; c = getc(file)) putchar(c);
      fclose(file);
    }
    return 0;
  }
  if (strcmp(mode, "write") == 0) {
    for (int i = 1; i < count; ++i) {
      FILE* file = fopen(words[i], "w");
      printf("%s: %s\n", words[i], file == NULL ? strerror(errno) : "written");
      if (file != NULL) fclose(file);
    }
    return 0;
  }
  if (strcmp(mode, "who") == 0) {
    printf("uid %d gid %d, %s\n", getuid(), getgid(), isatty(1) ? "terminal" : "no terminal");
    return 0;
  }
  if (strcmp(mode, "udp") == 0) return echo_datagrams(number);
  if (strcmp(mode, "env") == 0) {
    extern char** environ;
    for (char** entry = environ; *entry != NULL; ++entry) puts(*entry);
    fflush(stdout);
    for (;;) pause();
  }
  if (strcmp(mode, "serve") == 0) return serve(number, count > 2 ? atoi(words[2]) : 0);
  if (strcmp(mode, "break") == 0) return fclose(fopen("/unhealthy", "w"));  // by exec: answers 500 from now on
  if (strcmp(mode, "stubborn") == 0) signal(SIGTERM, SIG_IGN);
  if (strcmp(mode, "eat") == 0) {
    for (;;) {
      char* memory = malloc(1 << 20);
      if (memory != NULL) memset(memory, 1, 1 << 20);
    }
  }
  for (;;) pause();
}

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "-c") == 0) {
    char* words[16];
    int count = 0;
    for (char* word = strtok(argv[2], " "); word != NULL && count < 16; word = strtok(NULL, " ")) words[count++] = word;
    return run(count, words);
  }
  return run(argc - 1, argv + 1);
}
