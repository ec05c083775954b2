/**
 * Credits as exact numbers: a bigint counts units of 1e-10 credits, the finest amount seen in an upstream answer
 * (`0.0184921035`). No amount is ever kept in floating point.
 */

/** Units in one credit. */
export const UNITS_PER_CREDIT = 10_000_000_000n;

const DECIMALS = 10;

/** Thrown for an amount that cannot be read exactly. */
export class CreditsError extends Error {
  override readonly name = 'CreditsError';
}

/**
 * Reads an amount of credits: a plain decimal text, or a number, which is rounded to 1e-10 credits.
 * @throws {CreditsError} for text that is no plain decimal of at most ten decimals, and for a number that is not finite.
 */
export function parseCredits(amount: number | string): bigint {
  if (typeof amount === 'number' && !(Math.abs(amount) < 1e12))
    throw new CreditsError(`An amount of credits must be a finite number below 1e12, but is ${amount}.`);
  const text = typeof amount === 'number' ? amount.toFixed(DECIMALS) : amount;
  const match = /^(-?)(\d{1,12})(?:\.(\d{1,10}))?$/.exec(text);
  if (match === null)
    throw new CreditsError(
      `An amount of credits must be a plain decimal with at most 12 digits before and ${DECIMALS} after the point, but is ${JSON.stringify(text.slice(0, 60))}.`,
    );
  const units = BigInt(match[2] ?? '0') * UNITS_PER_CREDIT + BigInt((match[3] ?? '').padEnd(DECIMALS, '0'));
  return match[1] === '-' ? -units : units;
}

/** The exact amount as a plain decimal: no exponent, no zeros at the end. */
export function formatCredits(units: bigint): string {
  const size = units < 0n ? -units : units;
  const fraction = (size % UNITS_PER_CREDIT).toString().padStart(DECIMALS, '0').replace(/0+$/, '');
  const whole = (size / UNITS_PER_CREDIT).toString();
  return `${units < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`;
}

/** The nearest JSON number, for display; the exact text stands beside it wherever it matters. */
export function creditsNumber(units: bigint): number {
  return Number(formatCredits(units));
}
