import type { Config } from '../config.ts';
import { parseRedisUrl } from '../redis/redis-url.ts';
import { addressOf, createAddressGuard } from './address-guard.ts';

const SHARED_PORTS: readonly number[] = [80, 443];

const publicOnly = createAddressGuard({ allow: [], ownPorts: new Set() });

/**
 * The ports at which this installation itself answers: the API, those who watch over it, Redis, and of the object store and the upstream those
 * that are on this machine or in a private network. No webhook goes to them where WEBHOOK_ALLOW_CIDRS opens a network.
 * The ports of the web are left out of the latter: closing them would close every other server of the network, too.
 */
export function ownPorts(
  config: Pick<Config, 'PORT' | 'METRICS_PORT' | 'SEGMIND_BASE_URL' | 'S3_ENDPOINT'>,
  redisUrl: string,
): ReadonlySet<number> {
  const others = [config.SEGMIND_BASE_URL, config.S3_ENDPOINT].filter((url) => url !== undefined);
  const privates = others
    .filter((url) => URL.canParse(url) && !publicOnly.checkUrl(url).ok)
    .map((url) => addressOf(new URL(url)).port)
    .filter((port) => !SHARED_PORTS.includes(port));
  const watchers = config.METRICS_PORT === undefined ? [] : [config.METRICS_PORT];
  return new Set([config.PORT, ...watchers, ...redisPorts(redisUrl), ...privates]);
}

function redisPorts(redisUrl: string): readonly number[] {
  const target = parseRedisUrl(redisUrl);
  switch (target?.kind) {
    case 'single':
      return [target.address.port];
    case 'sentinel':
      return [...target.sentinels.map(({ port }) => port), DEFAULT_REDIS_PORT];
    case 'cluster':
      return target.nodes.map(({ port }) => port);
    case undefined:
      return [DEFAULT_REDIS_PORT];
  }
}

/** Where the servers that sentinels name listen is not known here; most listen at this one. */
const DEFAULT_REDIS_PORT = 6379;
