/** Certificates for tests: X.509 by hand, keys and signatures by node:crypto; nothing is installed, nothing is stored. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

export type KeyKind = 'ec' | 'rsa' | 'ed25519';

/** As node:tls takes them, PEM. */
export interface Identity {
  readonly key: string;
  readonly cert: string;
  /** Of the key and certificate above. */
  readonly privateKey: KeyObject;
  readonly name: Buffer;
}

export interface CertificateOptions {
  readonly kind?: KeyKind;
  /** Subject, CN; default: localhost, or a name of its own for an authority. */
  readonly name?: string;
  /** DNS names and IPv4 or IPv6 addresses that it holds for; default: localhost, 127.0.0.1, ::1. */
  readonly hosts?: readonly string[];
  /** Who signs it; default: itself. */
  readonly issuer?: Identity;
  readonly ca?: boolean;
  /** Ended yesterday. */
  readonly expired?: boolean;
}

const ALGORITHM: Record<KeyKind, Buffer> = {
  ec: sequence(oid('1.2.840.10045.4.3.2')),
  rsa: sequence(oid('1.2.840.113549.1.1.11'), tlv(5, Buffer.alloc(0))),
  ed25519: sequence(oid('1.3.101.112')),
};
const DAY = 86_400_000;

export function certificate(options: CertificateOptions = {}): Identity {
  const { publicKey, privateKey } = keys(options.kind ?? 'ec');
  const name = sequence(
    tlv(
      0x31,
      sequence(oid('2.5.4.3'), tlv(0x0c, Buffer.from(options.name ?? (options.ca ? 'test authority' : 'localhost')))),
    ),
  );
  const issuer = options.issuer ?? { privateKey, name };
  const now = Date.now();
  const [from, to] = options.expired ? [now - 2 * DAY, now - DAY] : [now - DAY, now + DAY];
  const algorithm = ALGORITHM[kindOf(issuer.privateKey)];
  const extensions = options.ca
    ? [extension('2.5.29.19', true, sequence(tlv(1, Buffer.from([0xff]))))]
    : [extension('2.5.29.17', false, sequence(...(options.hosts ?? ['localhost', '127.0.0.1', '::1']).map(host)))];
  const body = sequence(
    tlv(0xa0, tlv(2, Buffer.from([2]))),
    tlv(2, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    issuer.name,
    sequence(time(from), time(to)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  );
  const digest = kindOf(issuer.privateKey) === 'ed25519' ? null : 'sha256';
  const signature = sign(digest, body, issuer.privateKey);
  const der = sequence(body, algorithm, tlv(3, Buffer.concat([Buffer.from([0]), signature])));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  const cert = `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert, privateKey, name };
}

function keys(kind: KeyKind): { publicKey: KeyObject; privateKey: KeyObject } {
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function kindOf(key: KeyObject): KeyKind {
  const type = key.asymmetricKeyType;
  return type === 'rsa' || type === 'ed25519' ? type : 'ec';
}

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), content]);
}

function sequence(...parts: Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 127];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift((left & 127) | 128);
    bytes.push(...groups);
  }
  return tlv(6, Buffer.from(bytes));
}

function time(ms: number): Buffer {
  return tlv(0x18, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]|\..*/g, '')}Z`));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [tlv(1, Buffer.from([0xff]))] : [];
  return sequence(oid(id), ...flag, tlv(4, value));
}

function host(name: string): Buffer {
  if (isIPv4(name)) return tlv(0x87, Buffer.from(name.split('.').map(Number)));
  if (name === '::1') return tlv(0x87, Buffer.concat([Buffer.alloc(15), Buffer.from([1])]));
  return tlv(0x82, Buffer.from(name));
}
