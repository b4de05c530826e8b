// A certificate for servers of these benchmarks: P-256, signed by itself, made anew by openssl(1).
import { execFileSync } from 'node:child_process';

/** @returns {{key: string, cert: string}} as node:tls takes them */
export function certificate() {
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '7'];
  const pem = execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', '-'], {
    encoding: 'utf8',
    stdio: 'pipe',
  });
  return { key: pem, cert: pem };
}
