import ipaddr from 'ipaddr.js';

/** A network: an address and how many of its leading bits count. */
export type Cidr = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/** Networks from a comma-separated list; undefined where one of them is none. */
export function parseCidrs(list: string): readonly Cidr[] | undefined {
  const networks = list.split(',').map((entry) => {
    const text = entry.trim();
    return ipaddr.isValidCIDR(text) ? ipaddr.parseCIDR(text) : undefined;
  });
  return networks.every((network) => network !== undefined) ? networks : undefined;
}

/** A network as it is written. */
export function showCidr([address, bits]: Cidr): string {
  return `${address.toString()}/${bits}`;
}
