/* The C programs of HTTP: a server that answers without looking at what came,
 * and a parser in a loop, http_parser, where that is found.
 * SPDX-License-Identifier: MIT */
#include "common.h"
#include "reference.h"

static int answer(int poller, struct conn *conn, uint32_t events) {
  static const char baked[] =
    "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nhello, world\n";
  static char request[4096];
  (void)poller, (void)events;
  ssize_t n = recv(conn->fd, request, sizeof request, 0);
  if (n <= 0)
    return n < 0 && errno == EAGAIN;
  return send(conn->fd, baked, sizeof baked - 1, MSG_NOSIGNAL) ==
         sizeof baked - 1;
}

#ifdef BENCH_PARSER
#include <http_parser.h>

enum { FIELDS = 64, HEAD = 4096 };

/* What a program needs of a head: where its parts begin and end. */
struct part {
  const char *at;
  size_t size;
};

static struct {
  struct part target, names[FIELDS], values[FIELDS];
  int fields;
} parsed;

static char head[HEAD];
static size_t head_size;

static int on_url(http_parser *parser, const char *at, size_t size) {
  (void)parser;
  parsed.target = (struct part){at, size};
  return 0;
}

static int on_name(http_parser *parser, const char *at, size_t size) {
  (void)parser;
  parsed.names[parsed.fields % FIELDS] = (struct part){at, size};
  return 0;
}

static int on_value(http_parser *parser, const char *at, size_t size) {
  (void)parser;
  parsed.values[parsed.fields++ % FIELDS] = (struct part){at, size};
  return 0;
}

/* Lines end in LF in the file, and in CR LF here. */
static void read_head(void) {
  FILE *file = fopen("bench/peers/request.txt", "r");
  if (!file)
    die("request.txt");
  for (int c; (c = getc(file)) != EOF && head_size + 2 < sizeof head;) {
    if (c == '\n')
      head[head_size++] = '\r';
    head[head_size++] = (char)c;
  }
  fclose(file);
}

static double parse(double n) {
  static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_name,
    .on_header_value = on_value,
  };
  for (double i = 0; i < n; i++) {
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parsed.fields = 0;
    if (http_parser_execute(&parser, &settings, head, head_size) != head_size) {
      fprintf(stderr, "%s\n", http_errno_description(parser.http_errno));
      exit(1);
    }
  }
  return n;
}
#endif

int http_role(const char *role, int port) {
  if (!strcmp(role, "http"))
    serve_conns(answer, port);
#ifdef BENCH_PARSER
  if (!strcmp(role, "http_parse"))
    return read_head(), measure(parse), 1;
#endif
  return 0;
}
