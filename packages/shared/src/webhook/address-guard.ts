import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Cidr } from './cidr.ts';
import { type Address, contains, embeddedAddress, isPublicAddress } from './public-address.ts';

/** Why a URL is refused: a code for `errors[].code`, and a sentence for whoever gave the URL. */
export interface UrlProblem {
  readonly ok: false;
  readonly code: 'invalid_format' | 'too_large' | 'not_public';
  readonly detail: string;
}

/** Says where webhooks may go. Pure: it looks up no name. */
export interface AddressGuard {
  /**
   * Whether a socket may be opened to this address, as sockets and look-ups spell it; anything else, and whatever has
   * a zone (`fe80::1%eth0`), is refused.
   */
  checkAddress(ip: string, port: number): 'allowed' | 'refused';
  /** Whether webhooks may be sent to this URL, as far as the text tells: what a name resolves to is not known here. */
  checkUrl(text: string): { readonly ok: true; readonly url: URL } | UrlProblem;
}

/** Characters of the longest URL. */
const MOST_CHARACTERS = 2000;

/** Names of this machine or of a private network (RFC 6761, 6762, 8375; .internal: ICANN, 2024). */
const PRIVATE_NAME = /^(?:.*\.)?(?:localhost|local|internal|home\.arpa)$/;

/** The same for each address and name that is refused, so that it tells nothing of what is there. */
const NOT_PUBLIC =
  'Webhooks are sent to public addresses only. Give a URL whose host is reachable from the internet, or ask the operator to allow its network in WEBHOOK_ALLOW_CIDRS.';

export const NOT_PUBLIC_PROBLEM: UrlProblem = { ok: false, code: 'not_public', detail: NOT_PUBLIC };

/**
 * Lets webhooks go to globally reachable unicast addresses, and to the networks of `allow`; to what only `allow` opens,
 * not on `ownPorts`, where this installation itself answers.
 *
 * An IPv6 address that embeds an IPv4 one is never open by itself, not even for a public one. A mapped one
 * (`::ffff:10.1.2.3`), which a socket takes for the IPv4 address, is opened by an IPv4 network that holds the embedded
 * address. NAT64, 6to4 and the like leave that to a gateway: there `allow` must hold the IPv6 address (say
 * `64:ff9b::/96`, where a network of IPv6 alone reaches the rest so), and the embedded one must be public or in an IPv4
 * network of `allow`. So neither `::/0` nor `64:ff9b::/96` opens 127.0.0.1.
 */
export function createAddressGuard({
  allow,
  ownPorts,
}: {
  readonly allow: readonly Cidr[];
  readonly ownPorts: ReadonlySet<number>;
}): AddressGuard {
  const listed = (address: Address) => allow.some((network) => contains(network, address));

  const opened = (address: Address): boolean => {
    const embedded = address.kind() === 'ipv6' ? embeddedAddress(address as ipaddr.IPv6) : undefined;
    if (embedded === undefined) return listed(address);
    if (embedded.mapped && listed(embedded.address)) return true;
    return listed(address) && (isPublicAddress(embedded.address) || listed(embedded.address));
  };

  const checkAddress: AddressGuard['checkAddress'] = (ip, port) => {
    // ipaddr.js reads more spellings than sockets do, and might read them otherwise.
    if (isIP(ip) === 0 || ip.includes('%')) return 'refused';
    const address = ipaddr.parse(ip);
    if (isPublicAddress(address)) return 'allowed';
    return opened(address) && !ownPorts.has(port) ? 'allowed' : 'refused';
  };

  return {
    checkAddress,
    checkUrl(text) {
      const read = readUrl(text);
      if (!read.ok) return read;
      const { host, port } = addressOf(read.url);
      if (isIP(host) !== 0) return checkAddress(host, port) === 'allowed' ? read : NOT_PUBLIC_PROBLEM;
      const name = host.replace(/\.$/, '');
      if (allow.length === 0 && (PRIVATE_NAME.test(name) || !name.includes('.'))) return NOT_PUBLIC_PROBLEM;
      return read;
    },
  };
}

/** Host and port of a URL as a socket takes them: IPv6 without brackets, the port of the scheme where none is given. */
export function addressOf(url: URL): { readonly host: string; readonly port: number } {
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port };
}

function readUrl(text: string): { readonly ok: true; readonly url: URL } | UrlProblem {
  const wrong = (detail: string): UrlProblem => ({ ok: false, code: 'invalid_format', detail });
  if (text.length > MOST_CHARACTERS)
    return { ok: false, code: 'too_large', detail: `A URL has at most ${MOST_CHARACTERS} characters.` };
  // URL passes over some of these, and takes `http:host` and `http:\\host` as well: what we keep is to be what is meant.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\u0000-\u0020\u007f]/.test(text)) return wrong('A URL has no spaces and no control characters.');
  if (!/^https?:\/\/[^/\\]/i.test(text)) return wrong('A URL begins with https:// or http:// and a host.');
  const url = URL.parse(text);
  if (url === null) return wrong('This is no URL. One is https://example.com/webhooks.');
  if (url.username !== '' || url.password !== '')
    return wrong('A URL has no user name and no password: whoever receives a webhook verifies its signature.');
  if (url.hostname.replace(/\.$/, '').split('.').includes('')) return wrong('The host of this URL has an empty part.');
  return { ok: true, url };
}
