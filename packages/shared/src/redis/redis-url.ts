import { isIPv6 } from 'node:net';

/** Where a server listens. The host is a name or an address, IPv6 without its brackets. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** Who we are to a server: nobody, the user `default` with a password, or a user with one. */
export interface RedisLogin {
  readonly username?: string;
  readonly password?: string;
}

/** What a REDIS_URL names. TLS holds for every connection, those to sentinels too. */
export type RedisTarget = { readonly tls: boolean; readonly login: RedisLogin } & (
  | { readonly kind: 'single'; readonly address: RedisAddress; readonly db: number }
  | {
      readonly kind: 'sentinel';
      readonly sentinels: Addresses;
      readonly sentinelLogin: RedisLogin;
      /** The name under which the sentinels know the master. */
      readonly master: string;
      readonly db: number;
    }
  /** Hosts to ask for the others; a cluster has the database 0 alone. */
  | { readonly kind: 'cluster'; readonly nodes: Addresses }
);

type Addresses = readonly [RedisAddress, ...RedisAddress[]];

/** The forms that {@link parseRedisUrl} takes, in words that follow "must be". */
export const REDIS_URL_FORMS =
  'redis://[user:password@]host[:6379][/db], or redis://[user:password@]host[:6379],host[:6379],… for a cluster (redis+cluster:// where one host is known), or redis+sentinel://[user:password@]host[:26379][,host…]/master-name[/db][?sentinel_password=…]; rediss instead of redis for TLS, IPv6 addresses in brackets, what is special in a user or password percent-encoded';

const FORM =
  /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/?#\s]*)@)?([^@/?#\s]+)(?:\/([^?#\s]*))?(?:\?([^#\s]*))?$/i;
const HOST = /^(?:\[([\da-f:.]{2,45})\]|([\w.-]{1,253}))(?::(\d{1,5}))?$/i;
/** Redis's documentation allows no other characters in the name of a master. */
const MASTER = /^[\w.-]{1,255}$/;
const DB = /^\d{1,9}$/;

/**
 * Reads a REDIS_URL; its forms are {@link REDIS_URL_FORMS}. Those of a single server are IANA's `redis` scheme, the
 * others what client libraries of several languages have agreed on: user and password are for the servers, a
 * sentinel's own stand in the query.
 * @returns undefined for every other text, also for one that tools read in different ways, such as `user@host`.
 */
export function parseRedisUrl(text: string): RedisTarget | undefined {
  const [, scheme = '', suffix, userinfo, hosts = '', path = '', query = ''] = FORM.exec(text) ?? [];
  const kind = suffix?.toLowerCase() ?? (hosts.includes(',') ? 'cluster' : 'single');
  const addresses = readAddresses(hosts, kind === 'sentinel' ? 26_379 : 6379);
  const login = readLogin(userinfo);
  if (addresses === undefined || login === undefined) return undefined;
  const base = { tls: scheme.toLowerCase() === 'rediss', login };
  if (kind === 'sentinel') {
    const [, master = '', number = ''] = /^([^/]*)(?:\/([^/]*))?$/.exec(path) ?? [];
    const db = readDb(number);
    const sentinelLogin = readSentinelLogin(query);
    if (!MASTER.test(master) || db === undefined || sentinelLogin === undefined) return undefined;
    return { ...base, kind, sentinels: addresses, sentinelLogin, master, db };
  }
  const db = readDb(path);
  if (query !== '' || db === undefined) return undefined;
  if (kind === 'single') return { ...base, kind, address: addresses[0], db };
  return db === 0 ? { ...base, kind: 'cluster', nodes: addresses } : undefined;
}

function readAddresses(list: string, port: number): Addresses | undefined {
  const [first, ...others] = list.split(',').map((text) => readAddress(text, port));
  if (first === undefined) return undefined;
  const rest = others.filter((address) => address !== undefined);
  return rest.length === others.length ? [first, ...rest] : undefined;
}

function readAddress(text: string, standardPort: number): RedisAddress | undefined {
  const [, ip, name, digits] = HOST.exec(text) ?? [];
  const host = ip ?? name;
  const port = digits === undefined ? standardPort : Number(digits);
  if (host === undefined || port < 1 || port > 65_535 || (ip !== undefined && !isIPv6(ip))) return undefined;
  return { host, port };
}

/** A user without a password is refused: some tools take the one word for the user, others for the password. */
function readLogin(userinfo = ''): RedisLogin | undefined {
  if (userinfo === '' || userinfo === ':') return {};
  const colon = userinfo.indexOf(':');
  const username = decode(userinfo.slice(0, Math.max(colon, 0)));
  const password = decode(userinfo.slice(colon + 1));
  if (colon === -1 || username === undefined || password === undefined) return undefined;
  return username === '' ? { password } : { username, password };
}

function readSentinelLogin(query: string): RedisLogin | undefined {
  const login: { username?: string; password?: string } = {};
  for (const pair of query === '' ? [] : query.split('&')) {
    const [, name, text = ''] = /^sentinel_(username|password)=(.+)$/.exec(pair) ?? [];
    const value = decode(text);
    if ((name !== 'username' && name !== 'password') || value === undefined || login[name] !== undefined)
      return undefined;
    login[name] = value;
  }
  return login.username !== undefined && login.password === undefined ? undefined : login;
}

function readDb(text: string): number | undefined {
  if (text === '') return 0;
  return DB.test(text) ? Number(text) : undefined;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
