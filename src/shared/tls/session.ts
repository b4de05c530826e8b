/**
 * TLS sessions (an SSL each) on non-blocking sockets, by their address: a plain number, which may stand in shared memory.
 * One thread at a time may use a session; which one may change from call to call. Nothing here throws for what a peer
 * sends, and nothing but the functions that say so allocates.
 *
 * For edge-triggered use: register the socket as IN|OUT once. At any event, go on with what was last refused:
 * - handshake() until DONE;
 * - read() until WANT_READ, whatever it gave before: decrypted bytes may lie in the session, of which epoll knows nothing.
 *   Whoever stops earlier (backpressure) must call read() again later without an event;
 * - a write() that said WANT_WRITE comes again with the same bytes (they may have moved), at least as many, up to
 *   RECORD_BYTES: the session holds them encrypted already.
 * read() may say WANT_WRITE, and write() WANT_READ (a key update); call the same function again at the next event.
 * After FAILED only freeSession() and lastFailure() are of use.
 *
 * A thread never dies inside a call: worker.terminate() and process.exit() wait for native code to return. What it
 * had read may be lost with it, so such a session cannot go on; freeSession() from any thread, once the thread has ended,
 * frees all of it.
 */

/** handshake(): agreed; the certificate was accepted, if one was asked for. shutdown(): both ends have been told. */
export const DONE = 1;
/** read(): the peer sends no more; see wasTruncated(). shutdown(): close_notify is sent, the peer's is still to come. */
export const END = 0;
/** Again when the socket is readable. */
export const WANT_READ = -1;
/** Again when the socket is writable. */
export const WANT_WRITE = -2;
/** It is over: lastFailure() says why. */
export const FAILED = -3;

/** The most bytes that one write() takes. */
export const RECORD_BYTES = 16_384;

/** Why a call said FAILED. */
export interface TlsFailure {
  /** The socket's error as a positive errno (ECONNRESET, EPIPE); 0 when the cause is not the socket. */
  readonly errno: number;
  /** In OpenSSL's words: 'certificate verify failed: self-signed certificate', 'wrong version number', or errno's name. */
  readonly reason: string;
  /** The peer ended the connection during the handshake, without a word. */
  readonly ended: boolean;
}

/** A server's end on `fd`, which stays the caller's (never closed here). 0: no memory. @param context its pointer */
export declare function acceptSession(context: number, fd: number): number;

/**
 * A client's end on `fd`, a socket that is connected, or connecting.
 * @param servername as TlsContext has it
 * @param resume what takeResumption() gave, or 0
 */
export declare function connectSession(
  context: number,
  fd: number,
  servername: Buffer | undefined,
  resume: number,
): number;

/** Frees the session, at any time and from any thread; sends nothing, and leaves the socket open. */
export declare function freeSession(ssl: number): void;

/** DONE, WANT_READ, WANT_WRITE or FAILED (the peer was sent an alert). */
export declare function handshake(ssl: number): number;

/** How many bytes it gave into `buffer` from `offset` on, END, WANT_READ, WANT_WRITE or FAILED. */
export declare function read(ssl: number, buffer: Uint8Array, offset: number, length: number): number;

/** How many of the bytes it took, at most RECORD_BYTES; WANT_READ, WANT_WRITE or FAILED. A length of 0 takes nothing. */
export declare function write(ssl: number, buffer: Uint8Array, offset: number, length: number): number;

/**
 * Sends close_notify: END (sent), DONE (sent, and the peer's has come), WANT_WRITE or FAILED. Only after the handshake, and
 * not after a write() that waits. read() still gives what the peer sends until its end.
 */
export declare function shutdown(ssl: number): number;

/** Decrypted bytes that read() will give without the socket. */
export declare function pending(ssl: number): number;

/** After END of read(): the TCP connection ended without close_notify, so what came may have been cut short. */
export declare function wasTruncated(ssl: number): boolean;

/** About the last call of this thread that said FAILED. Allocates. */
export declare function lastFailure(): TlsFailure;

// ---- after the handshake; all of it allocates ----------------------------------------------------------

/** The protocol agreed on by ALPN. */
export declare function alpnOf(ssl: number): string | undefined;
/** At a server: the name that the client asked for. */
export declare function servernameOf(ssl: number): string | undefined;
/** The peer's certificate in DER. */
export declare function peerCertificateOf(ssl: number): Buffer | undefined;
/** What checking the peer's certificate gave: undefined for none to complain of, or OpenSSL's words. */
export declare function verifyErrorOf(ssl: number): string | undefined;
/** 'TLSv1.3' */
export declare function versionOf(ssl: number): string;
/** 'TLS_AES_256_GCM_SHA384' */
export declare function cipherOf(ssl: number): string;
/** Whether it goes on with an earlier session. Does not allocate. */
export declare function wasResumed(ssl: number): boolean;

// ---- resumption, for clients ---------------------------------------------------------------------------

/**
 * What a later session with the same server can go on with, for connectSession() in any thread and as often as wished;
 * 0 while there is none. With TLS 1.3 it comes with the first read() after the handshake. freeResumption() must follow.
 */
export declare function takeResumption(ssl: number): number;
export declare function freeResumption(resumption: number): void;
