const LOOPBACK = /^(?:localhost|(?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/**
 * Whether a Host header names this machine's loopback. A page of another site whose name was made to point here (DNS
 * rebinding) sends its own name, and so is told apart.
 */
export function isLoopbackHost(host: string | undefined): boolean {
  return host !== undefined && LOOPBACK.test(host);
}

/** Whether a connection comes from this machine's loopback; IPv4 may come in IPv6's form (RFC 4291, 2.5.5.2). */
export function isLoopbackAddress(address: string | undefined): boolean {
  return address !== undefined && /^(?:::ffff:)?127\.|^::1$/i.test(address);
}
