/* The client that others are measured against: libcurl, its easy handle and
 * 64 of them by its multi handle. `curl ROLE SIZE PORT`.
 * SPDX-License-Identifier: MIT */
#include <curl/curl.h>

#include "common.h"

/* The body of an answer, as a program would have it. */
struct body {
  size_t size;
  char text[64 * 1024];
};

static size_t keep(char *data, size_t one, size_t size, void *to) {
  struct body *body = to;
  if (size * one > sizeof body->text - body->size)
    return 0;
  memcpy(body->text + body->size, data, size * one);
  body->size += size * one;
  return size * one;
}

static CURL *make_handle(int port) {
  char url[64];
  struct body *body = allocate(sizeof *body);
  CURL *handle = curl_easy_init();
  snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
  if (!handle || curl_easy_setopt(handle, CURLOPT_URL, url) ||
      curl_easy_setopt(handle, CURLOPT_PROXY, "") ||
      curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, keep) ||
      curl_easy_setopt(handle, CURLOPT_WRITEDATA, body) ||
      curl_easy_setopt(handle, CURLOPT_PRIVATE, body))
    die("curl");
  return handle;
}

/* Takes the answer, and makes room for the next one. */
static void take(CURL *handle, CURLcode code) {
  struct body *body = NULL;
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_PRIVATE, &body);
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  if (code || status != 200 || body->size != 13) {
    fprintf(stderr, "status %ld: %s\n", status, curl_easy_strerror(code));
    exit(1);
  }
  body->size = 0;
}

static void get_in_sequence(int port) {
  CURL *handle = make_handle(port);
  for (;;)
    take(handle, curl_easy_perform(handle));
}

static void get_side_by_side(int port, int count) {
  CURLM *many = curl_multi_init();
  for (int i = 0; i < count; i++)
    curl_multi_add_handle(many, make_handle(port));
  for (int running, left;;) {
    CURLMsg *message;
    curl_multi_perform(many, &running);
    while ((message = curl_multi_info_read(many, &left))) {
      CURL *handle = message->easy_handle;
      take(handle, message->data.result);
      curl_multi_remove_handle(many, handle);
      curl_multi_add_handle(many, handle);
    }
    curl_multi_poll(many, NULL, 0, 1000, NULL);
  }
}

int main(int argc, char **argv) {
  const char *count = getenv("BENCH_COUNT");
  curl_global_init(CURL_GLOBAL_ALL);
  if (argc == 4 && !strcmp(argv[1], "http_get"))
    get_in_sequence(atoi(argv[3]));
  if (argc == 4 && !strcmp(argv[1], "http_pool") && count)
    get_side_by_side(atoi(argv[3]), atoi(count));
  return fprintf(stderr, "usage: curl ROLE SIZE PORT\n"), 2;
}
