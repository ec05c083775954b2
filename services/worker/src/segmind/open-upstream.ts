import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import { createSegmindClient, type SegmindClient } from './client.ts';
import { openSpoolFolder } from './spool-folder.ts';
import type { UpstreamKey } from './upstream-key.ts';

/** The client of the upstream, with the folder where large bodies are on their way. */
export interface Upstream {
  readonly segmind: SegmindClient;
  readonly key: UpstreamKey;
  /** Nothing may be on its way any more. */
  close(): Promise<void>;
}

/** Opens the upstream that the settings name. @throws {Error} when the folder cannot be made. */
export async function openUpstream({
  config,
  key,
  dataFolder,
  clock,
}: {
  readonly config: Config;
  readonly key: UpstreamKey;
  /** The worker's own. */
  readonly dataFolder: string;
  readonly clock: Clock;
}): Promise<Upstream> {
  const spool = await openSpoolFolder(join(dataFolder, 'spool'), { host: hostname(), pid: process.pid });
  const segmind = createSegmindClient({
    baseUrl: config.SEGMIND_BASE_URL,
    key,
    timeoutMs: config.SEGMIND_TIMEOUT_MS,
    maxImageBytes: config.MAX_IMAGE_BYTES,
    spoolFolder: spool.path,
    clock,
  });
  return { segmind, key, close: async () => void (await Promise.all([segmind.close(), spool.remove()])) };
}
