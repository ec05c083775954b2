import { startRedis } from '@renderyard/standalone/redis-server';
import { PACKAGES } from '../../support/cache-folder.ts';

/** Starts a Redis in `DATA_DIR`, says where, and does nothing more until it is killed. */
const redis = await startRedis({
  dataDir: process.env.DATA_DIR ?? '',
  persistence: 'aof',
  env: process.env,
  packagesDir: PACKAGES,
});
process.stdout.write(`${JSON.stringify({ redisPid: redis.pid })}\n`);
process.send?.({ ready: true, url: redis.url });
