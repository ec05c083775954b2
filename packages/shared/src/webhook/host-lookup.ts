import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { readHostsFile } from './hosts-file.ts';

/** All addresses of a host, IPv4 and IPv6; a literal is its own. Rejects where there is none. */
export type HostLookup = (host: string) => Promise<readonly string[]>;

/** Milliseconds until a question to a name server is asked again, and how often it is asked. */
const RESOLVER = { timeout: 1000, tries: 2 };
/** What name servers say that have no address for a name; and that there are none to be asked. */
const UNKNOWN: readonly string[] = ['ENOTFOUND', 'ENODATA', 'ECONNREFUSED'];

/**
 * Asks the name servers, not the operating system: `getaddrinfo` keeps one of libuv's few threads until it has an
 * answer, so that two receivers whose name servers are slow would hold up every other look-up of the process, those of
 * renders among them.
 * @param localNames whether what is only known to the operating system counts too, such as a name in /etc/hosts or one
 *   that needs its search domains: of use where private networks are allowed. It is asked about one name at a time, and
 *   only once the name servers have said that they do not know it.
 */
export function createHostLookup({
  localNames,
  nameServers,
}: {
  readonly localNames: boolean;
  /** As `address:port`; those of the operating system if left out. */
  readonly nameServers?: readonly string[];
}): HostLookup {
  let asking: Promise<unknown> = Promise.resolve();
  const askSystem = (host: string) => {
    const asked = asking.then(() => lookup(host, { all: true }));
    asking = asked.catch(() => undefined);
    return asked;
  };
  return async (host) => {
    if (isIP(host) !== 0) return [host];
    const local = localNames ? await readHostsFile(host) : [];
    if (local.length > 0) return local;
    // One for each: it reads resolv.conf once, which may change while a process runs.
    const resolver = new Resolver(RESOLVER);
    if (nameServers !== undefined) resolver.setServers(nameServers);
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (addresses.length > 0) return addresses;
    const [error] = answers.flatMap((answer): readonly unknown[] =>
      answer.status === 'rejected' ? [answer.reason] : [],
    );
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!localNames || !UNKNOWN.includes(code)) throw error;
    return (await askSystem(host)).map(({ address }) => address);
  };
}
