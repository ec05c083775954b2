/**
 * Amounts of credits as whole numbers of nanocredits (10⁻⁹ credit), so that a million additions lose nothing.
 * A safe integer holds 9,007,199 credits. One credit is about one US dollar.
 */
export type Nanocredits = number;

const PER_CREDIT = 1_000_000_000;
const DECIMAL = /^([+-]?)(\d{1,6})(?:\.(\d{1,30}))?(?:[eE]([+-]?\d{1,2}))?$/;

/**
 * Reads a decimal number of credits exactly, as it stands in a header or a body. What is finer than a nanocredit is
 * rounded down for a balance and up for a cost: a doubt is always counted against spending.
 * @returns undefined for anything that is not a plain, finite decimal below a million credits.
 */
export function parseCredits(text: string, round: 'down' | 'up'): Nanocredits | undefined {
  const match = DECIMAL.exec(text.trim());
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const shift = Number(exponent) + 9;
  const digits = BigInt(whole + fraction);
  const scale = shift - fraction.length;
  let nano: bigint;
  if (scale >= 0) nano = digits * 10n ** BigInt(scale);
  else {
    const divisor = 10n ** BigInt(-scale);
    nano = digits / divisor;
    const finer = digits % divisor !== 0n;
    const awayFromZero = sign === '-' ? round === 'down' : round === 'up';
    if (finer && awayFromZero) nano += 1n;
  }
  const value = Number(sign === '-' ? -nano : nano);
  return Number.isSafeInteger(value) && Math.abs(value) < 1_000_000 * PER_CREDIT ? value + 0 : undefined;
}

/** Credits, as a number in a setting or a JSON body, to nanocredits; more than nine decimals are rounded up. */
export function nanocredits(credits: number): Nanocredits {
  // The shortest decimal that means this number, so that no noise of the binary fraction is rounded up.
  const nano = parseCredits(String(credits), 'up');
  if (nano === undefined) throw new RangeError(`${credits} is not a number of credits below a million`);
  return nano;
}

/** Nanocredits to credits, for people and JSON. */
export function toCredits(nano: Nanocredits): number {
  return Number((nano / PER_CREDIT).toFixed(9));
}
