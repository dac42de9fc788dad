// Node's programs for the benchmark: node.mjs ROLE SIZE PORT.
// SPDX-License-Identifier: MIT

const role = process.argv[2];
const { run } = await import(role.startsWith('tls_') ? './node_tls.mjs' : './node_http.mjs');
run(role);
