// HTTPS, with a certificate that openssl(1) makes for localhost: `node examples/https/server.mjs`, then
// `curl --insecure https://localhost:7003`. SIGHUP makes another, which new connections are given.
import { execFileSync } from 'node:child_process';
import { Server } from 'epoll-pool/server';

function certificate() {
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '7'];
  const pem = execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', '-'], {
    encoding: 'utf8',
    stdio: 'pipe',
  });
  return { key: pem, cert: pem };
}

const server = await Server.listen({
  port: Number(process.env.PORT ?? 7003),
  handler: new URL('handler.mjs', import.meta.url),
  tls: certificate(),
});
server.on('error', error => console.error(error));
console.log(`https://localhost:${server.address().port}`);

process.on('SIGHUP', () => {
  server.setSecureContext(certificate());
  console.log('another certificate');
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close({ timeout: 5000 }));
