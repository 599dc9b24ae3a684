// SPDX-License-Identifier: MIT
//
// node proxy.js PORT ENGINE CERT KEY TOKEN: the design that headgate replaces, as a peer of the benchmarks. http-proxy
// carries requests; it tunnels WebSockets alone, so Docker's own Upgrade is done by hand, as small as it goes.
'use strict';

const fs = require('fs');
const http = require('http');
const https = require('https');
const httpProxy = require('http-proxy');

const [port, engine, cert, key, token] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });
const proxy = httpProxy.createProxyServer({ target: { socketPath: engine }, agent });

proxy.on('proxyReq', (request) => request.removeHeader('token'));
// Otherwise node keeps an answer's head until its first byte, and a silent stream has none.
proxy.on('proxyRes', (answer, request, response) => process.nextTick(() => response.flushHeaders()));
proxy.on('error', (error, request, response) => {
  if (response.writeHead && !response.headersSent) response.writeHead(502);
  response.end();
});

const server = https.createServer({
  cert: fs.readFileSync(cert),
  key: fs.readFileSync(key),
  // No tickets: every handshake is a full one, for all proxies alike.
  secureOptions: require('constants').SSL_OP_NO_TICKET,
}, (request, response) => {
  if (request.headers.token !== token) {
    request.resume();
    response.writeHead(401, { 'Content-Length': 0 });
    response.end();
    return;
  }
  proxy.web(request, response);
});
server.on('upgrade', (request, client, head) => {
  if (request.headers.token !== token) {
    client.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
    return;
  }
  const headers = { ...request.headers };
  delete headers.token;
  const upstream = http.request({ socketPath: engine, method: request.method, path: request.url, headers });
  upstream.on('upgrade', (answer, socket, rest) => {
    let text = `HTTP/1.1 101 ${answer.statusMessage}\r\n`;
    for (let i = 0; i < answer.rawHeaders.length; i += 2) {
      text += `${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}\r\n`;
    }
    client.write(`${text}\r\n`);
    client.setNoDelay(true);
    if (rest.length) client.write(rest);
    if (head.length) socket.write(head);
    client.pipe(socket).pipe(client);
    socket.on('error', () => client.destroy());
    client.on('error', () => socket.destroy());
  });
  upstream.on('error', () => client.destroy());
  upstream.end();
});
// Uploads and silent streams live as long as they like.
server.requestTimeout = 0;
server.keepAliveTimeout = 3600000;
server.on('tlsClientError', () => {});
server.listen(Number(port), '127.0.0.1', 4096);
