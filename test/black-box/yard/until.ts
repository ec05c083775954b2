import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Looks again and again until there is something, and returns it.
 * @throws after `patienceMs`, with what `state` says.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  { patienceMs = 30_000, state = () => '' }: { readonly patienceMs?: number; readonly state?: () => string } = {},
): Promise<T> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`Waited ${patienceMs} ms in vain: ${what}. ${state()}`);
    await sleep(50);
  }
}
