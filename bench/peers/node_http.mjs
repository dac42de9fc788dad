// Node's HTTP, and ws, for the benchmark.
// SPDX-License-Identifier: MIT

import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const BODY = 'hello, world\n';
const port = Number(process.argv[4]);
const count = Number(process.env.BENCH_COUNT);

const serve = (server) => {
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1', 4096, () => console.log(server.address().port));
};

const hello = (request, response) => {
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': BODY.length });
  response.end(BODY);
};

const file = (request, response) => {
  const path = `${process.env.BENCH_FILES}/file.txt`;
  fs.stat(path, (error, { size }) => {
    response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': size });
    fs.createReadStream(path).pipe(response);
  });
};

const getForever = (agent) => {
  http.get({ host: '127.0.0.1', port, agent }, (response) => {
    let text = '';
    response.setEncoding('latin1');
    response.on('data', (data) => { text += data; });
    response.on('end', () => {
      if (response.statusCode !== 200 || text !== BODY) throw new Error('bad answer');
      getForever(agent);
    });
  });
};

// llhttp, as Node's own server runs it.
const parse = () => {
  const { HTTPParser } = process.binding('http_parser');
  const head = Buffer.from(fs.readFileSync(new URL('request.txt', import.meta.url), 'latin1')
    .replaceAll('\n', '\r\n'));
  const parser = new HTTPParser();
  let fields;
  parser[HTTPParser.kOnHeadersComplete] = (major, minor, headers) => { fields = headers; };
  const batch = (n) => {
    for (let i = 0; i < n; i++) {
      parser.initialize(HTTPParser.REQUEST, {});
      parser.execute(head);
    }
  };
  for (let n = 1000; ; n *= 2) {
    const [began, used] = [process.hrtime.bigint(), process.cpuUsage()];
    batch(n);
    const { user, system } = process.cpuUsage(used);
    const cpu = (user + system) / 1e6;
    if (cpu < Number(process.env.BENCH_SECONDS)) continue;
    if (fields.length !== 34) throw new Error(`${fields.length / 2} fields`);
    console.log(`ops=${n} wall=${Number(process.hrtime.bigint() - began) / 1e9} cpu=${cpu}`);
    return;
  }
};

const roles = {
  http: () => serve(http.createServer(hello)),
  http_pipelined: () => serve(http.createServer(hello)),
  https: () => serve(https.createServer({
    cert: fs.readFileSync(process.env.BENCH_CERT), key: fs.readFileSync(process.env.BENCH_KEY),
  }, hello)),
  http_file: () => serve(http.createServer(file)),
  http_get: () => getForever(new http.Agent({ keepAlive: true, maxSockets: 1 })),
  http_pool: () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: count });
    for (let i = 0; i < count; i++) getForever(agent);
  },
  http_parse: parse,
  ws: () => require('ws'), // says whether it is there
  websocket: () => {
    const { WebSocketServer } = require('ws');
    const server = http.createServer();
    new WebSocketServer({ server }).on('connection', (ws) => {
      ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
    });
    serve(server);
  },
};

export const run = (role) => roles[role]();
