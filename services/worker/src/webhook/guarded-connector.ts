import { isIP, type LookupFunction, type Socket } from 'node:net';
import type { AddressGuard } from '@renderyard/shared/webhook/address-guard';
import type { HostLookup } from '@renderyard/shared/webhook/host-lookup';
import { Agent, buildConnector } from 'undici';
import { AddressRefusedError, LookupTimeoutError, TlsFailedError } from './connect-errors.ts';

export interface GuardedAgentOptions {
  readonly guard: Pick<AddressGuard, 'checkAddress'>;
  /** Of looking up, connecting and the TLS handshake together, in milliseconds. */
  readonly connectTimeoutMs: number;
  readonly lookup: HostLookup;
}

/** Milliseconds that an idle connection is kept: long enough for what is sent in one go. */
const KEEP_ALIVE_MS = 2000;
/** No limit for those who share an origin, such as a service that receives for many: the sender has its own. */
const CONNECTIONS = 512;
const MOST_HEADER_BYTES = 16 * 1024;
/** Milliseconds until the next of several addresses is tried; the last one has the rest of the time. */
const NEXT_ADDRESS_MS = 1000;

/**
 * An agent whose connections lead only to addresses that the guard allows, whatever a URL says. A name is resolved once
 * for each connection; if any of its addresses is refused, none is used; and the socket connects to those that were
 * checked, so that a second answer of the name server comes too late. Where the socket came out is checked once more,
 * before a byte is sent. Timeouts of an answer are the caller's.
 */
export function createGuardedAgent(options: GuardedAgentOptions): Agent {
  const connect = createConnect(options);
  return new Agent({
    connect: (target, callback) => {
      connect(target).then(
        (socket) => callback(null, socket),
        (error: Error) => callback(error, null),
      );
    },
    connections: CONNECTIONS,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: MOST_HEADER_BYTES,
  });
}

/** Opens one connection. Rejects with one of connect-errors.ts, or what the socket says. */
function createConnect({ guard, connectTimeoutMs, lookup }: GuardedAgentOptions) {
  const refuse = (hostname: string, address: string) =>
    new AddressRefusedError(
      `${hostname} leads to ${address === '' ? 'no address' : address}, which webhooks may not be sent to. WEBHOOK_ALLOW_CIDRS opens networks.`,
    );

  const resolve = async (hostname: string, port: number): Promise<readonly string[]> => {
    const addresses = isIP(hostname) !== 0 ? [hostname] : await inTime(lookup(hostname), hostname, connectTimeoutMs);
    if (addresses.length === 0) throw refuse(hostname, '');
    const refused = addresses.find((address) => guard.checkAddress(address, port) === 'refused');
    if (refused !== undefined) throw refuse(hostname, refused);
    return addresses;
  };

  return async ({ hostname, host, protocol, port: given }: buildConnector.Options): Promise<Socket> => {
    const port = Number(given) || (protocol === 'https:' ? 443 : 80);
    const end = performance.now() + connectTimeoutMs;
    const addresses = await resolve(hostname, port);
    const connector = () =>
      buildConnector({
        // 0 would be no timeout.
        timeout: Math.max(end - performance.now(), 1),
        allowH2: false,
        // A session would be another's as soon as a name leads elsewhere.
        maxCachedSessions: 0,
        autoSelectFamily: true,
        autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
        lookup: pinned(addresses),
      });
    const target = { hostname, host: host ?? hostname, port: String(port) };
    const socket = await open(connector(), { ...target, protocol: 'http:' });
    const reached = socket.remoteAddress ?? '';
    if (guard.checkAddress(reached, port) === 'refused') {
      socket.destroy();
      throw refuse(hostname, reached);
    }
    if (protocol !== 'https:') return socket;
    // Without the dot at the end of a full name, which a server name does not have (RFC 6066, 3).
    const name = isIP(hostname) === 0 ? { servername: hostname.replace(/\.$/, '') } : {};
    try {
      return await open(connector(), { ...target, ...name, protocol, httpSocket: socket });
    } catch (error) {
      throw isBroken(error) ? error : new TlsFailedError(messageOf(error), { cause: error });
    }
  };
}

/** Whether the connection ended within the handshake, which says nothing of certificates. */
function isBroken(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT'].includes(code);
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

function open(connector: buildConnector.connector, options: buildConnector.Options): Promise<Socket> {
  return new Promise((resolve, reject) => {
    connector(options, (...[error, socket]) => {
      if (error === null) resolve(socket);
      else reject(error);
    });
  });
}

/** Answers a socket’s look-up with what is known already, whatever it asks for. */
function pinned(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_hostname, { all }, callback) => {
    const [first] = found;
    if (all === true || first === undefined) callback(null, found);
    else callback(null, first.address, first.family);
  };
}

async function inTime<T>(promise: Promise<T>, hostname: string, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new LookupTimeoutError(`${hostname} was not resolved within ${ms} ms.`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
