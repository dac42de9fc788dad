// Node's servers of TLS for the benchmark.
// SPDX-License-Identifier: MIT

import fs from 'node:fs';
import tls from 'node:tls';

const size = Number(process.argv[3]);

const roles = {
  tls_echo: (conn) => conn.on('data', (data) => conn.write(data)),
  tls_sink: (conn) => conn.on('data', () => {}),
  tls_source: (conn) => {
    const block = Buffer.alloc(size, 'x');
    const fill = () => { while (conn.write(block)); };
    conn.on('drain', fill);
    fill();
  },
  tls_accept: (conn) => setImmediate(() => conn.end()), // the tickets come first
};

export const run = (role) => {
  const server = tls.createServer({
    cert: fs.readFileSync(process.env.BENCH_CERT),
    key: fs.readFileSync(process.env.BENCH_KEY),
    noDelay: true,
  }, (conn) => {
    conn.on('error', () => {});
    roles[role](conn);
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1', 4096, () => console.log(server.address().port));
};
