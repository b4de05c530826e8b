/** What https:// is tested with: node:tls's own options, checked before anything is opened. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { invalidType, outOfRange } from '../../shared/errors.js';
import type { TlsClientOptions } from '../../shared/tls/context.js';

const HTTP1 = ['http/1.1'];
const PEM = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/** @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE (`ca` that is no PEM), what node:tls says */
export function checkTls(value: unknown): TlsClientOptions {
  if (value !== undefined && (typeof value !== 'object' || value === null || Array.isArray(value)))
    throw invalidType('tls', 'an object', value);
  const options: TlsClientOptions = { ALPNProtocols: HTTP1, ...value };
  const { ca, servername, rejectUnauthorized } = options;
  if (ca !== undefined) for (const one of Array.isArray(ca) ? ca : [ca]) checkAuthority(one);
  if (servername !== undefined && typeof servername !== 'string')
    throw invalidType('tls.servername', 'a string', servername);
  if (rejectUnauthorized !== undefined && typeof rejectUnauthorized !== 'boolean') {
    throw invalidType('tls.rejectUnauthorized', 'true or false', rejectUnauthorized);
  }
  checkAlone('cert', { cert: options.cert });
  checkAlone('key', { key: options.key, passphrase: options.passphrase });
  createSecureContext(options);
  return options;
}

/** OpenSSL's words do not say which of them it could not read. */
function checkAlone(name: 'cert' | 'key', option: SecureContextOptions): void {
  if (option[name] === undefined) return;
  try {
    createSecureContext(option);
  } catch (error) {
    if (error instanceof Error) error.message = `tls.${name}: ${error.message}`;
    throw error;
  }
}

/** Node takes what is no certificate for none at all, and then refuses every server. */
function checkAuthority(value: unknown): void {
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) {
    throw invalidType('tls.ca', 'a string or a Buffer with certificates', value);
  }
  const text = typeof value === 'string' ? value : Buffer.from(value).toString('latin1');
  const found = text.match(PEM) ?? [];
  try {
    for (const pem of found) new X509Certificate(pem);
  } catch {
    found.length = 0;
  }
  if (found.length === 0) throw outOfRange('tls.ca', 'certificates in PEM', text);
}
