import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';

/** All addresses of a host, IPv4 and IPv6; a literal is its own. Rejects where there is none. */
export type HostLookup = (host: string) => Promise<readonly string[]>;

/** Milliseconds until a question to a name server is asked again, and how often it is asked. */
const RESOLVER = { timeout: 1000, tries: 2 };

/**
 * Asks the name servers, not the operating system: `getaddrinfo` keeps one of libuv's few threads until it has an
 * answer, so that two receivers whose name servers are slow would hold up every other look-up of the process, those of
 * renders among them.
 * @param localNames whether what is only known to the operating system counts too, such as a name in /etc/hosts: of use
 *   where private networks are allowed.
 */
export function createHostLookup({
  localNames,
  nameServers,
}: {
  readonly localNames: boolean;
  /** As `address:port`; those of the operating system if left out. */
  readonly nameServers?: readonly string[];
}): HostLookup {
  return async (host) => {
    if (isIP(host) !== 0) return [host];
    // One for each: it reads resolv.conf once, which may change while a process runs.
    const resolver = new Resolver(RESOLVER);
    if (nameServers !== undefined) resolver.setServers(nameServers);
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (addresses.length > 0) return addresses;
    const [error] = answers.flatMap((answer): readonly unknown[] =>
      answer.status === 'rejected' ? [answer.reason] : [],
    );
    if (!localNames) throw error;
    return (await lookup(host, { all: true })).map(({ address }) => address);
  };
}
