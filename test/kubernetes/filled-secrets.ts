import { randomBytes } from 'node:crypto';

/** What somebody would put into the Secret of the example, by its keys. */
export const SECRETS = {
  'segmind-api-key': `SG_${randomBytes(8).toString('hex')}`,
  'api-keys': `shop:${randomBytes(24).toString('hex')}`,
  'secret-key': randomBytes(32).toString('base64'),
  'redis-url': 'redis://:some-password@redis:6379',
} as const;
