import type { Environment } from '@renderyard/shared/settings';
import { DemoError } from './demo-error.ts';

/**
 * The key that the demo's requests bring: the first of `RENDERYARD_API_KEYS` whose secret is there to be used. Undefined
 * where no key is needed; a list that is wrong is left to whoever reads the settings.
 * @throws {DemoError} when the list has nothing but hashes.
 */
export function findDemoKey(env: Environment): string | undefined {
  const entries = (env.RENDERYARD_API_KEYS ?? '').split(',').flatMap((entry) => entry.trim() || []);
  for (const entry of entries) {
    const secret = /^[^:]+:(.+)$/.exec(entry)?.[1];
    if (secret !== undefined && !secret.startsWith('sha256:')) return secret;
  }
  if (entries.length === 0 || !entries.every((entry) => /^[^:]+:sha256:[0-9a-f]{64}$/i.test(entry))) return undefined;
  throw new DemoError(
    'The demo needs an API key to speak with, and RENDERYARD_API_KEYS has only hashes of keys. Add one as name:secret for this run:\n\n' +
      '  RENDERYARD_API_KEYS="$RENDERYARD_API_KEYS,demo:$(openssl rand -hex 24)" npm run demo\n',
  );
}
