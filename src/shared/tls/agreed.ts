/** What the two ends of a session have agreed on, and know of each other: after the handshake. All of it allocates. */
import { bytesAt, openssl, X509_V_OK } from '../kernel/openssl.js';

/** Where a call leaves an address and a length: the low and the high half of the one, then the other. */
const found = new Uint32Array(3);
const foundAddress = found.subarray(0, 2);
const foundLength = found.subarray(2);

/** The protocol agreed on by ALPN. */
export function alpnOf(ssl: number): string | undefined {
  openssl().SSL_get0_alpn_selected(ssl, foundAddress, foundLength);
  const [low = 0, high = 0, length = 0] = found;
  return length === 0 ? undefined : bytesAt(low + high * 2 ** 32, length).toString('latin1');
}

/** At a server: the name that the client asked for. */
export function servernameOf(ssl: number): string | undefined {
  return openssl().SSL_get_servername(ssl, 0) ?? undefined;
}

/** The peer's certificate in DER. */
export function peerCertificateOf(ssl: number): Buffer | undefined {
  const o = openssl();
  const certificate = o.SSL_get1_peer_certificate(ssl);
  if (certificate === 0) return undefined;
  const der = Buffer.alloc(Math.max(0, o.i2d_X509(certificate, null)));
  // Where to write: OpenSSL moves it to the end of what it wrote.
  if (der.length > 0) o.i2d_X509(certificate, new BigUint64Array([o.addressOf(der)]));
  o.X509_free(certificate);
  return der;
}

/** What checking the peer's certificate found, in OpenSSL's words; undefined: nothing to complain of, or no certificate. */
export function verifyErrorOf(ssl: number): string | undefined {
  const o = openssl();
  const code = o.SSL_get_verify_result(ssl);
  return code === X509_V_OK ? undefined : (o.X509_verify_cert_error_string(code) ?? `error ${code}`);
}

/** 'TLSv1.3' */
export function versionOf(ssl: number): string {
  return openssl().SSL_get_version(ssl) ?? '';
}

/** 'TLS_AES_256_GCM_SHA384' */
export function cipherOf(ssl: number): string {
  const o = openssl();
  return o.SSL_CIPHER_get_name(o.SSL_get_current_cipher(ssl)) ?? '';
}
