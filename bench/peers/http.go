// Go's server and client for the benchmark: http ROLE SIZE PORT.
// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
)

var body = []byte("hello, world\n")

func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Write(body)
}

func file(w http.ResponseWriter, r *http.Request) {
	http.ServeFile(w, r, filepath.Join(os.Getenv("BENCH_FILES"), "file.txt"))
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	return listener
}

func get(client *http.Client, url string) {
	for {
		response, err := client.Get(url)
		if err != nil {
			log.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != 200 || len(text) != len(body) {
			log.Fatal(response.Status, err)
		}
	}
}

func main() {
	role, url := os.Args[1], "http://127.0.0.1:"+os.Args[3]+"/"
	switch role {
	case "http", "http_pipelined":
		log.Fatal(http.Serve(listen(), http.HandlerFunc(hello)))
	case "http_file":
		log.Fatal(http.Serve(listen(), http.HandlerFunc(file)))
	case "https":
		log.Fatal(http.ServeTLS(listen(), http.HandlerFunc(hello),
			os.Getenv("BENCH_CERT"), os.Getenv("BENCH_KEY")))
	case "http_get":
		get(&http.Client{}, url)
	case "http_pool":
		count, _ := strconv.Atoi(os.Getenv("BENCH_COUNT"))
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: count}}
		for i := 1; i < count; i++ {
			go get(client, url)
		}
		get(client, url)
	}
	log.Fatal("no role ", role)
}
