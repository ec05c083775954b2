import ipaddr from 'ipaddr.js';

export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** All that IANA has ever given out as global unicast (RFC 4291, 2.4): whatever is outside has some other meaning. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Azure answers its own machines here with their metadata and secrets, in public address space (“What is IP address
 * 168.63.129.16?”, Azure's documentation). The other clouds' such addresses are link-local, private or shared.
 */
const AZURE_PLATFORM = '168.63.129.16';

/**
 * Whether the address is globally reachable unicast: of none of the networks in IANA's registries of special-purpose
 * addresses, IPv4 and IPv6. `range()` knows those of IPv4 and the ones of IPv6 within 2000::/3; outside of it, it
 * takes some for plain unicast (`::127.0.0.1`, `100:0:0:1::/64`). The few that the registries call globally reachable
 * within a network that is not, such as 192.0.0.9, are no places for a server either.
 */
export function isPublicAddress(address: Address): boolean {
  if (address.range() !== 'unicast' || address.toString() === AZURE_PLATFORM) return false;
  return address.kind() === 'ipv4' || contains(GLOBAL_UNICAST, address);
}

/** Whether the network holds the address; never one of the other kind. */
export function contains(network: readonly [Address, number], address: Address): boolean {
  const [base, bits] = network;
  if (base.kind() !== address.kind()) return false;
  return base.kind() === 'ipv4'
    ? (address as ipaddr.IPv4).match(base as ipaddr.IPv4, bits)
    : (address as ipaddr.IPv6).match(base as ipaddr.IPv6, bits);
}

/** Where an IPv6 address holds an IPv4 one: the network, and the first of the four bytes. */
const EMBEDDINGS: readonly (readonly [string, number])[] = [
  // Mapped (RFC 4291, 2.5.5.2) and compatible (2.5.5.1).
  ['::ffff:0:0/96', 12],
  ['::/96', 12],
  // Translated (RFC 2765), and the well-known prefix of NAT64 (RFC 6052).
  ['::ffff:0:0:0/96', 12],
  ['64:ff9b::/96', 12],
  // 6to4 (RFC 3056).
  ['2002::/16', 2],
];
const PARSED = EMBEDDINGS.map(([network, first]) => [ipaddr.IPv6.parseCIDR(network), first] as const);

/**
 * The IPv4 address that an IPv6 one leads to, when it is made of it. `mapped`: a socket connects to the IPv4 address
 * itself, with no gateway between. In 64:ff9b:1::/48 its place depends on the operator (RFC 8215), so it is not looked
 * for there.
 */
export function embeddedAddress(
  address: ipaddr.IPv6,
): { readonly address: ipaddr.IPv4; readonly mapped: boolean } | undefined {
  // Unspecified and loopback are in ::/96, and hold nothing.
  if (address.range() === 'unspecified' || address.range() === 'loopback') return undefined;
  const found = PARSED.find(([network]) => contains(network, address));
  if (found === undefined) return undefined;
  const [, first] = found;
  return {
    address: new ipaddr.IPv4(address.toByteArray().slice(first, first + 4)),
    mapped: address.range() === 'ipv4Mapped',
  };
}
