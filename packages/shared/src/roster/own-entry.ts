import { hostname } from 'node:os';
import type { Config } from '../config.ts';
import { STATE_VERSION } from '../upgrade/state-version.ts';
import { VERSION } from '../version.ts';
import { fingerprint, type RosterEntry } from './roster-entry.ts';

/** What workers had better have alike: each goes by its own, so that together they do what none of them was told. */
const ALIKE = [
  'SEGMIND_BASE_URL',
  'SEGMIND_RPM',
  'SEGMIND_CONCURRENCY',
  'CREDIT_FLOOR',
  'CREDIT_LOW',
  'CREDIT_RESUME',
  'CREDIT_ESTIMATE',
  'CREDIT_PROBE_MS',
] as const satisfies readonly (keyof Config)[];

/** What a process tells of itself, with secrets as fingerprints. */
export function describeProcess({
  service,
  config,
  secretKey,
  storeId,
}: {
  readonly service: RosterEntry['service'];
  readonly config: Config;
  readonly secretKey: Uint8Array;
  readonly storeId: string | undefined;
}): RosterEntry {
  return {
    service,
    host: hostname(),
    pid: process.pid,
    version: VERSION,
    state: STATE_VERSION,
    agreed: {
      ...(storeId === undefined ? {} : { store: storeId }),
      SECRET_KEY: fingerprint(secretKey),
      WEBHOOK_SECRET: config.WEBHOOK_SECRET === undefined ? 'none' : fingerprint(config.WEBHOOK_SECRET),
    },
    settings: Object.fromEntries(
      ALIKE.map((name) => [name, name === 'SEGMIND_BASE_URL' ? originOf(config[name]) : `${config[name]}`]),
    ),
  };
}

/** Without a path or a password. A simulator takes another port at each start. */
function originOf(url: string): string {
  const { hostname: host, origin } = new URL(url);
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.') ? 'this machine' : origin;
}
