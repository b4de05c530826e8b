// The server that load generators are measured against: nginx, which counts the requests itself.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { certificate } from './certificate.js';
import { Skip } from './contestant.js';
import { pinned, SERVER_CPU } from './cpus.js';

const PATIENCE_MS = 5000;
const COUNT = '/count';
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n';

export const hasNginx = spawnSync('nginx', ['-v']).error === undefined;

/**
 * One nginx worker process, or, for a smoke run without nginx, a server in this process.
 *
 * @param {number} connections how many it must be able to hold
 * @param {{secure?: boolean, pin?: boolean}} options whether it speaks TLS; whether it is kept to one processor, as it is by default
 * @returns {Promise<{url: string, requests: () => Promise<number>, ran: () => number, stop: () => Promise<void>}>}
 *   requests: how many have come; ran: how many milliseconds it was on a core so far, NaN if that is not known
 */
export async function startTarget(connections, { smoke }, options = {}) {
  if (hasNginx) return startNginx(connections, options);
  if (smoke && !options.secure) return startStandIn();
  throw new Skip('nginx is not installed');
}

async function startNginx(connections, { secure = false, pin = true }) {
  const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-nginx-'));
  const port = await freePort();
  const securePort = secure ? await freePort() : undefined;
  if (secure) writeFileSync(join(folder, 'pem'), certificate().cert);
  writeFileSync(join(folder, 'nginx.conf'), configuration(folder, port, securePort, connections));
  const command = ['nginx', '-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')];
  const nginx = pin ? pinned(SERVER_CPU, command) : command;
  // A shell between, that ends nginx when this process ends, however it does.
  const child = spawn('sh', ['-c', '"$@" & read _; kill $!; wait $!', 'sh', ...nginx], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  const url = `http://127.0.0.1:${port}`;
  /** Questions for the count are counted as well: where a generator is slow to start, they would look like its requests. */
  let own = 0;
  const target = {
    url: secure ? `https://127.0.0.1:${securePort}/` : `${url}/`,
    requests: async () => {
      const status = await (await fetch(url + COUNT)).text();
      own++;
      return Number(/^ *\d+ +\d+ +(\d+)/m.exec(status)?.[1]) - own;
    },
    ran: () => timeOnCore(`${folder}/nginx.pid`),
    stop: async () => {
      child.stdin.end();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
  for (const until = performance.now() + PATIENCE_MS; ; await sleep(5)) {
    if (await target.requests().then(Number.isInteger, () => false)) return target;
    if (performance.now() > until) throw new Error('nginx does not answer');
  }
}

/** Of the only child of the process in that file, in milliseconds (proc(5), schedstat). */
function timeOnCore(pidFile) {
  try {
    const master = readFileSync(pidFile, 'utf8').trim();
    const worker = readFileSync(`/proc/${master}/task/${master}/children`, 'utf8').trim();
    return Number(readFileSync(`/proc/${worker}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return Number.NaN;
  }
}

function configuration(folder, port, securePort, connections) {
  // With less than a sixteenth to spare it closes connections that are idle.
  const most = Math.ceil(connections * 1.1) + 100;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off;
pid ${folder}/nginx.pid;
error_log stderr error;
worker_processes 1;
worker_rlimit_nofile ${most + 100};
events { worker_connections ${most}; }
http {
  access_log off;
  default_type text/plain;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  ${temporary.map(name => `${name}_temp_path ${folder}/${name};`).join(' ')}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    ${securePort === undefined ? '' : `listen 127.0.0.1:${securePort} ssl backlog=4096; ssl_certificate ${folder}/pem; ssl_certificate_key ${folder}/pem;`}
    location / { return 200 "hello\\n"; }
    location = ${COUNT} { stub_status; }
  }
}
`;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function startStandIn() {
  let requests = 0;
  const sockets = new Set();
  const server = createServer({ noDelay: true }, socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', () => {
      requests++;
      socket.write(ANSWER);
    });
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    requests: async () => requests,
    ran: () => Number.NaN,
    stop: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
