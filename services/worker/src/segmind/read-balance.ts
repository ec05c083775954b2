import { parseCredits } from '@renderyard/shared/credits/amount';

/**
 * `{"credits": 0.0, "free-credits": 0.0184921035}`: the two are added. How upstream itself adds them is not known.
 */
export function readBalance(body: string): number | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (parsed === null || typeof parsed !== 'object') return undefined;
  let sum: number | undefined;
  for (const name of ['credits', 'free-credits'] as const) {
    const value = (parsed as Record<string, unknown>)[name];
    if (value === undefined || value === null) continue;
    const amount =
      typeof value === 'number' || typeof value === 'string' ? parseCredits(String(value), 'down') : undefined;
    if (amount === undefined) return undefined;
    sum = (sum ?? 0) + amount;
  }
  return sum;
}
