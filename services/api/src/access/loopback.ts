import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Whether a host name or address (without brackets or port) can only mean this machine. */
export function isLoopback(host: string): boolean {
  if (isIP(host) !== 0) return ipaddr.process(host).range() === 'loopback';
  const name = host.toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost');
}

const HOST_HEADER = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::\d{1,5})?$/;

/** Whether a Host header names this machine. */
export function isLoopbackHostHeader(header: string | undefined): boolean {
  const match = HOST_HEADER.exec(header ?? '');
  return match !== null && isLoopback(match[1] ?? match[2] ?? '');
}

/**
 * Whether a request with these headers comes from a page of another origin, as far as a browser says.
 * @param headers.scheme by which the request came; another one is another origin (RFC 6454, 5).
 */
export function isForeignPage(headers: {
  readonly scheme: 'http' | 'https';
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly site: string | undefined;
}): boolean {
  if (headers.site !== undefined && headers.site !== 'same-origin' && headers.site !== 'none') return true;
  if (headers.origin === undefined) return false;
  const origin = URL.parse(headers.origin);
  return origin?.protocol !== `${headers.scheme}:` || origin.host !== headers.host?.toLowerCase();
}
